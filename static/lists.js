// Lists, and the pages of their records. What a list is asked by its own links and its find box, it shows without the page
// being loaded anew: sorted, turned, narrowed. Which list was shown last is kept for the tab, so that a record says where
// in it it stands, leads on to the next one, and back to just that list. Without this all of it is links and a form.
(() => {
  "use strict";

  const within = (element, selector) => (element instanceof Element ? element.closest(selector) : null);
  const plain = (event) => !event.defaultPrevented && !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const pathOf = (address) => new URL(address, location.href).pathname;

  // ── Which list was shown last, by whom ────────────────────────────────────────────────────────────────────────────

  const LIST = "list";
  const user = document.documentElement.dataset.user;
  const remember = (address) => sessionStorage.setItem(LIST, JSON.stringify({ user, address }));
  const remembered = () => {
    const kept = JSON.parse(sessionStorage.getItem(LIST) || "null");
    return kept && kept.user === user ? kept.address : "";
  };

  // ── A record: it knows the list as long as one stays below its address, as to change the record and come back ─────

  const stay = async (back) => {
    const lists = back.dataset.lists.trim().split(" ");
    const [own] = lists;
    const from = document.referrer && new URL(document.referrer);
    const stays = from && from.origin === location.origin && from.pathname.startsWith(own);
    const address = back.dataset.came || (stays ? remembered() : "");
    if (!lists.includes(address && pathOf(address))) return;
    remember(address);
    back.querySelector("a").href = address;
    if (pathOf(address) !== own) return;  // a board has no one order
    const asked = new URLSearchParams({ list: new URL(address, location.href).search.slice(1) });
    await htmx.ajax("GET", `${back.dataset.steps}?${asked}`, { target: back, swap: "innerHTML" });
    remember(back.querySelector("a").getAttribute("href"));  // at the page that the record is on
  };

  document.addEventListener("click", (event) => {
    const link = within(event.target, ".back .step a[data-list]");
    if (link && plain(event)) remember(link.dataset.list);
  });

  const back = document.querySelector(".back[data-steps]");
  if (back) stay(back);
  else remember(location.pathname + location.search);

  // ── What the list is asked, by any link within it that leads to the list itself ───────────────────────────────────

  const root = (page = document) => page.querySelector("main > div:has([data-said])");
  let shown = location.pathname + location.search;
  let asking = null;
  let said = null;

  const turn = async (address, { like = () => null, sent, pushes = true } = {}) => {
    if (document.querySelector("td.open")) {  // the browser asks before what was typed in a cell is lost
      location.assign(address);
      return;
    }
    asking?.abort();
    const { signal } = (asking = new AbortController());
    rest(true);
    const patience = setTimeout(rest, 2000, false);
    const page = await part(address, signal).catch(() => null);
    clearTimeout(patience);
    if (signal.aborted) return;
    asking = null;
    rest(false);
    if (!page) {
      location.assign(address);  // which says what is the matter
      return;
    }
    put(root(page), sent);
    if (pushes && page.address !== shown) history.pushState(null, "", page.address);
    shown = page.address;
    remember(shown);
    if (pushes) window.scrollTo({ top: 0, behavior: "instant" });
    if (document.activeElement === document.body) (like() ?? document.getElementById("main")).focus({ preventScroll: true });
    tell();
  };

  // All but the find box: somebody may be typing in it.
  const around = (find, top) => {
    const found = [];
    for (let kept = find; kept !== top; kept = kept.parentElement) {
      const all = [...kept.parentElement.childNodes];
      found.push({ kept, before: all.slice(0, all.indexOf(kept)), after: all.slice(all.indexOf(kept) + 1) });
    }
    return found;
  };
  const boxIn = (top) => top.querySelector(".filters .find");

  // What still stands there leads on from what was asked before: it rests until the answer comes, or takes very long.
  const rest = (is) => {
    const now = root();
    if (is) now.setAttribute("aria-busy", "true");
    else now.removeAttribute("aria-busy");
    for (const { before, after } of around(boxIn(now), now)) for (const one of [...before, ...after]) if (one.matches) one.inert = is;
  };

  const part = async (address, signal) => {
    const answer = await fetch(address, { signal, headers: { "HX-Request": "true", Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const { pathname, search } = new URL(answer.url);
    if (!answer.ok || pathname !== location.pathname || !root(page)) return null;
    return Object.assign(page, { address: pathname + search });
  };

  const put = (fresh, sent) => {
    const now = root();
    const [input, other] = [now, fresh].map((one) => boxIn(one).querySelector("input"));
    const isTyped = input.value !== (sent ?? input.defaultValue);
    input.defaultValue = other.defaultValue;
    if (!isTyped) input.value = other.value;
    // What a part that goes still asks for is of the list before: it must not come into this one.
    for (const late of now.querySelectorAll("[hx-get]")) late.addEventListener("htmx:beforeSwap", (event) => event.preventDefault());
    const come = around(boxIn(fresh), fresh);
    around(boxIn(now), now).forEach(({ kept, before, after }, level) => {
      for (const one of [...before, ...after]) one.remove();
      kept.before(...come[level].before);
      kept.after(...come[level].after);
    });
    htmx.process(now);
    document.dispatchEvent(new CustomEvent("htmx:load", { detail: { elt: now } }));
  };

  const tell = () => {
    said.textContent = "";
    setTimeout(() => (said.textContent = root().querySelector("[data-said]").dataset.said), 100);  // or the same words twice are heard once
  };

  // What is pressed is replaced; the focus goes to what has come in its place.
  const likeOf = (link) => {
    const all = (selector) => [...root().querySelectorAll(selector)];
    const head = within(link, "th");
    if (head) {
      const at = head.cellIndex;
      return () => all("thead th")[at]?.querySelector("a");
    }
    if (within(link, ".views")) {
      const { textContent } = link;
      return () => all(".views a").find((one) => one.textContent === textContent) ?? all(".views [aria-current]")[0];
    }
    if (within(link, ".chip")) {
      const at = all(".chips .chip > .x").indexOf(link);
      return () => all(".chips .chip > a.x")[at] ?? all(".chips .chip.new")[0];
    }
    if (link.rel) return () => all(`[data-pager] [rel=${link.rel}]`)[0] ?? all("[data-pager] [rel]")[0];
    return () => all(".rows td.name a, .deal h3 a")[0];
  };

  if (root()) {
    said = document.createElement("p");
    said.className = "visually-hidden";
    said.setAttribute("role", "status");
    document.getElementById("main").append(said);
  }

  document.addEventListener("click", (event) => {
    const link = within(event.target, "a[href]");
    if (!link || !plain(event) || link.target || !root()?.contains(link) || link.matches("[data-ask], [hx-get]")) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || to.pathname !== location.pathname || to.hash || to.searchParams.has("export")) return;
    event.preventDefault();
    turn(to.pathname + to.search, { like: likeOf(link) });
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches(".filters") || !root()?.contains(form)) return;
    event.preventDefault();
    turn(`${location.pathname}?${new URLSearchParams(new FormData(form))}`, { sent: form.elements.q.value });
  });

  window.addEventListener("popstate", () => {
    const address = location.pathname + location.search;
    if (root() && address !== shown) turn(address, { pushes: false });
  });
})();
