"""Tables as long or as wide as lists of people are. Pure."""

from collections.abc import Iterator

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy

_NEAR = 0.9
"""So much of the most rows is near it."""


def long_table(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """A table with more rows than one may have, or nearly as many: few aggregated results are as long."""
    rows = len(read.rows)
    if rows >= _NEAR * policy.most_rows:
        relation = "more than" if rows > policy.most_rows else "near"
        yield _of_table(read, RuleId.LONG_TABLE, f"{rows:,} rows, {relation} the most of {policy.most_rows:,}")


def wide_table(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """A table with more columns than a checker can look at."""
    columns = len(read.columns)
    if columns > policy.most_columns:
        yield _of_table(read, RuleId.WIDE_TABLE, f"{columns:,} columns, more than {policy.most_columns:,}")


def _of_table(read: ReadTable, rule: RuleId, message: str) -> DisclosureFinding:
    return DisclosureFinding(rule=rule, line=read.table.header.line, column="", value="", message=message)
