// The run page's own comforts: a long matrix is folded, and a form is sent once. matrix.js does the ticking.
(() => {
  "use strict";
  for (const table of document.querySelectorAll("table[data-folds]")) {
    const button = document.querySelector(`[data-unfolds="${table.id}"]`);
    const unfold = () => {
      table.classList.remove("folds");
      button.hidden = true;
    };
    table.classList.add("folds");
    button.hidden = false;
    button.addEventListener("click", () => {
      const first = table.querySelector("tr.fold input:not(:disabled)");
      unfold();
      if (first) first.focus();
    });
    // What is looked for, or ticked by a link, is shown.
    for (const field of document.querySelectorAll(`[data-filters="${table.id}"]`)) field.addEventListener("input", unfold);
    table.addEventListener("change", () => {
      if (table.querySelector("tr.fold input:checked")) unfold();
    });
  }

  for (const form of document.querySelectorAll("[data-run-form]")) {
    let isSent = false;
    form.addEventListener("submit", (event) => {
      if (isSent) event.preventDefault();
      isSent = true;
    });
    // Back in history, the form may be sent again.
    window.addEventListener("pageshow", () => { isSent = false; });
  }
})();
