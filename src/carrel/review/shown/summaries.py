"""What each column of a table comes to, for authors and checkers (review-and-release.md section 2.5). Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from carrel.disclosure.tables import Table

MISSING = frozenset({"", "null", "none", "nan"})
REDACTED = frozenset({"[redacted]", "redacted", "na", "n/a", "<=7"})
_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_PLAIN = re.compile(r"[0-9.+-]*")
_FRACTION = re.compile("[.eE]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column. `kind`: int, float, mixed, text or empty; numbers are None where no cell is one.

    The checks (`by_5`, `by_6`, `midpoint_6`) say whether all numbers are so; None for columns that are not wholly whole
    numbers.
    """

    name: str
    kind: str
    rows: int
    numeric: int
    missing: int
    redacted: int
    smallest: float | None = None
    smallest_not_zero: float | None = None
    largest: float | None = None
    total: float | None = None
    by_5: bool | None = None
    by_6: bool | None = None
    midpoint_6: bool | None = None

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("int", "float")


def number_in(cell: str) -> float | None:
    """Return the number that a cell is; None where it is none."""
    text = cell.strip()
    return float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None


def summaries_of(table: Table) -> tuple[ColumnSummary, ...]:
    """Return a summary of each column of the header, in order."""
    columns = [*zip_longest(*(row.cells for row in table.rows), fillvalue="")]
    return tuple(
        _summary(name, columns[number] if number < len(columns) else ("",) * len(table.rows))
        for number, name in enumerate(table.header.cells)
    )


def _summary(name: str, cells: Sequence[str]) -> ColumnSummary:
    texts = list(map(str.strip, cells))
    values = _plain_numbers(texts)
    numbers = texts if values else [text for text in texts if _NUMBER.fullmatch(text)]
    values = values or [float(text.replace(",", "")) for text in numbers]
    words = [] if numbers is texts else [text.lower() for text in texts]
    missing, redacted = sum(word in MISSING for word in words), sum(word in REDACTED for word in words)
    counts: dict[str, Any] = {
        "name": name,
        "rows": len(texts),
        "numeric": len(numbers),
        "missing": missing,
        "redacted": redacted,
    }
    if not numbers:
        return ColumnSummary(kind="empty" if missing + redacted == len(texts) else "text", **counts)
    is_whole = not _FRACTION.search("".join(numbers))
    is_all = len(numbers) + missing + redacted == len(texts)
    checks: dict[str, Any] = {}
    if is_whole and is_all:
        checks = {
            "by_5": all(value % 5 == 0 for value in values),
            "by_6": all(value % 6 == 0 for value in values),
            "midpoint_6": all(value == 0 or (value - 3) % 6 == 0 for value in values),
        }
    return ColumnSummary(
        kind="mixed" if not is_all else "int" if is_whole else "float",
        smallest=min(values),
        smallest_not_zero=min(filter(None, values), default=None),
        largest=max(values),
        total=math.fsum(values) if all(map(math.isfinite, values)) else None,
        **counts,
        **checks,
    )


def _plain_numbers(texts: Sequence[str]) -> list[float]:
    """Return the numbers of a column whose cells are all of digits, points and signs, as most are; soon told."""
    if not all(texts) or not _PLAIN.fullmatch("".join(texts)):
        return []
    try:
        return list(map(float, texts))
    except ValueError:
        return []
