// Small comforts. Everything works without them, and nothing here knows what a page is about.
(() => {
  "use strict";

  // `/` puts the cursor in the search field; Escape closes a menu.
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target)) {
      const field = [...document.querySelectorAll("[data-search]")].find((input) => input.offsetParent);
      if (field) {
        event.preventDefault();
        field.focus();
        field.select();
      }
    } else if (event.key === "Escape") {
      const menu = document.querySelector("details.menu[open]");
      if (menu) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
  });
  function isTyping(target) {
    return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName)
      || (target.tagName === "INPUT" && !["checkbox", "radio", "button", "submit"].includes(target.type));
  }

  // A click elsewhere closes an open menu.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });

  // Copy buttons show where they can work.
  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      return;
    }
    const label = button.getAttribute("aria-label");
    button.classList.add("done");
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => {
      button.classList.remove("done");
      button.setAttribute("aria-label", label);
    }, 1500);
  }
  function reveal(root) {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  }
  reveal(document);
  document.addEventListener("htmx:afterSettle", () => reveal(document));

  // Of tabs that do not fit, the current one shows.
  for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
    const tabs = tab.closest(".tabs");
    tabs.scrollLeft = tab.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
  }

  // The answer to a form that stands elsewhere has the address of its page, so that reloading posts nothing again.
  const address = document.querySelector("[data-address]")?.dataset.address;
  if (address && address !== location.pathname) history.replaceState(null, "", address);

  // What went wrong is read first.
  document.querySelector("[data-focus]")?.focus();
})();
