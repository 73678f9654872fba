"""Smallest and largest values, which are somebody's own. Pure."""

import re
from collections.abc import Iterator

from carrel.disclosure.cells import CellKind
from carrel.disclosure.columns import ReadTable
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy

_EXTREME_WORDS = frozenset(
    {"min", "max", "minimum", "maximum", "lowest", "highest", "smallest", "earliest", "latest", "oldest"}
)
_EXTREME_LABEL = re.compile(
    r"(.{1,40}[ _(-])?(min(imum)?\.?|max(imum)?\.?|range|lowest|highest|smallest|largest|earliest|latest|oldest|"
    r"youngest)(\)|[ _].{1,40})?",
    re.IGNORECASE,
)
_MESSAGE = "a minimum or maximum is one person's own value: give a percentile instead"
_NUMBERS = (CellKind.COUNT, CellKind.NUMBER)


def extremes(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each column that is named a minimum or a maximum, and each number of a row that is labelled one."""
    named = [column for column in read.columns if not column.words.isdisjoint(_EXTREME_WORDS)]
    columns = [column for column in named if any(char.isdigit() for text in column.texts for char in text)]
    for column in columns:
        yield read.column_finding(RuleId.EXTREMES, column, _MESSAGE)
    labels = [column for column in read.columns if column.kinds[CellKind.TEXT]]
    rows = {row for label in labels[:2] for row, text in enumerate(label.texts) if _EXTREME_LABEL.fullmatch(text)}
    for row in sorted(rows):
        for column in read.columns:
            if column not in columns and column not in labels and column.cell_kinds[row] in _NUMBERS:
                yield read.finding(RuleId.EXTREMES, row, column, _MESSAGE)
