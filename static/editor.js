// The editor of a formatted text: a textarea[data-editor] becomes a page to write on, with a bar of buttons. What it gives is
// cleaned by the server; without it, the textarea goes on working.
(() => {
  "use strict";

  const KEPT = new Set(["P", "DIV", "BR", "B", "STRONG", "I", "EM", "U", "S", "UL", "OL", "LI", "BLOCKQUOTE", "A"]);

  // What is pasted keeps only what the editor can make, and of attributes only where a link leads.
  const sanitized = (html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const element of [...page.body.querySelectorAll("*")]) {
      for (const { name } of [...element.attributes]) {
        if (!(element.tagName === "A" && name === "href" && /^(https?:|mailto:)/i.test(element.getAttribute("href")))) element.removeAttribute(name);
      }
      if (["SCRIPT", "STYLE", "TITLE"].includes(element.tagName)) element.remove();
      else if (!KEPT.has(element.tagName)) element.replaceWith(...element.childNodes);
    }
    const fragment = document.createDocumentFragment();
    fragment.append(...[...page.body.childNodes].map((node) => document.importNode(node, true)));
    return fragment;
  };

  const asHtml = (text) => {
    if (/<(p|br|div|ul|ol)\b/i.test(text)) return text;
    const holder = document.createElement("div");
    for (const part of text.split(/\n{2,}/)) {
      const block = document.createElement("p");
      part.split("\n").forEach((line, at) => block.append(...(at ? [document.createElement("br"), line] : [line])));
      holder.append(block);
    }
    return holder.innerHTML;
  };

  const edit = (textarea) => {
    const words = JSON.parse(document.getElementById("editor-words").textContent);
    const bar = document.createElement("div");
    const sheet = document.createElement("div");
    bar.className = "editor-bar";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", words.bar);
    sheet.className = "form-control prose editor";
    sheet.id = `${textarea.id}-sheet`;
    textarea.before(bar, sheet);
    textarea.hidden = true;
    const editor = new Squire(sheet, { blockTag: "P", sanitizeToDOMFragment: sanitized });
    editor.setHTML(asHtml(textarea.value));
    sheet.setAttribute("role", "textbox");
    sheet.setAttribute("aria-multiline", "true");
    const label = document.querySelector(`label[for="${textarea.id}"]`);
    if (label) {
      sheet.setAttribute("aria-label", label.textContent.trim());
      label.addEventListener("click", () => editor.focus());
    }

    const within = (tag) => editor.hasFormat(tag);
    const acts = {
      bold: ["type-bold", () => (within("B") ? editor.removeBold() : editor.bold())],
      italic: ["type-italic", () => (within("I") ? editor.removeItalic() : editor.italic())],
      bullets: ["list-ul", () => (within("UL") ? editor.removeList() : editor.makeUnorderedList())],
      numbers: ["list-ol", () => (within("OL") ? editor.removeList() : editor.makeOrderedList())],
      quote: ["quote", () => (within("BLOCKQUOTE") ? editor.decreaseQuoteLevel() : editor.increaseQuoteLevel())],
      link: ["link-45deg", () => {
        if (within("A")) return editor.removeLink();
        const address = prompt(words.address, "https://");
        if (address && /^(https?:|mailto:)/i.test(address)) editor.makeLink(address);
      }],
    };
    for (const [name, [icon, act]] of Object.entries(acts)) {
      const button = document.createElement("button");
      const mark = document.createElement("i");
      button.type = "button";
      button.className = "btn btn-quiet btn-icon";
      button.title = words[name];
      button.setAttribute("aria-label", words[name]);
      mark.className = `bi bi-${icon}`;
      mark.setAttribute("aria-hidden", "true");
      button.append(mark);
      button.addEventListener("mousedown", (event) => event.preventDefault());  // or the selection would be lost
      button.addEventListener("click", () => {
        act();
        editor.focus();
      });
      bar.append(button);
    }
    textarea.form.addEventListener("submit", () => {
      textarea.value = sheet.textContent.trim() ? editor.getHTML() : "";
    });
  };

  for (const textarea of document.querySelectorAll("textarea[data-editor]")) edit(textarea);
})();
