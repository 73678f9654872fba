"""Differencing: two versions of a table whose cells differ by a small number tell a small count together. Pure.

Source: the SDC Handbook (Griffiths et al. 2019), "differencing"; review-and-release.md part 1 point 3 and section 7.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.comparison import compare_tables
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import Table


def small_differences(
    earlier: Table, current: Table, policy: DisclosurePolicy, compared_with: str
) -> Iterator[DisclosureFinding]:
    """Each count of the current table that differs by a small number from the same cell of the earlier one.

    `compared_with` names the request, release or backend that the earlier one is of. The difference is not quoted.
    """
    if RuleId.SMALL_DIFFERENCE in policy.off:
        return
    comparison = compare_tables(earlier, current, policy)
    read = ReadTable(current)
    message = f"differs by {policy.largest_small} or fewer from the same cell of {compared_with}"
    for change in comparison.alarms:
        row, column = comparison.alignment.rows[change.row], comparison.alignment.columns[change.column]
        if row.new is not None and column.new is not None:
            finding = read.finding(RuleId.SMALL_DIFFERENCE, row.new, read.columns[column.new - 1], message)
            yield replace(finding, compared_with=compared_with)


def paired(earlier: Sequence[Table], current: Sequence[Table]) -> Iterator[tuple[Table, Table]]:
    """The tables of two versions of a file: those with the same header first, then the others in their order."""
    remaining = list(earlier)
    alone = []
    for table in current:
        twin = next((other for other in remaining if other.header.cells == table.header.cells), None)
        if twin is None:
            alone.append(table)
        else:
            remaining.remove(twin)
            yield twin, table
    yield from zip(remaining, alone, strict=False)
