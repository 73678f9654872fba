"""What a table says of a whole group: nobody, everybody, or nothing at all. Pure."""

from collections.abc import Iterator
from itertools import islice

from carrel.disclosure.cells import CellKind, number_of
from carrel.disclosure.columns import ReadTable, is_total_label
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy

_FEWEST_CLASSES = 2
_UNSAID = frozenset({"", "nan", "<na>", "none", "null"})
"""What programs write where they have no value: it does not say that one was redacted."""


def zero_counts(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each count of 0, where the backend's policy says that zeros are disclosive."""
    if policy.zeros_are_disclosive:
        for row, column in read.cells_that_count(lambda count: count == 0, lambda _: True):
            yield read.finding(RuleId.ZERO, row, column, "nobody: it may say something of everybody in the group")


def one_class(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each row of counts whose people are all in one of its classes, and each 100 % beside a count of people.

    Whoever is known to be in the group is known to be in the class.
    """
    message = "everybody of this group is in this one class"
    parts = [column for column in read.count_columns if not column.is_total]
    if len(parts) >= _FEWEST_CLASSES and all(column.kinds[CellKind.NUMBER] == 0 for column in parts):
        for row in range(len(read.rows)):
            filled = list(islice((column for column in parts if column.counts[row]), 2))
            if len(filled) == 1 and all(column.counts[row] is not None for column in parts):
                yield read.finding(RuleId.ONE_CLASS, row, filled[0], message)
    for column in read.columns:
        if (
            read.count_columns
            and not column.is_count
            and (column.name.endswith("%") or not column.words.isdisjoint(_PERCENT))
        ):
            for row, text in enumerate(column.texts):
                is_all = text.startswith("100") and number_of(text) == _ALL
                if is_all and not any(is_total_label(label.texts[row]) for label in read.label_columns):
                    yield read.finding(RuleId.ONE_CLASS, row, column, message)


_PERCENT = frozenset({"percent", "percentage", "pct", "perc"})
_ALL = 100


def missing_values(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each column of counts with cells that are empty or not a number, and do not say whether they were redacted."""
    for column in read.count_columns:
        unsaid = {text for text in set(column.texts) if text.lower() in _UNSAID}
        rows = [row for row, text in enumerate(column.texts) if text in unsaid] if unsaid else []
        if rows:
            cells = "1 cell is" if len(rows) == 1 else f"{len(rows):,} cells are"
            message = f"{cells} empty or not a number here: mark what is redacted, and say what is missing"
            yield read.finding(RuleId.MISSING_VALUES, rows[0], column, message)
