// Lets a list be dragged into another order. Its form holds the keys in order, and the buttons that move one up or down
// for those who do not drag; letting go sends it. A list that is arranged "here" is sent later: its buttons move rows too.
(() => {
  "use strict";

  const arrange = (root) => {
    for (const list of root.querySelectorAll("[data-arrange]:not(.drags)")) {
      const here = list.dataset.arrange === "here";
      window.Sortable.create(list, {
        handle: ".grip",
        filter: "[data-stays]",
        preventOnFilter: false,
        onMove: ({ related }) => !("stays" in related.dataset),
        animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
        onEnd: ({ oldIndex, newIndex }) => {
          if (oldIndex !== newIndex && !here) list.closest("form").requestSubmit();
        },
      });
      list.classList.add("drags");
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-arrange=here] button[name]");
    if (!button) return;
    event.preventDefault();
    const row = button.closest("li");
    const beside = (one) => button.name === "up" ? one.previousElementSibling : one.nextElementSibling;
    let other = beside(row);
    while (other?.hidden) other = beside(other);
    if (!other || "stays" in other.dataset) return;
    other[button.name === "up" ? "before" : "after"](row);
    button.focus();
  });

  // A box that leaves, of a long list, what holds the words in it; Enter goes to the first.
  const finds = (root) => {
    for (const part of root.querySelectorAll("[data-finds][hidden]")) {
      const rows = [...part.closest("form").querySelectorAll("[data-arrange] li")];
      const said = part.querySelector("[role=status]");
      const box = part.querySelector("input");
      part.hidden = false;
      box.addEventListener("input", () => {
        const words = box.value.toLowerCase().split(/\s+/);
        for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
        said.textContent = rows.every((row) => row.hidden) ? said.dataset.none : "";
      });
      box.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        rows.find((row) => !row.hidden)?.querySelector("input:not([type=hidden], :disabled)")?.focus();
      });
    }
  };

  arrange(document);
  finds(document);
  document.addEventListener("asked", (event) => {  // a form that came in a dialog
    arrange(event.target);
    finds(event.target);
  });
})();
