// Lets a list be dragged into another order. Its form holds the keys in order, and the buttons that move one up or down
// for those who do not drag; letting go sends it.
(() => {
  "use strict";

  for (const list of document.querySelectorAll("[data-arrange]")) {
    window.Sortable.create(list, {
      handle: ".grip",
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
      onEnd: ({ oldIndex, newIndex }) => {
        if (oldIndex !== newIndex) list.closest("form").requestSubmit();
      },
    });
    list.classList.add("drags");
  }
})();
