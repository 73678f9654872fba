// A matrix of tick boxes: arrows move, a column's box ticks the column, links tick by what happened, a field filters
// rows, and on a phone one column shows at a time. Without this file each box is ticked by hand.
(() => {
  "use strict";
  for (const table of document.querySelectorAll("table[data-matrix]")) set(table);

  function set(table) {
    const boxes = (column) => [...table.tBodies].flatMap((body) =>
      [...body.querySelectorAll('input[type="checkbox"]')].filter((box) => !column || columnOf(box) === column));
    const columnOf = (element) => element.closest("[data-column]")?.dataset.column;
    const shown = (box) => !box.closest("tr").hidden && !box.disabled;
    const heads = () => [...table.tHead.querySelectorAll('input[type="checkbox"]')];

    const tick = (list, checked) => {
      const changed = list.filter((box) => box.checked !== checked);
      for (const box of changed) box.checked = checked;
      settle();
      if (changed.length) changed[0].dispatchEvent(new Event("change", { bubbles: true }));
    };
    const settle = () => {
      for (const head of heads()) {
        const column = boxes(columnOf(head)).filter((box) => !box.disabled);
        const count = column.filter((box) => box.checked).length;
        head.checked = count > 0 && count === column.length;
        head.indeterminate = count > 0 && count < column.length;
      }
    };
    settle();
    for (const head of heads()) head.hidden = false;
    for (const element of document.querySelectorAll(`[data-for="${table.id}"][hidden]`)) element.hidden = false;

    table.addEventListener("change", (event) => {
      if (event.target.closest("thead")) tick(boxes(columnOf(event.target)).filter(shown), event.target.checked);
      else settle();
    });

    table.addEventListener("keydown", (event) => {
      const box = event.target;
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move || box.type !== "checkbox") return;
      const rows = [...table.rows].filter((row) => !row.hidden);
      const columns = [...table.tHead.querySelectorAll("[data-column]")].map((cell) => cell.dataset.column);
      let row = rows.indexOf(box.closest("tr"));
      let column = columns.indexOf(columnOf(box));
      for (;;) {
        row += move[0];
        column += move[1];
        if (!rows[row] || !columns[column]) return;
        const cell = rows[row].querySelector(`[data-column="${CSS.escape(columns[column])}"]`);
        const next = cell && cell.querySelector('input[type="checkbox"]:not(:disabled)');
        if (next && next.offsetParent) {
          event.preventDefault();
          next.focus();
          return;
        }
      }
    });

    document.addEventListener("click", (event) => {
      const button = event.target.closest(`[data-for="${table.id}"]`);
      if (!button) return;
      if (button.dataset.ticks) {
        const word = button.dataset.ticks;
        if (word === "none") tick(boxes().filter(shown), false);
        else tick(boxes().filter((box) => shown(box)
          && (word === "all" || (box.dataset.is || "").split(" ").includes(word))), true);
      } else if (button.dataset.shows) {
        show(button.dataset.shows);
      }
    });

    for (const field of document.querySelectorAll(`input[data-filters="${table.id}"]`)) {
      field.addEventListener("input", () => {
        const text = field.value.trim().toLowerCase();
        for (const row of table.tBodies[0].rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(text);
      });
    }

    const tabs = [...document.querySelectorAll(`[data-for="${table.id}"][data-shows]`)];
    const show = (name) => {
      for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.shows === name));
      for (const cell of table.querySelectorAll("[data-column]")) {
        cell.classList.toggle("off-phone", cell.dataset.column !== name);
      }
    };
    if (tabs.length) show(tabs[0].dataset.shows);
  }
})();
