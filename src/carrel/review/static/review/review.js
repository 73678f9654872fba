// Small comforts of the review site. Everything works without them.
(() => {
  "use strict";

  // j, k, a, c: what is marked with a key is pressed by it, unless somebody is writing.
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    const isTyping = target.isContentEditable || ["TEXTAREA", "SELECT", "INPUT"].includes(target.tagName);
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !/^[a-z]$/.test(event.key)) return;
    const element = document.querySelector(`[data-key="${event.key}"]:not(:disabled)`);
    if (element) {
      event.preventDefault();
      element.click();
    }
  });

  // A click on a cell or a line names it in the comment's form.
  const form = document.querySelector(".remark-form");
  const line = form?.querySelector("[data-line]");
  const column = form?.querySelector("[data-column]");
  if (line) {
    for (const table of document.querySelectorAll("table[data-cells], table[data-lines]")) {
      table.dataset.clickable = "";
      table.tBodies[0].addEventListener("click", (event) => {
        if (getSelection()?.toString()) return;
        const cell = event.target.closest("td, th");
        const number = cell?.parentElement.cells[0]?.textContent.trim();
        if (!number) return;
        event.preventDefault();
        line.value = number;
        if (column) {
          const head = table.tHead?.rows[0].cells[cell.cellIndex];
          const name = head?.dataset.column ?? "";
          column.value = [...column.options].some((option) => option.value === name) ? name : "";
        }
        table.querySelectorAll(".chosen").forEach((element) => element.classList.remove("chosen"));
        (cell.cellIndex && column ? cell : cell.parentElement).classList.add("chosen");
        form.querySelector("textarea").focus({ preventScroll: matchMedia("(min-width: 1181px)").matches });
      });
    }
  }

  // One box ticks all of its name.
  for (const box of document.querySelectorAll("[data-ticks-all]")) {
    box.hidden = false;
    box.addEventListener("change", () => {
      for (const other of document.getElementsByName(box.dataset.ticksAll)) other.checked = box.checked;
    });
  }
})();
