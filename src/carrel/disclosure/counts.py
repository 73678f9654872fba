"""Counts in a CSV table: too small to be shown, or not rounded (local-run.md section 5, "SDC rules"). Pure.

A column is looked at as counts when all its cells are whole numbers that are not negative, or marked as redacted, and
its name does not say that it is something else (a year, an age, an id).
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from carrel.disclosure.findings import Finding, Rule

SMALLEST_SHOWN = 8
"""Counts from 1 to 7 must be redacted."""
ROUNDED_TO = 5
REDACTED_MARKS = frozenset({"", "[redacted]", "redacted", "na", "nan", "-", "*", "x"})
NO_COUNTS = re.compile(
    r"(^|_)(year|month|week|day|date|age|band|group|code|id|index|quarter|imd|quintile|decile|level|order|rank|stp|msoa)(_|$)",
    re.IGNORECASE,
)
WHOLE = re.compile(r"\+?\d+(\.0+)?")
MIDPOINT = re.compile(r"midpoint_?6", re.IGNORECASE)


def check_table(text: str, most: int = 100) -> list[Finding]:
    """At most `most` findings of one CSV text; none for a text that has no header and rows."""
    rows = list(csv.reader(io.StringIO(text)))
    if len(rows) < 2:
        return []
    return list(islice(_findings(rows[0], rows[1:]), most))


def _findings(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Finding]:
    for number, name in enumerate(header):
        cells = [row[number].strip() if number < len(row) else "" for row in rows]
        if is_count(name, cells):
            for line, cell in enumerate(cells, start=2):
                yield from _of_cell(line, name, cell)


def is_count(name: str, cells: Sequence[str]) -> bool:
    """Whether a column holds counts of people or things."""
    if NO_COUNTS.search(name):
        return False
    numbers = [cell for cell in cells if cell.lower() not in REDACTED_MARKS]
    return bool(numbers) and all(WHOLE.fullmatch(cell) for cell in numbers)


def _of_cell(line: int, name: str, cell: str) -> Iterator[Finding]:
    if cell.lower() in REDACTED_MARKS:
        return
    count = int(float(cell))
    if MIDPOINT.search(name):
        if count and count % 6 != 3:
            yield Finding(Rule.NOT_ROUNDED, line, name, cell, "not rounded to the midpoint of 6 (3, 9, 15, ...)")
    elif 0 < count < SMALLEST_SHOWN:
        yield Finding(Rule.SMALL_COUNT, line, name, cell, f"a count of {SMALLEST_SHOWN - 1} or fewer must be redacted")
    elif count % ROUNDED_TO:
        yield Finding(Rule.NOT_ROUNDED, line, name, cell, f"not rounded to the nearest {ROUNDED_TO}")
