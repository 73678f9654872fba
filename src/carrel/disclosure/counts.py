"""Counts in a table: too small to be shown, or not rounded (local-run.md section 5, "SDC rules"). Pure."""

import re
from collections.abc import Iterator

from carrel.disclosure.columns import ReadColumn, ReadTable
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy

MIDPOINT = re.compile(r"midpoint_?6", re.IGNORECASE)
_DERIVED = re.compile(r"midpoint_?6_derived", re.IGNORECASE)


def small_counts(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each count from 1 to the largest that is too small to be shown; 3 stands for 1 to 6 in midpoints."""
    message = f"a count of {policy.largest_small} or fewer must be redacted"
    for row, column in read.cells_that_count(lambda count: 0 < count < policy.smallest_shown, _is_no_midpoint):
        yield read.finding(RuleId.SMALL_COUNT, row, column, message)


def not_rounded(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each larger count that is no multiple of what counts are rounded to."""

    def is_odd(count: int) -> bool:
        return count >= policy.smallest_shown and count % policy.rounded_to != 0

    message = f"not rounded to the nearest {policy.rounded_to}"
    for row, column in read.cells_that_count(is_odd, _is_no_midpoint):
        yield read.finding(RuleId.NOT_ROUNDED, row, column, message)


def not_midpoint6(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each count of a column named `..._midpoint6` that is no midpoint of its six. Sums of midpoints divide by 3."""
    message = "not rounded to the midpoint of 6 (3, 9, 15, ...)"
    for row, column in read.cells_that_count(
        lambda count: count > 0 and count % 6 != 3,
        lambda column: not _is_no_midpoint(column) and not _DERIVED.search(column.name),
    ):
        yield read.finding(RuleId.NOT_MIDPOINT6, row, column, message)
    for row, column in read.cells_that_count(
        lambda count: count % 3 != 0, lambda column: _DERIVED.search(column.name) is not None
    ):
        yield read.finding(RuleId.NOT_MIDPOINT6, row, column, message)


def _is_no_midpoint(column: ReadColumn) -> bool:
    return MIDPOINT.search(column.name) is None
