"""A file as its author redacts it: what is ticked, what comes of it, and what else the totals give away. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from html import escape
from pathlib import PurePosixPath

from django.utils.safestring import SafeString, mark_safe

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.editing import EDITABLE_TEXTS, CellPlace, redact_cells, redact_lines, round_cells
from carrel.disclosure.findings import NotChecked
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.suppression import ProposedCell, propose_suppression
from carrel.disclosure.tables import Table, read_tables, tables_in_text
from carrel.review.shown.characters import visible
from carrel.review.shown.summaries import summaries_of
from carrel.review.shown.tables import CELLS_A_PAGE, LONGEST_CELL, ROWS_A_PAGE
from carrel.review.shown.texts import LINES_A_PAGE, LONGEST_LINE

MOST_PLACES = 20_000
"""Cells, lines and columns that are ticked in one file."""
LINE_TYPES = frozenset({".csv", ".tsv", ".json", ".html", ".htm", ".yaml", ".yml", *EDITABLE_TEXTS})
"""Types of which lines can be redacted."""
_PLACE = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """What an author ticked.

    `places`: cells by line and number of the column, from 1; column 0 is the whole line. `columns`: those to be
    rounded, by the number of their table and their own.
    """

    places: frozenset[CellPlace] = frozenset()
    columns: frozenset[tuple[int, int]] = frozenset()
    midpoint6: bool = False


def places_in(texts: Iterable[str]) -> frozenset[CellPlace]:
    """Return the pairs of numbers that a form's fields hold, such as `3:2 4:2`; at most MOST_PLACES."""
    pairs = [(int(line), int(column)) for text in texts for line, column in _PLACE.findall(text)]
    return frozenset(pairs[:MOST_PLACES])


def written_places(places: Iterable[tuple[int, int]]) -> str:
    """Return pairs of numbers as a form's field holds them."""
    return " ".join(f"{line}:{column}" for line, column in sorted(places))


def editable_tables(text: str, path: str) -> list[Table]:
    """Return the tables whose cells can be redacted one by one; none in other types. Raises Unreadable."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".csv":
        return read_tables([text])
    return tables_in_text([text]) if suffix in EDITABLE_TEXTS else []


def redacted_text(text: str, path: str, ticked: Ticked, policy: DisclosurePolicy) -> str:
    """Return the text with everything that is ticked redacted or rounded. Raises CannotEdit and Unreadable."""
    lines = {line for line, column in ticked.places if not column}
    cells = {position for position in ticked.places if position[1] and position[0] not in lines}
    tables = editable_tables(text, path) if ticked.columns else []
    rounded = {
        (row.line, column.number)
        for number, table in enumerate(tables, start=1)
        for column in ReadTable(table).columns
        if (number, column.number) in ticked.columns
        for row, count in zip(table.rows, column.counts, strict=True)
        if count is not None and row.line not in lines
    }
    if rounded - cells:
        text = round_cells(text, path, rounded - cells, policy, midpoint6=ticked.midpoint6)
    if cells:
        text = redact_cells(text, path, cells)
    return redact_lines(text, lines) if lines else text


def with_small_counts(ticked: Ticked, tables: Iterable[Table], policy: DisclosurePolicy) -> Ticked:
    """Return what is ticked, and every count that is too small to be shown."""
    small = {
        (row.line, column.number)
        for table in tables
        for column in ReadTable(table).count_columns
        for row, count in zip(table.rows, column.counts, strict=True)
        if count is not None and 0 < count < policy.smallest_shown
    }
    return replace(ticked, places=ticked.places | small)


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherRedaction:
    """What else to redact, over all tables. `given_away`: redacted cells that the totals tell as it stands.

    `unchecked`: why that could not be searched, "" where it was.
    """

    cells: tuple[ProposedCell, ...]
    given_away: int
    is_best: bool
    unchecked: str

    @property
    def written(self) -> str:
        return written_places((cell.line, cell.column_number) for cell in self.cells)


def further_redaction(tables: Iterable[Table], policy: DisclosurePolicy) -> FurtherRedaction:
    """Return the cells to redact too, so that the totals of the tables, as they would leave, give none away."""
    proposals, unchecked = [], []
    for number, table in enumerate(tables, start=1):
        try:
            proposals.append(propose_suppression(ReadTable(table), policy))
        except NotChecked as error:
            unchecked.append(f"table {number}: {error}")
    return FurtherRedaction(
        cells=tuple(cell for proposal in proposals for cell in proposal.cells),
        given_away=sum(proposal.given_away for proposal in proposals),
        is_best=all(proposal.is_best for proposal in proposals),
        unchecked="; ".join(unchecked),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EditablePage:
    """A page of a file's cells or lines with a box at each. `elsewhere`: what is ticked on other pages."""

    heads: tuple[tuple[int, str], ...]
    html: SafeString
    page: int
    pages: int
    elsewhere: str


def editable_rows(table: Table, ticked: Ticked, page: int) -> EditablePage:
    """Return a page of a table with a box at each cell that is not empty."""
    width = len(table.header.cells)
    height = max(20, min(ROWS_A_PAGE, CELLS_A_PAGE // max(1, width)))
    pages = max(1, -(-len(table.rows) // height))
    shown = min(max(page, 1), pages)
    rows = table.rows[(shown - 1) * height : shown * height]
    numeric = [summary.is_numeric for summary in summaries_of(table)]
    html = []
    for row in rows:
        html.append(f'<tr><th scope="row" class="line">{row.line}</th>')
        for number, cell in enumerate(row.cells, start=1):
            classes = ' class="number"' if number <= width and numeric[number - 1] else ""
            box = _box((row.line, number), cell[:LONGEST_CELL], ticked) if cell else ""
            html.append(f"<td{classes}>{box}</td>")
        html.append("</tr>")
    on_page = {row.line for row in rows}
    return EditablePage(
        heads=tuple((number, visible(name)) for number, name in enumerate(table.header.cells, start=1)),
        html=mark_safe("".join(html)),  # noqa: S308 (escaped in _box)
        page=shown,
        pages=pages,
        elsewhere=written_places(
            position for position in ticked.places if position[0] not in on_page or not position[1]
        ),
    )


def editable_lines(text: str, ticked: Ticked, page: int) -> EditablePage:
    """Return a page of a text with a box at each line."""
    lines = re.split(r"\r\n|\r|\n", text)
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    pages = max(1, -(-len(lines) // LINES_A_PAGE))
    shown = min(max(page, 1), pages)
    first = (shown - 1) * LINES_A_PAGE
    on_page = range(first + 1, min(first + LINES_A_PAGE, len(lines)) + 1)
    html = [
        f'<tr><th scope="row" class="line">{number}</th>'
        f"<td>{_box((number, 0), lines[number - 1][:LONGEST_LINE], ticked)}</td></tr>"
        for number in on_page
    ]
    return EditablePage(
        heads=(),
        html=mark_safe("".join(html)),  # noqa: S308 (escaped in _box)
        page=shown,
        pages=pages,
        elsewhere=written_places(position for position in ticked.places if position[0] not in on_page or position[1]),
    )


def _box(position: CellPlace, text: str, ticked: Ticked) -> str:
    checked = " checked" if position in ticked.places else ""
    value = written_places([position])
    return f'<label><input type="checkbox" name="tick" value="{value}"{checked}> {escape(visible(text)) or "–"}</label>'
