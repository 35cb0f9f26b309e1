// Cells of a list that are changed where they stand: a pencil in each that can be, while the pointer or the focus is in
// its row. It opens the form of the cell's own page in the place of the cell; Enter saves, Escape leaves.
(() => {
  "use strict";

  const within = (element, selector) => (element instanceof Element ? element.closest(selector) : null);
  const table = () => document.querySelector("table[data-edits]");
  const linkOf = (row) => row.querySelector("td.name > a");
  const cellsOf = (row) => {
    const keys = within(row, "table[data-edits]")?.dataset.edits.split(" ") ?? [];
    return "fixed" in row.dataset ? [] : [...row.querySelectorAll("td[data-field]")].filter((cell) => keys.includes(cell.dataset.field));
  };
  const headOf = (cell) => within(cell, "table").querySelectorAll("thead th")[cell.cellIndex]?.textContent.replace(/[↑↓\d]+\s*$/, "").trim();

  // ── Pencils ───────────────────────────────────────────────────────────────────────────────────────────────────────

  const sharpen = (row) => {
    for (const cell of cellsOf(row)) {
      if (cell.querySelector(".pencil")) continue;
      const pencil = document.createElement("button");
      const icon = document.createElement("i");
      pencil.type = "button";
      pencil.className = "pencil";
      pencil.setAttribute("aria-label", table().dataset.change.replace("…", headOf(cell)));
      pencil.setAttribute("aria-keyshortcuts", "e");
      icon.className = "bi bi-pencil";
      icon.setAttribute("aria-hidden", "true");
      pencil.append(icon);
      cell.append(pencil);
    }
  };
  const blunt = (row) => {
    if (row.matches(":hover") || row.contains(document.activeElement)) return;
    for (const pencil of row.querySelectorAll(".pencil")) pencil.remove();
  };
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const row = within(event.target, "table[data-edits] tbody tr");
      if (row && event.pointerType !== "touch") sharpen(row);
    });
  }
  for (const kind of ["pointerout", "focusout"]) {
    document.addEventListener(kind, (event) => {
      const row = within(event.target, "table[data-edits] tbody tr");
      if (row && !row.contains(event.relatedTarget)) setTimeout(blunt, 0, row);
    });
  }

  // ── The form in the cell ──────────────────────────────────────────────────────────────────────────────────────────

  const asked = () => `list=${encodeURIComponent(location.search.slice(1))}`;
  const addressOf = (cell) => {
    const record = new URL(linkOf(cell.parentElement).href);
    return `${record.pathname}cell/${cell.dataset.field}/`;
  };
  const part = async (answer) => {
    const made = document.createElement("template");
    made.innerHTML = (await answer.text()).trim();
    return made.content;
  };
  const request = (address, options = {}) => fetch(address, { ...options, headers: { "HX-Request": "true" } });

  const close = (cell, focus = true) => {
    cell.querySelector(".cell-form")?.remove();
    cell.classList.remove("open");
    if (focus) (cell.querySelector(".pencil") || linkOf(cell.parentElement)).focus();
  };

  const put = (cell, form) => {
    close(cell, false);
    cell.classList.add("open");
    cell.append(form);
    htmx.process(form);
    document.dispatchEvent(new CustomEvent("htmx:load", { detail: { elt: form } }));
    const field = form.querySelector("[aria-invalid=true], input:not([type=hidden]), select, textarea") || form.querySelector("a");
    field.focus();
    field.select?.();
    form.scrollIntoView({ block: "nearest", inline: "nearest" });
  };

  const open = async (cell) => {
    if (cell.classList.contains("open")) return;
    const address = addressOf(cell);
    for (const other of document.querySelectorAll("td.open")) close(other, false);
    const answer = await request(`${address}?${asked()}`).catch(() => null);
    const form = answer && !answer.redirected && (await part(answer)).querySelector("form[data-cell]");
    if (form) put(cell, form);
    else location.assign(`${address}?${asked()}`);  // the page says what is the matter
  };

  document.addEventListener("click", (event) => {
    const pencil = within(event.target, ".pencil");
    const leaves = within(event.target, "td .cell-form [data-leaves]");
    if (pencil) open(pencil.parentElement);
    if (!leaves) return;
    event.preventDefault();
    close(within(leaves, "td"));
  });

  document.addEventListener("keydown", (event) => {
    const form = within(event.target, "td .cell-form");
    if (form && event.key === "Escape" && !event.defaultPrevented) {
      event.preventDefault();
      close(within(form, "td"));
      return;
    }
    if (event.key !== "e" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (within(event.target, "input:not([type=checkbox]), textarea, select, dialog")) return;
    const row = within(event.target, "table[data-edits] tbody tr");
    const cell = within(event.target, "td[data-field]");
    const [first] = row ? cellsOf(row) : [];
    if (!first) return;
    event.preventDefault();
    open(cellsOf(row).includes(cell) ? cell : first);
  });

  // ── The menu of a row: the links of its own page, in a panel beside it ────────────────────────────────────────────

  document.addEventListener("click", async (event) => {
    const link = within(event.target, "a[data-menu]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const address = `${link.href}?list=${encodeURIComponent(location.pathname + location.search)}`;
    const answer = await request(address).catch(() => null);
    const panel = answer?.ok && !answer.redirected && (await part(answer)).querySelector(".panel");
    if (!panel) {
      location.assign(address);
      return;
    }
    const menu = document.createElement("details");
    const summary = document.createElement("summary");
    menu.className = "menu";
    menu.open = true;
    summary.setAttribute("aria-label", link.getAttribute("aria-label"));
    summary.append(...link.childNodes);
    menu.append(summary, panel);
    for (const other of document.querySelectorAll("details.menu[open]")) other.open = false;
    link.replaceWith(menu);
    menu.classList.toggle("up", panel.getBoundingClientRect().bottom > innerHeight - 48);  // above the foot
    panel.querySelector("a").focus();
  });

  // Up and down go through what stands in it.
  document.addEventListener("keydown", (event) => {
    const panel = within(event.target, ".rows td.acts .panel");
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!panel || !by) return;
    event.preventDefault();
    const links = [...panel.querySelectorAll("a")];
    links[(links.indexOf(document.activeElement) + by + links.length) % links.length].focus();
  });

  // ── The files of a row, in a dialog over the list ─────────────────────────────────────────────────────────────────

  document.addEventListener("click", async (event) => {
    const link = within(event.target, "a[data-files]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const answer = await request(link.href).catch(() => null);
    const files = answer?.ok && !answer.redirected && (await part(answer)).querySelector("#files");
    if (!files) {
      location.assign(link.href);
      return;
    }
    const dialog = document.createElement("dialog");
    const bar = document.createElement("form");
    const button = document.createElement("button");
    dialog.className = "ask";
    dialog.setAttribute("aria-label", link.getAttribute("aria-label"));
    bar.className = "bar";
    bar.method = "dialog";
    button.className = "btn";
    button.textContent = document.querySelector("#keys form .btn").textContent;  // Close
    bar.append(button);
    dialog.append(files, bar);
    document.body.append(dialog);
    htmx.process(dialog);
    dialog.addEventListener("close", () => {
      const count = Number(dialog.querySelector("#files header .n").textContent);
      link.querySelector("[data-files-count]").textContent = count || "+";
      dialog.remove();
      link.focus();
    });
    dialog.showModal();
  });

  document.addEventListener("submit", async (event) => {
    const form = within(event.target, "td .cell-form");
    if (!form) return;
    event.preventDefault();
    event.stopPropagation();
    const cell = within(form, "td");
    const row = cell.parentElement;
    const field = cell.dataset.field;
    const data = new URLSearchParams(new FormData(form));
    if (form.dataset.sent) return;
    form.dataset.sent = "yes";
    form.querySelector(".btn-primary")?.setAttribute("aria-busy", "true");
    const answer = await request(form.action, { method: "POST", body: data }).catch(() => null);
    if (!answer) {
      delete form.dataset.sent;
      form.querySelector(".btn-primary")?.removeAttribute("aria-busy");
      form.querySelector("[data-lost]").hidden = false;  // what was typed stays
      return;
    }
    if (answer.status === 204) {  // nobody's to see any more
      location.reload();
      return;
    }
    const found = await part(answer);
    const again = found.querySelector("form[data-cell]");
    const fresh = found.querySelector("tr");
    if (again) put(cell, again);
    else if (fresh) {
      fresh.classList.add("fresh");
      const box = row.querySelector("td.choose input");
      row.replaceWith(fresh);
      if (box?.checked) fresh.querySelector("td.choose input").checked = true;
      htmx.process(fresh);
      sharpen(fresh);
      (fresh.querySelector(`td[data-field="${field}"] .pencil`) || linkOf(fresh)).focus();
      document.querySelector("[data-cells-said]").textContent = table().dataset.saved;
      htmx.trigger(document.body, "cells:saved");  // the foot counts and sums anew
    } else location.assign(`${addressOf(cell)}?${asked()}`);
  }, true);
})();
