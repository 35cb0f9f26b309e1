// Makes the pages pleasant: keys, menus, busy buttons, questions in a dialog, rows that are counted as they are selected,
// toasts that leave, pickers that search, mentions that offer names.
// Everything works without it; nothing here decides anything.
(() => {
  "use strict";

  const within = (element, selector) => (element instanceof Element ? element.closest(selector) : null);
  const typing = (element) => within(element, "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog");

  // ── Menus: one open at a time; Escape and a press elsewhere close them ────────────────────────────────────────────

  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (menu !== except) menu.open = false;
    }
  };

  document.addEventListener("click", (event) => closeMenus(within(event.target, "details.menu")));

  // ── Keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  const shown = (element) => element.checkVisibility ? element.checkVisibility() : element.offsetParent !== null;
  const rows = () => [...document.querySelectorAll(".rows td.name a, .todo .what a")].filter(shown);

  const step = (by) => {
    const links = rows();
    const here = links.findIndex((link) => link === document.activeElement || rowOf(link)?.contains(document.activeElement));
    const next = links[here < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(here + by, 0), links.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };

  const rowOf = (element) => within(element, ".rows tr, .todo");

  // What a key needs on the page; the list of keys names only those that do something here.
  const there = {
    find: () => document.querySelector(".top .find input, .filters .find input"),
    rows: () => rows()[0],
    boxes: () => document.querySelector(".rows td input[type=checkbox]"),
    menu: () => [...document.querySelectorAll("details.menu[data-new]")].find(shown),
  };

  const keys = {
    "/": there.find,
    j: () => step(1),
    k: () => step(-1),
    x: () => rowOf(document.activeElement)?.querySelector("input[type=checkbox]")?.click(),
    n: () => {
      const menu = there.menu();
      if (!menu) return null;
      closeMenus(menu);
      menu.open = true;
      return menu.querySelector(".panel a");
    },
    "?": () => {
      const dialog = document.getElementById("keys");
      for (const key of dialog?.querySelectorAll("[data-with]") ?? []) {
        key.hidden = key.nextElementSibling.hidden = !there[key.dataset.with]();
      }
      dialog?.showModal();
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const open = within(document.activeElement, "details.menu[open]");
      closeMenus();
      open?.querySelector("summary").focus();
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    const focus = keys[event.key]();
    if (focus instanceof HTMLElement) {
      focus.focus();
      focus.select?.();
    }
  });

  // ── A pressed button is busy; a second press does nothing ─────────────────────────────────────────────────────────

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    setTimeout(() => rested(document), 10000);  // an answer that is a file leaves the page as it is
    const button = event.submitter;
    if (button?.classList.contains("btn")) {
      button.setAttribute("aria-busy", "true");
      const spinner = document.createElement("span");
      spinner.className = "spinner-border spinner-border-sm";
      spinner.setAttribute("aria-hidden", "true");
      button.prepend(spinner);
    }
  });

  // A page that the browser kept and shows again is fresh, and so is a form whose answer htmx put in place.
  const rested = (root) => {
    for (const form of root.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of root.querySelectorAll(".btn[aria-busy]")) {
      button.removeAttribute("aria-busy");
      button.querySelector(".spinner-border")?.remove();
    }
  };
  window.addEventListener("pageshow", (event) => event.persisted && rested(document));
  document.addEventListener("htmx:afterRequest", () => rested(document));

  // ── What was typed is not lost: leaving it asks, and a sign-in that came between gives it back ───────────────────

  const TYPED = "typed";
  const here = () => location.pathname + location.search;
  let unsent = null;

  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (form?.method === "post" && within(form, "main")) unsent = form;
  });
  window.addEventListener("beforeunload", (event) => unsent?.isConnected && event.preventDefault());

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (unsent === form) unsent = null;
    if (event.defaultPrevented || form.method !== "post" || !within(form, "main")) return;
    const elements = [...form.elements];
    if (elements.some((field) => field.type === "password")) return;
    const fields = [...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "csrfmiddlewaretoken");
    const typedIn = (field) => fields.some(([name]) => name === field.name) && !["hidden", "submit", "button"].includes(field.type);
    if (!elements.some(typedIn)) return;
    sessionStorage.setItem(TYPED, JSON.stringify({ user: document.documentElement.dataset.user, action: addressOf(form), fields }));
  });

  const addressOf = (form) => {
    const address = new URL(form.getAttribute("action") || location.href, location.href);
    return address.pathname + address.search;
  };

  const giveBack = (fields) => {
    const has = (form) => fields.filter(([name]) => form.elements[name]).length;
    const forms = [...document.querySelectorAll("main form[method=post]")].filter((form) => addressOf(form) === here());
    const form = forms.sort((one, other) => has(other) - has(one))[0];
    if (!form || !has(form)) return;
    const rows = Number(fields.find(([name]) => name === "rows")?.[1] || 0);
    const more = form.querySelector("button[data-adds]");
    while (more && Number(form.elements.rows.value) < Math.min(rows, 100)) more.click();
    const passed = {};
    for (const field of form.elements) {
      if (!field.name || ["csrfmiddlewaretoken", "once"].includes(field.name) || ["file", "submit"].includes(field.type)) continue;
      const values = fields.filter(([name]) => name === field.name).map(([, value]) => value);
      if (["checkbox", "radio"].includes(field.type)) {
        field.checked = values.includes(field.value);
        continue;
      }
      const at = passed[field.name] || 0;
      passed[field.name] = at + 1;
      if (at < values.length) field.value = values[at];
    }
    unsent = form;
    const said = document.getElementById("typed-again");
    document.querySelector(".toasts")?.append(said.content.cloneNode(true));
  };

  // A page that answers has what was sent, or shows it again; the page for signing in has not, so it is kept for the
  // next, and given back to nobody but who typed it.
  const kept = JSON.parse(sessionStorage.getItem(TYPED) || "null");
  if (kept && document.querySelector("input[name=login], [data-keeps]")) {
    sessionStorage.setItem(TYPED, JSON.stringify({ ...kept, signedOut: true }));
  } else if (kept) {
    sessionStorage.removeItem(TYPED);
    const mine = kept.user && kept.user === document.documentElement.dataset.user;
    if (mine && kept.signedOut && kept.action === here()) addEventListener("load", () => giveBack(kept.fields));
  }

  // Where the session is over, htmx is led to the page for signing in, which is no part of this one.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (new URL(event.detail.xhr.responseURL || location.href).pathname.startsWith("/accounts/")) event.detail.shouldSwap = false;
  });

  // ── A question: the page that asks, shown in a dialog ─────────────────────────────────────────────────────────────

  document.addEventListener("click", (event) => {
    const link = within(event.target, "a[data-ask]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    ask(link.href, link);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("form[data-ask][method=get]")) return;
    event.preventDefault();
    const address = new URL(form.action);
    address.search = new URLSearchParams(new FormData(form, event.submitter));
    ask(address.href, event.submitter);
  });

  // Whatever asked has the focus again once the dialog is gone.
  const ask = async (address, asker) => {
    const form = await question(address).catch(() => null);
    if (!form) {
      location.assign(address);
      return;
    }
    const dialog = document.createElement("dialog");
    dialog.className = "ask";
    dialog.setAttribute("aria-labelledby", "ask-title");
    form.classList.remove("ask");
    dialog.append(form);
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      asker?.focus();
    });
    dialog.addEventListener("click", (press) => {
      if (!within(press.target, "[data-no]")) return;
      press.preventDefault();
      dialog.close();
    });
    form.addEventListener("submit", () => form.method === "get" && setTimeout(() => dialog.close()));  // it brings a file
    enhance(dialog);
    dialog.showModal();
  };

  const question = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const form = page.querySelector("main form.ask");
    return form && document.importNode(form, true);
  };

  // ── Rows are selected: their boxes belong to one form, which says how many and knows what to do with them ─────────

  const selection = () => document.querySelector("form[data-selection]");
  const boxesOf = (form) => [...form.elements].filter((element) => element.type === "checkbox");
  const allOf = (form) => document.querySelector(`input[data-selects="${form.id}"]`);
  let lastBox = null;

  const count = () => {
    const form = selection();
    if (!form) return;
    const boxes = boxesOf(form);
    const many = boxes.filter((box) => box.checked).length;
    const all = allOf(form);
    form.querySelector("[data-count]").textContent = many;
    document.querySelector("[data-selection-said]").textContent = form.querySelector(".say").textContent;
    all.closest("label").hidden = false;
    all.checked = many === boxes.length;
    all.indeterminate = many > 0 && many < boxes.length;
  };

  document.addEventListener("change", (event) => {
    const form = selection();
    if (form && event.target === allOf(form)) for (const box of boxesOf(form)) box.checked = event.target.checked;
    else if (!form || event.target.form !== form) return;
    count();
  });

  // With Shift, all from the box pressed before to this one.
  document.addEventListener("click", (event) => {
    const form = selection();
    const box = event.target;
    if (!form || box.type !== "checkbox" || box.form !== form) return;
    const boxes = boxesOf(form);
    const [from, to] = [boxes.indexOf(lastBox), boxes.indexOf(box)].sort((one, other) => one - other);
    if (event.shiftKey && from >= 0) for (const one of boxes.slice(from, to + 1)) one.checked = box.checked;
    lastBox = box;
  });

  document.addEventListener("reset", (event) => {
    if (event.target !== selection()) return;
    allOf(event.target).focus();  // the bar with the button leaves
    setTimeout(count);
  });
  window.addEventListener("pageshow", count);  // the browser may have kept what was selected

  // ── Toasts leave after six seconds, but not from under a pointer or the focus ─────────────────────────────────────

  const leave = (note) => {
    if (note.matches(":hover, :focus-within")) setTimeout(leave, 1000, note);
    else note.remove();
  };

  // ── A list below a text field, to choose from by pointer or by arrow keys ─────────────────────────────────────────

  let lists = 0;

  // `choose` is called with the row that was chosen: { picked, address } as `row` was given them.
  const listBelow = (input, label, choose) => {
    const list = document.createElement("div");
    const id = `options-${++lists}`;
    let current = -1;

    list.className = "panel";
    list.id = id;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", label);
    list.hidden = true;
    input.after(list);
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-controls", id);

    const options = () => [...list.querySelectorAll("[role=option]")];

    const open = (is) => {
      list.hidden = !is;
      current = -1;
      input.removeAttribute("aria-activedescendant");
      if (input.getAttribute("role") === "combobox") input.setAttribute("aria-expanded", String(is));
    };

    const point = (index) => {
      const all = options();
      if (!all.length) return;
      current = (index + all.length) % all.length;
      all.forEach((option, at) => option.setAttribute("aria-selected", String(at === current)));
      input.setAttribute("aria-activedescendant", all[current].id);
      all[current].scrollIntoView({ block: "nearest" });
    };

    const marked = (text, typed) => {
      const at = text.toLocaleLowerCase().indexOf(typed.toLocaleLowerCase());
      if (!typed || at < 0) return [text];
      const mark = document.createElement("mark");
      mark.textContent = text.slice(at, at + typed.length);
      return [text.slice(0, at), mark, text.slice(at + typed.length)];
    };

    const row = (label, second, typed) => {
      const option = document.createElement("div");
      const text = document.createElement("span");
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.id = `${id}-${options().length}`;
      text.append(...marked(label, typed));
      if (second) {
        const line = document.createElement("span");
        line.className = "small quiet";
        line.textContent = second;
        text.append(" ", line);
      }
      option.append(text);
      list.append(option);
      return option;
    };

    const show = (answer, typed) => {
      list.replaceChildren();
      for (const one of answer.options) row(one.label, one.second, typed).picked = one;
      if (answer.create) row(answer.create.label, "", "").address = answer.create.url;
      if (answer.note) {
        const note = document.createElement("p");
        note.className = "note-line small quiet";
        note.setAttribute("role", "status");
        note.textContent = answer.note;
        list.append(note);
      }
      open(true);
      list.scrollIntoView({ block: "nearest" });
    };

    list.addEventListener("mousedown", (event) => event.preventDefault());  // or the field loses the focus before the click
    list.addEventListener("click", (event) => {
      const option = within(event.target, "[role=option]");
      if (option) choose(option);
    });

    return {
      show,
      close: () => open(false),
      isOpen: () => !list.hidden,
      step: (by) => point(by > 0 ? current + 1 : current < 0 ? -1 : current - 1),
      pointed: () => options()[current],
      offered: () => options().filter((option) => option.picked),
    };
  };

  const matching = async (source, typed) => {
    const address = new URL(source, location.href);
    address.searchParams.set("q", typed);
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    return answer.ok && answer.json();
  };

  // ── Pickers: a combobox over a text field and the key beside it ───────────────────────────────────────────────────

  const combobox = (picker) => {
    const input = picker.querySelector("input[type=text]");
    const key = picker.querySelector(`input[type=hidden][name="${input.name}_id"]`);
    const many = "many" in picker.dataset;
    let asked = "";
    let timer;

    const tick = (one) => {
      if (picker.querySelector(`input[type=checkbox][value="${one.id}"]`)) return;
      const line = document.createElement("div");
      const box = document.createElement("input");
      const label = document.createElement("label");
      const second = document.createElement("span");
      line.className = "tick";
      Object.assign(box, { type: "checkbox", name: `${input.name}_id`, value: one.id, id: `${input.id}_${one.id}`, checked: true });
      box.className = "form-check-input";
      label.htmlFor = box.id;
      second.className = "small quiet";
      second.textContent = one.second;
      label.append(`${one.label} `, second);
      line.append(box, " ", label);
      input.before(line);
    };

    // What the choice says of the fields beside it; what somebody typed there stays.
    const fill = (values) => {
      for (const [name, value] of Object.entries(values)) {
        const field = within(input, "[data-row]")?.querySelector(`[name$="-${name}"]`);
        if (!field || (field.value && field.value !== field.dataset.filled)) continue;
        field.value = field.dataset.filled = value;
      }
    };

    const choose = (option) => {
      if (option.address) {
        window.open(option.address, "_blank", "noopener");
        close();
        return;
      }
      const one = option.picked;
      picker.querySelector(".choices")?.remove();
      if (many) {
        tick(one);
        input.value = "";
      } else {
        key.value = one.id;
        input.value = one.label;
        fill(one.fills || {});
      }
      close();
      input.dispatchEvent(new Event("change", { bubbles: true }));
    };

    input.setAttribute("role", "combobox");
    input.setAttribute("aria-expanded", "false");
    const list = listBelow(input, picker.dataset.matches, choose);

    const close = () => {
      clearTimeout(timer);
      asked = null;
      list.close();
    };

    const ask = async () => {
      const typed = input.value.trim();
      asked = typed;
      try {
        const found = await matching(picker.dataset.src, typed);
        if (found && asked === typed) list.show(found, typed);  // a slow answer to an older text is dropped
      } catch {
        close();  // the text field goes on working
      }
    };

    input.addEventListener("input", () => {
      if (key) key.value = "";
      clearTimeout(timer);
      timer = setTimeout(ask, 150);
    });
    input.addEventListener("click", () => list.isOpen() || ask());
    input.addEventListener("blur", () => close());
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;  // an input method is still at work
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (list.isOpen()) list.step(event.key === "ArrowDown" ? 1 : -1);
        else ask();
      } else if (event.key === "Enter" && list.isOpen()) {
        event.preventDefault();
        const offered = list.offered();
        const named = offered.filter((option) => option.picked.label.toLocaleLowerCase() === asked.toLocaleLowerCase());
        const meant = list.pointed() || [named, offered].find((some) => some.length === 1)?.[0];
        if (meant) choose(meant);
      } else if (event.key === "Escape" && list.isOpen()) {
        event.preventDefault();
        event.stopPropagation();
        close();
      }
    });
  };

  // ── Mentions: after @ a text offers the people whose name begins so ───────────────────────────────────────────────

  const mentions = (text) => {
    let asked = null;
    let timer;

    // What is typed after the last @ before the caret, which is not that of an e-mail address.
    const typed = () => text.value.slice(0, text.selectionStart).match(/(?:^|[^A-Za-z0-9_.@])@([^@\n,.;:!?，。；：！？]{1,40})$/)?.[1];

    const list = listBelow(text, text.dataset.matches, (option) => {
      const word = typed();
      if (word === undefined) return close();
      const caret = text.selectionStart;
      const { label, username } = option.picked;
      const alone = list.offered().filter((one) => one.picked.label === label).length === 1;
      text.setRangeText(`${alone ? label : username} `, caret - word.length, caret, "end");
      close();
      text.dispatchEvent(new Event("input", { bubbles: true }));
    });

    const close = () => {
      clearTimeout(timer);
      asked = null;
      list.close();
    };

    const ask = async () => {
      const word = typed();
      if (word === undefined || word.startsWith(" ")) return close();
      asked = word;
      try {
        const found = await matching(text.dataset.mentions, word);
        if (!found || asked !== word) return;
        if (found.options.length) list.show(found, word);
        else close();  // the name is over, and the sentence goes on
      } catch {
        close();
      }
    };

    text.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 150);
    });
    text.addEventListener("blur", close);
    text.addEventListener("keydown", (event) => {
      if (event.isComposing || !list.isOpen()) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        list.step(event.key === "ArrowDown" ? 1 : -1);
      } else if (event.key === "Enter" || event.key === "Tab") {
        const meant = list.pointed() || (list.offered().length === 1 && list.offered()[0]);
        if (!meant) return close();
        event.preventDefault();
        meant.click();
      } else if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        close();
      }
    });
  };

  // ── Files: chosen or dropped, they go at once; a bar shows how far they are ───────────────────────────────────────

  document.addEventListener("change", (event) => {
    const input = within(event.target, "input[data-at-once]");
    if (input?.files.length) input.form.requestSubmit();
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const form = within(event.target, "[data-drop]");
      if (!form || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();  // or the browser would open the file
      form.classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      form.querySelector("input[type=file]").files = event.dataTransfer.files;
      form.requestSubmit();
    });
  }
  document.addEventListener("htmx:xhr:progress", (event) => {
    const bar = within(event.target, "[data-drop]")?.querySelector("progress");
    if (!bar || !event.detail.lengthComputable) return;
    bar.hidden = false;
    bar.value = (event.detail.loaded / event.detail.total) * 100;
  });

  // ── A row more: a copy of the one in a template, under the next number ────────────────────────────────────────────

  document.addEventListener("click", (event) => {
    const button = within(event.target, "button[data-adds]");
    if (!button) return;
    event.preventDefault();
    const count = button.form.elements.rows;
    const number = Number(count.value);
    const row = document.createElement("template");
    row.innerHTML = document.getElementById(button.dataset.adds).innerHTML.replaceAll("line-new", `line-${number}`);
    const added = row.content.firstElementChild;
    document.getElementById(button.dataset.into).append(row.content);
    count.value = number + 1;
    enhance(added);
    added.querySelector("input[type=text]").focus();
  });

  // ── On every page, and on every part that comes in later ──────────────────────────────────────────────────────────

  const enhance = (root) => {
    for (const picker of root.querySelectorAll(".picker:not([data-ready])")) {
      picker.dataset.ready = "yes";
      combobox(picker);
    }
    for (const text of root.querySelectorAll("textarea[data-mentions]:not([data-ready])")) {
      text.dataset.ready = "yes";
      mentions(text);
    }
    for (const note of root.querySelectorAll(".note:not([data-ready])")) {
      note.dataset.ready = "yes";
      setTimeout(leave, 6000, note);
    }
  };

  enhance(document);
  document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));
})();
