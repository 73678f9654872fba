"""A table as HTML, a page of rows at a time: sorted, filtered, flagged cells marked. Pure.

The rows' HTML is put together here and not in a template: a page has thousands of cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from django.utils.safestring import SafeString, mark_safe

from carrel.disclosure.tables import Table, TableRow
from carrel.review.shown.characters import visible
from carrel.review.shown.summaries import ColumnSummary, number_in, summaries_of

ROWS_A_PAGE = 200
CELLS_A_PAGE = 3_000
"""A wide table has fewer rows on a page, so that none is too large."""
LONGEST_CELL = 500
"""Characters of a cell that are shown in a table; the file as text has them all."""

CellPlace = tuple[int, str]
"""A line of the file, from 1, and a column's name in the header; "" for the whole line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuery:
    """What of a table is asked for. `sort`: a column's number from 1, negative for the largest first; 0 for none."""

    sort: int = 0
    text: str = ""
    only_flagged: bool = False
    page: int = 1
    line: int = 0
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMarks:
    """What is drawn on cells: `flagged` says the rule's words, `commented` that somebody said something there."""

    flagged: Mapping[CellPlace, str] = field(default_factory=dict)
    commented: frozenset[CellPlace] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCell:
    """A column's head: its number from 1 and how a click on it sorts."""

    number: int
    name: str
    is_numeric: bool
    sort: int
    order: str
    flag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """One page of a table. `matching` of `total` rows are left by the filter; `pages` of them."""

    heads: tuple[HeadCell, ...]
    html: SafeString
    matching: int
    total: int
    page: int
    pages: int
    summaries: tuple[ColumnSummary, ...]


def page_of_table(table: Table, query: TableQuery, marks: TableMarks) -> TablePage:
    """Return the page of a table that is asked for; with a line and no sorting, the page on which that line stands."""
    summaries = summaries_of(table)
    rows = _sorted(_filtered(table, query, marks), query.sort)
    height = max(20, min(ROWS_A_PAGE, CELLS_A_PAGE // max(1, len(table.header.cells))))
    pages = max(1, -(-len(rows) // height))
    number = min(max(query.page, 1), pages)
    if query.line:
        position = next((index for index, row in enumerate(rows) if row.line == query.line), None)
        number = number if position is None else position // height + 1
    names = table.header.cells
    numeric = [summary.is_numeric for summary in summaries]
    lines = rows[(number - 1) * height : number * height]
    return TablePage(
        heads=tuple(
            HeadCell(
                number=index,
                name=visible(name),
                is_numeric=numeric[index - 1],
                sort=-index if query.sort == index else index,
                order={index: "ascending", -index: "descending"}.get(query.sort, ""),
                flag=marks.flagged.get((table.header.line, name), ""),
            )
            for index, name in enumerate(names, start=1)
        ),
        html=mark_safe("".join(_row(row, names, numeric, query, marks) for row in lines)),  # noqa: S308 (escaped below)
        matching=len(rows),
        total=len(table.rows),
        page=number,
        pages=pages,
        summaries=summaries,
    )


def _filtered(table: Table, query: TableQuery, marks: TableMarks) -> list[TableRow]:
    rows = list(table.rows)
    if query.only_flagged:
        lines = {line for line, _ in (*marks.flagged, *marks.commented)}
        rows = [row for row in rows if row.line in lines]
    if query.text:
        text = query.text.lower()
        rows = [row for row in rows if any(text in cell.lower() for cell in row.cells)]
    return rows


def _sorted(rows: list[TableRow], sort: int) -> list[TableRow]:
    """Numbers come before texts, and rows without that cell last, whichever way round."""
    if not sort:
        return rows
    index = abs(sort) - 1

    def key(row: TableRow) -> tuple[int, float, str]:
        cell = row.cells[index] if index < len(row.cells) else ""
        number = number_in(cell)
        return (1, 0.0, cell.lower()) if number is None else (0, number, "")

    present = [row for row in rows if index < len(row.cells) and row.cells[index].strip()]
    absent = [row for row in rows if not (index < len(row.cells) and row.cells[index].strip())]
    return [*sorted(present, key=key, reverse=sort < 0), *absent]


def _row(row: TableRow, names: Sequence[str], numeric: Sequence[bool], query: TableQuery, marks: TableMarks) -> str:
    line, width = row.line, max(len(names), len(row.cells))
    chosen = ' class="chosen"' if line == query.line and not query.column else ""
    noted = " commented" if (line, "") in marks.commented else ""
    html = [
        f'<tr{chosen}><th scope="row" class="line{noted}">'
        f'<a href="?line={line}#comment" aria-label="Line {line}">{line}</a></th>'
    ]
    for index in range(width):
        name = names[index] if index < len(names) else ""
        text = row.cells[index] if index < len(row.cells) else ""
        classes = "number" if index < len(numeric) and numeric[index] else ""
        cell, title, label = (line, name), "", ""
        if cell in marks.flagged:
            classes += " flagged"
            title = f' title="{escape(marks.flagged[cell])}"'
            label = f' <span class="rule">{escape(marks.flagged[cell].partition(":")[0])}</span>'
        if cell in marks.commented:
            classes += " commented"
        if line == query.line and name == query.column:
            classes += " chosen"
        shown = escape(visible(text[:LONGEST_CELL])) + ("…" if len(text) > LONGEST_CELL else "")
        named = f' class="{classes.strip()}"' if classes else ""
        html.append(f"<td{named}{title}>{shown}{label}</td>")
    return "".join([*html, "</tr>"])
