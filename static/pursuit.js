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
  const rows = () => [...document.querySelectorAll(".rows td.name a:not(.cell-form a), .todo .what a, .deal h3 a, .found a.strong")].filter(shown);

  const step = (by) => {
    const links = rows();
    const here = links.findIndex((link) => link === document.activeElement || rowOf(link)?.contains(document.activeElement));
    const next = links[here < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(here + by, 0), links.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };

  const press = (selector) => document.querySelector(selector)?.click();

  const rowOf = (element) => within(element, ".rows tr, .todo, .deal, .found li");

  // What a key needs on the page; the list of keys names only those that do something here.
  const there = {
    find: () => document.querySelector(".top .find input, .filters .find input"),
    rows: () => rows()[0],
    cells: () => document.querySelector("table[data-edits] tbody tr:not([data-fixed])"),
    boxes: () => document.querySelector(".rows td input[type=checkbox]"),
    menus: () => [...document.querySelectorAll(".rows td.acts")].find(shown),
    steps: () => document.querySelector(".back .step a"),
    back: () => document.querySelector(".back[data-steps] a"),
    menu: () => [...document.querySelectorAll("details.menu[data-new]")].find(shown),
  };

  const keys = {
    "/": there.find,
    j: () => step(1),
    k: () => step(-1),
    x: () => rowOf(document.activeElement)?.querySelector("input[type=checkbox]")?.click(),
    m: () => rowOf(document.activeElement)?.querySelector("td.acts :is(a, summary)")?.click(),
    n: () => {
      const menu = there.menu();
      if (!menu) return null;
      closeMenus(menu);
      menu.open = true;
      return menu.querySelector(".panel a");
    },
    J: () => press(".back .step [rel=next]"),
    K: () => press(".back .step [rel=prev]"),
    u: () => press(".back[data-steps] a"),
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
      const was = document.querySelector("details.menu[open], dialog[open]");
      closeMenus();
      open?.querySelector("summary").focus();
      if (!was && !event.defaultPrevented && !typing(event.target) && !within(event.target, ".cell-form")) clear();
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
    if (form?.method === "post" && !("passing" in form.dataset) && within(form, "main")) unsent = form;
  });
  window.addEventListener("beforeunload", (event) => unsent?.isConnected && event.preventDefault());

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (unsent === form) unsent = null;
    if (event.defaultPrevented || form.method !== "post" || "passing" in form.dataset || !within(form, "main")) return;
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

  // What somebody writes into the filter while an answer is on its way would be put out by it: it is asked for anew.
  const sentWith = new WeakMap();
  const written = (form) => new URLSearchParams(new FormData(form)).toString();
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    const form = within(detail.elt, "#filter");
    if (form) sentWith.set(detail.xhr, written(form));
  });
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { elt } = detail.requestConfig;
    const form = within(elt, "#filter");
    if (!form || !detail.shouldSwap || sentWith.get(detail.xhr) === written(form)) return;
    detail.shouldSwap = false;
    setTimeout(() => elt.dispatchEvent(new Event(elt.matches("button") ? "click" : "change", { bubbles: true })));
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
    if (event.submitter && "page" in event.submitter.dataset) return;  // its question is too long for a dialog
    event.preventDefault();
    const address = new URL(event.submitter?.hasAttribute("formaction") ? event.submitter.formAction : form.action);
    address.search = new URLSearchParams(new FormData(form, event.submitter));
    ask(address.href, event.submitter);
  });

  // A dialog may ask while another is open: each is called by its own title.
  let dialogs = 0;
  const called = (dialog, form) => {
    const title = form.querySelector("#ask-title, [data-title]");
    form.classList.remove("ask");
    title.dataset.title = "";
    title.id = `ask-title-${++dialogs}`;
    for (const one of [dialog, form]) one.setAttribute("aria-labelledby", title.id);
  };

  // Whatever asked has the focus again once the dialog is gone.
  const inDialog = (form, asker) => {
    const dialog = document.createElement("dialog");
    dialog.className = "ask";
    dialog.append(form);
    called(dialog, form);
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
    enhance(dialog);
    window.htmx?.process(dialog);
    dialog.showModal();
    dialog.dispatchEvent(new Event("asked", { bubbles: true }));
    return dialog;
  };

  const ask = async (address, asker) => {
    const form = await question(address).catch(() => null);
    if (!form) {
      location.assign(address);
      return;
    }
    const dialog = inDialog(form, asker);
    form.addEventListener("submit", () => form.method === "get" && setTimeout(() => dialog.close()));  // it brings a file
  };

  const question = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const form = page.querySelector("main form.ask");
    return form && document.importNode(form, true);
  };

  // ── Something new: its small form in a dialog over the page, which shows it once it is saved ──────────────────────

  document.addEventListener("click", (event) => {
    const link = within(event.target, "a[data-quick]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    closeMenus();
    quick(link.href, within(link, "details.menu")?.querySelector("summary") || link);
  });

  const left = new Map();  // {address: the form that was closed with something typed}

  // `then` is told what was made, where somebody waits for it.
  const quick = async (address, asker, then) => {
    const form = left.get(address) || (await question(address).catch(() => null));
    if (!form) {
      if (then) window.open(address, "_blank", "noopener");  // what was typed here stays
      else location.assign(address);
      return;
    }
    left.delete(address);
    const dialog = inDialog(form, asker);
    let typed = form;
    dialog.classList.add("quick");
    dialog.querySelector("input:not([type=hidden]), select, textarea")?.focus();
    dialog.addEventListener("input", () => left.set(address, typed));
    dialog.addEventListener("submit", async (event) => {
      if (event.target !== typed) return;
      event.preventDefault();
      if (typed.dataset.sent) return;
      const data = new FormData(typed, event.submitter);
      const answer = await fetch(typed.action, { method: "POST", body: data, headers: { Accept: "application/json" } }).catch(() => null);
      const told = answer?.headers.get("Content-Type") || "";
      if (told.startsWith("application/json")) {
        const made = await answer.json();
        left.delete(address);
        if (made.go) location.assign(made.go);
        else {
          dialog.close();
          if (then || !showAgain(made)) tell(made);
          then?.(made.made);
        }
        return;
      }
      const page = answer && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main form.ask");
      if (!page) {
        rested(dialog);
        dialog.querySelector("[data-failed]").hidden = false;
        return;
      }
      const again = document.importNode(page, true);
      called(dialog, again);
      typed.replaceWith(again);
      typed = again;
      left.set(address, again);
      enhance(again);
      window.htmx?.process(again);
      again.querySelector("[aria-invalid=true], .wrong input:not([type=hidden])")?.focus();
    });
  };

  // The page is loaded again, and says it then: unless that would lose what was typed or selected, or send a form again.
  const SAID = "said";
  const showAgain = (made) => {
    const status = performance.getEntriesByType("navigation")[0]?.responseStatus;
    const form = selection();
    if (unsent?.isConnected || left.size || status !== 200 || (form && boxesOf(form).some((box) => box.checked))) return false;
    sessionStorage.setItem(SAID, JSON.stringify(made));
    location.reload();
    return true;
  };
  const saidBefore = () => {
    const made = JSON.parse(sessionStorage.getItem(SAID) || "null");
    if (!made) return;
    sessionStorage.removeItem(SAID);
    if (document.querySelector("input[name=login]")) return;
    tell(made);
    there.menu()?.querySelector("summary").focus({ preventScroll: true });
  };

  const tell = ({ said, url, open }) => {
    const note = document.createElement("div");
    const link = document.createElement("a");
    note.className = "note";
    Object.assign(link, { className: "link", href: url, textContent: open });
    note.append(said, " ", link);
    document.querySelector(".toasts")?.append(note);
    enhance(document);
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
    const said = form.querySelector(form.classList.contains("every") ? ".say.all" : ".say.these");
    const told = document.querySelector("[data-selection-said]");
    if (many || told.textContent) told.textContent = said.textContent;
    all.closest("label").hidden = false;
    all.checked = many === boxes.length;
    all.indeterminate = many > 0 && many < boxes.length;
  };

  document.addEventListener("change", (event) => {
    const form = selection();
    if (form && event.target === allOf(form)) for (const box of boxesOf(form)) box.checked = event.target.checked;
    else if (!form || event.target.form !== form) return;
    selectEvery(form, false);  // whoever takes one away, or begins anew, means those that are ticked
    count();
  });

  // All that match, beyond this page: the form says so instead of naming rows.
  const selectEvery = (form, is) => {
    form.classList.toggle("every", is);
    form.querySelector("[data-every]").disabled = !is;
    const out = form.querySelector("[data-exports]");
    if (out) out.value = is ? "all" : "selected";
  };

  document.addEventListener("click", (event) => {
    const form = selection();
    const link = within(event.target, "[data-selects-every], [data-clears]");
    if (!form || !link) return;
    event.preventDefault();
    const is = "selectsEvery" in link.dataset;
    for (const box of boxesOf(form)) box.checked = is;
    selectEvery(form, is);
    count();
    if (is) form.querySelector("button:not([hidden])")?.focus();
    else allOf(form).focus();
  });

  // What is typed beside a box that says whether a field changes, ticks it.
  document.addEventListener("input", (event) => {
    const sets = within(event.target, ".sets")?.querySelector("[data-sets]");
    if (sets && event.target !== sets) sets.checked = true;
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

  const clear = () => {
    const form = selection();
    if (!form || !boxesOf(form).some((box) => box.checked)) return;
    if (form.classList.contains("every")) form.querySelector("[data-clears]").click();
    else form.reset();
  };

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
    const rowOf = (option) => option.href || option.address || JSON.stringify(option.picked);

    const open = (is) => {
      list.hidden = !is;
      current = -1;
      input.removeAttribute("aria-activedescendant");
      if (input.getAttribute("role") === "combobox") input.setAttribute("aria-expanded", String(is));
    };

    // What is typed on is a new question: what was pointed at is meant no more.
    input.addEventListener("input", () => {
      options()[current]?.setAttribute("aria-selected", "false");
      input.removeAttribute("aria-activedescendant");
      current = -1;
    });

    const point = (index) => {
      const all = options();
      if (!all.length) return;
      current = (index + all.length) % all.length;
      all.forEach((option, at) => option.setAttribute("aria-selected", String(at === current)));
      input.setAttribute("aria-activedescendant", all[current].id);
      all[current].scrollIntoView({ block: "nearest" });
    };

    const marked = (text, typed) => {
      const words = typed.split(/\s+/).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      if (!words.length) return [text];
      return text.split(new RegExp(`(${words.join("|")})`, "i")).map((part, at) => {
        if (at % 2 === 0) return part;
        const mark = document.createElement("mark");
        mark.textContent = part;
        return mark;
      });
    };

    const row = (label, second, typed, address = "", into = list) => {
      const option = document.createElement(address ? "a" : "div");
      const text = document.createElement("span");
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.id = `${id}-${options().length}`;
      text.append(...marked(label, typed));
      if (second) {
        const line = document.createElement("span");
        line.className = "small quiet";
        line.append(...marked(second, typed));
        text.append(" ", line);
      }
      option.append(text);
      if (address) Object.assign(option, { href: address, tabIndex: -1 });  // so it can be opened in a tab of its own too
      into.append(option);
      return option;
    };

    const group = (label) => {
      const part = document.createElement("div");
      const heading = document.createElement("p");
      part.setAttribute("role", "group");
      part.setAttribute("aria-label", label);
      heading.className = "tiny faint";
      heading.setAttribute("aria-hidden", "true");
      heading.textContent = label;
      part.append(heading);
      list.append(part);
      return part;
    };

    // An answer that comes while somebody points at a row goes on pointing at it, where it has it too.
    const show = (answer, typed) => {
      const pointed = options()[current];
      list.replaceChildren();
      for (const { label, options: found } of answer.groups ?? []) {
        const part = group(label);
        for (const one of found) row(one.label, one.second, typed, one.url, part);
      }
      for (const one of answer.options ?? []) row(one.label, one.second, typed).picked = one;
      if (answer.create) row(answer.create.label, "", "").address = answer.create.url;
      if (answer.note) {
        const note = document.createElement("p");
        note.className = "note-line small quiet";
        note.setAttribute("role", "status");
        note.textContent = answer.note;
        list.append(note);
      }
      if (answer.all) row(answer.all.label, "", "", answer.all.url).classList.add("all");
      open(list.childElementCount > 0);
      list.scrollIntoView({ block: "nearest" });
      const again = options().findIndex((option) => pointed && rowOf(option) === rowOf(pointed));
      if (again >= 0) point(again);
    };

    list.addEventListener("mousedown", (event) => event.preventDefault());  // or the field loses the focus before the click
    list.addEventListener("click", (event) => {
      const option = within(event.target, "[role=option]");
      if (option && !option.href) choose(option);
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
        close();
        quick(option.address, input, (made) => made && choose({ picked: made }));
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
        const only = asked === input.value.trim() && [named, offered].find((some) => some.length === 1)?.[0];
        const meant = list.pointed() || only;  // what is offered for an older text is not meant unless pointed at
        if (meant) choose(meant);
      } else if (event.key === "Escape" && list.isOpen()) {
        event.preventDefault();
        event.stopPropagation();
        close();
      }
    });
  };

  // ── The search in the top bar: what matches while one types; before that, what was opened last ────────────────────

  const searching = (form) => {
    const input = form.querySelector("input[type=search]");
    let asked = null;
    let timer;

    input.setAttribute("role", "combobox");
    input.setAttribute("aria-expanded", "false");
    const list = listBelow(input, form.dataset.matches);

    const close = () => {
      clearTimeout(timer);
      asked = null;
      list.close();
    };

    const ask = async () => {
      const typed = input.value.trim();
      asked = typed;
      try {
        const found = await matching(form.dataset.suggests, typed);
        if (found && asked === typed) list.show(found, typed);  // a slow answer to an older text is dropped
      } catch {
        close();  // Enter leads to the page of results
      }
    };

    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 150);
    });
    input.addEventListener("focus", ask);
    input.addEventListener("click", () => list.isOpen() || ask());
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (list.isOpen()) list.step(event.key === "ArrowDown" ? 1 : -1);
        else ask();
      } else if (event.key === "Enter" && list.pointed()) {
        event.preventDefault();
        list.pointed().click();
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

  // ── A part that comes later and did not: it says so where it would stand, and tries again ──────────────────────────

  for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(kind, (event) => {
      const part = within(event.detail.elt, '[hx-get][hx-trigger^="load"]');
      const said = document.getElementById("part-failed");
      if (!part || !said || part.querySelector("[data-again]")) return;
      part.append(said.content.cloneNode(true));
    });
  }
  document.addEventListener("click", (event) => {
    const button = within(event.target, "[data-again]");
    if (!button) return;
    const part = within(button, '[hx-get][hx-trigger^="load"]');
    within(button, ".band").remove();
    htmx.trigger(part, "again");
  });

  // ── A field that is asked for only with one answer to another ───────────────────────────────────────────────────────

  const showWith = (field) => {
    const [name, value] = field.dataset.shownWith.split("=");
    within(field, ".field").hidden = field.form.elements[name].value !== value;
  };
  document.addEventListener("change", (event) => {
    for (const field of event.target.form?.querySelectorAll("[data-shown-with]") ?? []) showWith(field);
  });

  // ── Lists: the strip of views shows where one is; a row that is wider than its window opens its record wherever pressed ──

  const showView = (view) => {
    view.parentElement.scrollLeft = view.offsetLeft - view.parentElement.offsetLeft - (view.parentElement.clientWidth - view.offsetWidth) / 2;
  };

  document.addEventListener("click", (event) => {
    const row = within(event.target, ".broad .rows tbody tr");
    if (!row || event.defaultPrevented || within(event.target, "a, button, input, label, summary, form") || String(getSelection())) return;
    row.querySelector("td.name > a").click();
  });

  // ── The page on paper: the browser prints it, by a button that only a script shows ────────────────────────────────

  document.addEventListener("click", (event) => within(event.target, "[data-print]") && window.print());

  // ── On every page, and on every part that comes in later ──────────────────────────────────────────────────────────

  const enhance = (root) => {
    for (const picker of root.querySelectorAll(".picker:not([data-ready])")) {
      picker.dataset.ready = "yes";
      combobox(picker);
    }
    for (const form of root.querySelectorAll("form[data-suggests]:not([data-ready])")) {
      form.dataset.ready = "yes";
      searching(form);
    }
    for (const text of root.querySelectorAll("textarea[data-mentions]:not([data-ready])")) {
      text.dataset.ready = "yes";
      mentions(text);
    }
    for (const button of root.querySelectorAll("[data-print]")) button.hidden = false;
    for (const field of root.querySelectorAll("[data-shown-with]")) showWith(field);
    for (const view of root.querySelectorAll(".views [aria-current]")) showView(view);
    if (root.querySelector("form[data-selection]")) count();
    for (const note of root.querySelectorAll(".note:not([data-ready])")) {
      note.dataset.ready = "yes";
      setTimeout(leave, 6000, note);
    }
  };

  enhance(document);
  saidBefore();
  document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));
})();
