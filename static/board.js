// The board: a card is dragged to another column, or sent there by its menu; both send the form of that menu, and the
// board then shows what the server says. Without this the menu posts, and the board is loaded again.
(function begin() {
  "use strict";

  document.addEventListener("htmx:load", begin);  // once, however often it begins: another board may take its place
  const board = document.getElementById("board");
  if (!board || "ready" in board.dataset) return;
  board.dataset.ready = "yes";
  const words = document.getElementById("board-words").content;
  const within = (element, selector) => (element instanceof Element ? element.closest(selector) : null);
  const formOf = (card) => card.querySelector("form[data-move]");
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));  // pursuit.js listens as to htmx

  // ── What is said above the board ──────────────────────────────────────────────────────────────────────────────────

  const say = (text) => {
    document.getElementById("board-said")?.remove();
    if (!text) return;
    const band = document.createElement("div");
    band.className = "band bad";
    band.id = "board-said";
    band.setAttribute("role", "alert");
    const line = document.createElement("div");
    const words = document.createElement("p");
    line.className = "say";
    words.textContent = text;
    line.append(words);
    band.append(line);
    board.before(band);
  };

  const toast = (page) => {
    const notes = [...page.querySelectorAll(".toasts .note")].map((note) => document.importNode(note, true));
    const toasts = document.querySelector(".toasts");
    toasts?.append(...notes);
    if (toasts) tell("htmx:load", { elt: toasts });
  };

  // ── The board as it is now, each column as long as it was ─────────────────────────────────────────────────────────

  const asked = (moved) => {
    const query = new URLSearchParams(board.dataset.query);
    for (const lane of board.querySelectorAll(".lane")) {
      const cards = lane.querySelectorAll(".deal").length;
      if (cards > board.dataset.first) query.set(`shown.${lane.dataset.key}`, cards);
    }
    if (moved) query.set("moved", moved);
    return query.toString();
  };

  const put = (page) => {
    const fresh = page.getElementById("board");
    if (!fresh && page.querySelector("main .nothing")) {  // the last card that was asked for has left
      location.reload();
      return true;
    }
    if (!fresh) return false;
    const left = board.scrollLeft;
    board.replaceChildren(...[...fresh.children].map((child) => document.importNode(child, true)));
    board.scrollLeft = left;
    const [tally, figures] = [document, page].map((one) => one.getElementById("tally"));
    // What was counted before the card went must not come into the board after it.
    tally.querySelector("[hx-get]")?.addEventListener("htmx:beforeSwap", (event) => event.preventDefault());
    tally.replaceChildren(...[...figures.childNodes].map((node) => document.importNode(node, true)));
    for (const part of [board, tally]) window.htmx?.process(part);
    ready(board);
    return true;
  };

  const read = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

  const load = async () => {
    const answer = await fetch(`${location.pathname}?${asked()}`, { headers: { Accept: "text/html" } });
    if (answer.ok) put(await read(answer));
  };

  const focus = (pk, shows) => {
    const card = document.getElementById(`deal-${pk}`);
    const target = card?.querySelector("details.menu > summary") ?? card?.querySelector("h3 a");
    target?.focus({ preventScroll: true });
    card?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (shows) card?.classList.add("come");
  };

  // ── A move ────────────────────────────────────────────────────────────────────────────────────────────────────────

  let moving = false;

  const move = async (form, stage, card) => {
    if (moving) return;
    moving = true;
    say("");
    const pk = card.id.replace("deal-", "");
    const place = document.createComment("");
    const lane = document.getElementById(`lane-${stage}`);
    card.before(place);
    card.setAttribute("aria-busy", "true");
    form.closest("details")?.removeAttribute("open");
    if (lane && card.parentElement !== lane) lane.querySelector("header").after(card);
    const back = () => {
      place.replaceWith(card);
      card.removeAttribute("aria-busy");
      tell("htmx:afterRequest");  // its form can be sent again
    };
    try {
      await send(form, { stage }, pk, back);
    } catch {
      back();
      say(words.querySelector("[data-failed]").textContent);
    } finally {
      moving = false;
    }
  };

  const send = async (form, values, pk, back) => {
    const data = new FormData(form);
    for (const [name, value] of Object.entries(values)) data.set(name, value);
    data.set("board", asked());
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: data, headers: { Accept: "text/html" } });
    const page = await read(answer);
    if (answer.ok && put(page)) {
      toast(page);
      focus(pk, true);
      return true;
    }
    if (answer.redirected && !answer.ok) throw new Error("no board");
    const question = page.querySelector("main form.ask");
    if (question) {
      back();
      ask(document.importNode(question, true), pk, back);
      return false;
    }
    back();
    const reason = page.querySelector("[data-reason]") ?? words.querySelector("[data-failed]");
    await load();
    say(reason.textContent.trim());
    focus(pk);
    return false;
  };

  // What the stage still asks for, in a dialog.
  const ask = (form, pk, back) => {
    document.querySelector("dialog[data-board]")?.remove();
    const dialog = document.createElement("dialog");
    dialog.className = "ask";
    dialog.dataset.board = "";
    dialog.setAttribute("aria-labelledby", "ask-title");
    form.classList.remove("ask");
    dialog.append(form);
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!dialog.dataset.done) focus(pk);
    });
    dialog.addEventListener("click", (press) => {
      if (!within(press.target, "[data-no]")) return;
      press.preventDefault();
      dialog.close();
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      dialog.dataset.done = "yes";
      const done = () => dialog.close();
      try {
        await send(form, {}, pk, done);
        dialog.close();
      } catch {
        dialog.close();
        say(words.querySelector("[data-failed]").textContent);
      }
    });
    tell("htmx:load", { elt: dialog });
    dialog.showModal();
  };

  board.addEventListener("submit", (event) => {
    const form = within(event.target, "form[data-move]");
    if (!form || !event.submitter) return;
    event.preventDefault();
    move(form, event.submitter.value, form.closest(".deal"));
  });

  // ── Dragging ──────────────────────────────────────────────────────────────────────────────────────────────────────

  let dragged = null;

  const ready = (root) => {
    for (const card of root.querySelectorAll(".deal[data-moves]")) {
      card.draggable = true;
      for (const link of card.querySelectorAll("a")) link.draggable = false;
    }
  };

  // Where a card may be dropped: another column that its menu offers, or the end that it has a link to.
  const goal = (target) => {
    const place = within(target, ".lane, .folded[data-end]");
    if (!place || !dragged || place.contains(dragged)) return null;
    if (place.matches(".lane")) return formOf(dragged).querySelector(`button[value="${place.dataset.stage}"]`) && place;
    return formOf(dragged).querySelector(`a[data-end="${place.dataset.end}"]`) && place;
  };

  // Why it may not be dropped where its menu does not lead, as the server says it; "" where there is nothing to say.
  const refusal = (target) => {
    const place = within(target, ".lane, .folded[data-end]");
    if (!place || !dragged || place.contains(dragged)) return "";
    return place.dataset.refuses || (place.matches(".lane") ? within(dragged, ".lane").dataset.keeps : "") || "";
  };

  const over = (place) => {
    for (const one of board.querySelectorAll(".over")) if (one !== place) one.classList.remove("over");
    place?.classList.add("over");
  };

  board.addEventListener("dragstart", (event) => {
    const card = within(event.target, ".deal[data-moves]");
    if (!card || moving) return;
    dragged = card;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", card.querySelector("h3").textContent);
    card.classList.add("dragged");
  });
  board.addEventListener("dragover", (event) => {
    const place = goal(event.target);
    if (place || refusal(event.target)) event.preventDefault();  // or it would jump back without a word
    over(place);
  });
  board.addEventListener("dragend", () => {
    over(null);
    dragged?.classList.remove("dragged");
    dragged = null;
  });
  board.addEventListener("drop", (event) => {
    const place = goal(event.target);
    const reason = place ? "" : refusal(event.target);
    if (!place && !reason) return;
    event.preventDefault();
    say(reason);
    if (!place) return;
    const card = dragged;
    if (place.matches(".folded")) location.assign(formOf(card).querySelector(`a[data-end="${place.dataset.end}"]`).href);
    else move(formOf(card), place.dataset.stage, card);
  });

  ready(board);
  document.addEventListener("htmx:load", (event) => board.contains(event.detail.elt) && ready(event.detail.elt.parentElement));
})();
