"""Counts in a table: too small to be shown, or not rounded (local-run.md section 5, "SDC rules"). Pure.

A column is looked at as counts when most of its numbers are whole and not negative, most of its cells are numbers or
say that one is not shown, and its name does not say that it is something else (a year, an age, an id). A row that says
it counts (`N`, `total`) is looked at in any column.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from carrel.disclosure.cells import Cell, CellKind, may_be_grouped, read_cell
from carrel.disclosure.findings import DisclosureFinding, Rule
from carrel.disclosure.tables import Table, read_tables

SMALLEST_SHOWN = 8
"""Counts from 1 to 7 must be redacted."""
ROUNDED_TO = 5
MOST_FINDINGS = 100
NO_COUNTS = re.compile(
    r"(^|_)(year|month|week|day|date|age|band|group|code|id|index|quarter|imd|quintile|decile|level|order|rank|stp|msoa)(_|$)",
    re.IGNORECASE,
)
MIDPOINT = re.compile(r"midpoint_?6", re.IGNORECASE)
_COUNT_ROW = re.compile(r"n|n[_ ]?\(%\)|counts?|freq(uency)?\.?|total|number( of .{1,40})?|n_.{1,40}", re.IGNORECASE)
_MOST_WHOLE = 2 / 3
"""Of a column's numbers, for it to be counts: a mean or a rate among them does not excuse the others."""


def check_table(text: str, most: int = MOST_FINDINGS) -> list[DisclosureFinding]:
    """At most `most` findings of a text's tables; none for a text that has no header and rows. Raises Unreadable."""
    return list(islice((finding for table in read_tables([text]) for finding in findings_of_counts(table)), most))


def findings_of_counts(table: Table) -> Iterator[DisclosureFinding]:
    """Each count that is too small or not rounded, column by column."""
    labels = [row.cells[0] if row.cells else "" for row in table.rows]
    for number, name in enumerate(table.header.cells):
        cells = table.column(number)
        column_counts = is_count(name, cells)
        for row, label, cell in zip(table.rows, labels, cells, strict=True):
            row_counts = number > 0 and _COUNT_ROW.fullmatch(label.strip()) and not NO_COUNTS.search(name)
            if not (column_counts or row_counts):
                continue
            value = read_cell(cell)
            if value.kind is CellKind.COUNT and (message := _wrong(name, value)):
                rule = Rule.SMALL_COUNT if message == _TOO_SMALL else Rule.NOT_ROUNDED
                yield DisclosureFinding(rule=rule, line=row.line, column=name, value=cell, message=message)


def is_count(name: str, cells: Sequence[str]) -> bool:
    """Whether a column holds counts of people or things."""
    if NO_COUNTS.search(name):
        return False
    kinds = [read_cell(cell).kind for cell in cells]
    whole, other, text = (kinds.count(kind) for kind in (CellKind.COUNT, CellKind.NUMBER, CellKind.TEXT))
    others = (cell for cell, kind in zip(cells, kinds, strict=True) if kind is CellKind.NUMBER)
    if whole and all(map(may_be_grouped, others)):  # thousands parted by points, not fractions
        whole, other = whole + other, 0
    numeric = whole + other + kinds.count(CellKind.MARK)
    return whole > 0 and whole >= _MOST_WHOLE * (whole + other) and numeric >= text


_TOO_SMALL = f"a count of {SMALLEST_SHOWN - 1} or fewer must be redacted"


def _wrong(name: str, cell: Cell) -> str:
    """What is wrong with a count; "" when nothing is."""
    if MIDPOINT.search(name):
        return "not rounded to the midpoint of 6 (3, 9, 15, ...)" if cell.count and cell.count % 6 != 3 else ""
    if 0 < cell.count < SMALLEST_SHOWN:
        return _TOO_SMALL
    return f"not rounded to the nearest {ROUNDED_TO}" if cell.count % ROUNDED_TO else ""
