"""Secondary suppression: which further cells to redact where the margins of a table give a redacted one away. Pure.

Sources: the SDC Handbook (Griffiths et al. 2019), "secondary suppression"; Cox, *Network models for complementary cell
suppression* (1995). A search, not a linear programme: tables that people review are small.
"""

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.counts import MIDPOINT
from carrel.disclosure.findings import NotChecked
from carrel.disclosure.margins import Margins, Place, margins_of, worked_out
from carrel.disclosure.policy import DisclosurePolicy

MAX_SUMS = 2_000
"""Most sums of a table for which further cells are searched."""
MAX_STEPS = 2_000
"""Most sets of cells that are tried for all redacted cells together."""
MAX_CELL_STEPS = 200_000
"""Most cells times sets: a search in a large table ends sooner."""
MAX_STEPS_OF_ONE = 200
"""Most sets of cells that are tried for one of them."""
NOT_COVERED = (
    "cells that the totals narrow down to a few values without telling one",
    "totals that stand in another file, or in an earlier release",
    "sums of numbers that were rounded each by itself",
)
"""What a proposal does not protect against, to be said wherever one is shown."""


@dataclass(frozen=True, slots=True)
class ProposedCell:
    """A cell that is to be redacted too: its line, the number of its column (both from 1), its column and its count."""

    line: int
    column_number: int
    column: str
    count: int


@dataclass(frozen=True, slots=True)
class SuppressionProposal:
    """The fewest cells, and of those the smallest counts, that hide all others; none where nothing is given away.

    `is_best`: the search saw everything; else these cells hide all, and fewer might. `given_away`: how many redacted
    cells the margins told before.
    """

    cells: tuple[ProposedCell, ...]
    given_away: int
    is_best: bool = True


def propose_suppression(
    read: ReadTable, policy: DisclosurePolicy, redacted: Collection[tuple[int, int]] = ()
) -> SuppressionProposal:
    """Propose further cells of a table to redact, so that no redacted one can be worked out from its margins.

    Taken as redacted are the cells that are so already, every count that is too small to be shown, and those of
    `redacted` (line and number of the column). Raises NotChecked where the table is too large.
    """
    margins = margins_of(read)
    if len(margins.sums) > MAX_SUMS:
        raise NotChecked(f"more than {MAX_SUMS:,} sums: no further cells are searched")
    rows = {row.line: number for number, row in enumerate(read.rows)}
    hidden = set(margins.redacted) | {(rows[line], number) for line, number in redacted if line in rows}
    for column in read.count_columns:
        if not MIDPOINT.search(column.name):
            counted = ((row, count) for row, count in enumerate(column.counts) if count is not None)
            hidden |= {(row, column.number) for row, count in counted if 0 < count < policy.smallest_shown}
    given_away = len(worked_out(margins, hidden))
    further, is_best = _fewest(margins, hidden)
    names = {column.number: column.name for column in read.columns}
    cells = (
        ProposedCell(read.rows[row].line, number, names[number], margins.counts[row, number])
        for row, number in sorted(further)
    )
    return SuppressionProposal(tuple(cells), given_away, is_best)


def _fewest(margins: Margins, hidden: Collection[Place]) -> tuple[frozenset[Place], bool]:
    """The best set of cells, or, where the search is too long, the best for one cell after the other."""
    best = _searched(margins, hidden)
    if best is not None:
        return best, True
    chosen: set[Place] = set()
    while revealed := worked_out(margins, {*hidden, *chosen}):
        now_hidden = {*hidden, *chosen}
        smallest = min(_candidates(margins, now_hidden, min(revealed)), key=lambda cell: margins.counts[cell])
        chosen |= _searched(margins, now_hidden, min(revealed)) or {smallest}
    for cell in sorted(chosen, key=lambda cell: -margins.counts[cell]):
        if not worked_out(margins, {*hidden, *chosen} - {cell}):
            chosen.remove(cell)
    return frozenset(chosen), False


def _searched(margins: Margins, hidden: Collection[Place], only: Place | None = None) -> frozenset[Place] | None:
    """The fewest cells, and of those the least sum, that hide all, or `only` one and themselves; None: too long."""
    queue: list[tuple[int, int, tuple[Place, ...]]] = [(0, 0, ())]
    visited = {frozenset[Place]()}
    most = min(MAX_STEPS, MAX_CELL_STEPS // max(1, len(margins.counts))) if only is None else MAX_STEPS_OF_ONE
    for _ in range(most):
        _, total, chosen = heapq.heappop(queue)
        now_hidden = {*hidden, *chosen}
        revealed = [cell for cell in worked_out(margins, now_hidden) if only is None or cell in (only, *chosen)]
        if not revealed:
            return frozenset(chosen)
        for cell in _candidates(margins, now_hidden, min(revealed)):
            further = frozenset((*chosen, cell))
            if further not in visited:
                visited.add(further)
                heapq.heappush(queue, (len(further), total + margins.counts[cell], tuple(sorted(further))))
    return None


def _candidates(margins: Margins, hidden: Collection[Place], revealed: Place) -> Iterator[Place]:
    """Cells of which one must be redacted too, if `told` is to be hidden.

    Where one sum tells it alone, those of that sum; else those of all sums that hang together with it by what they
    hide. Cells with 0 people hide nobody. There is always one: what sums tell is above 0, and so is something in them.
    """
    own = [[cell for cell, _ in margins.sums[number].signed()] for number, _ in margins.sums_of[revealed]]
    alone = next((places for places in own if [cell for cell in places if cell in hidden] == [revealed]), None)
    near, pending = set(alone or ()), [] if alone else [revealed]
    while pending:
        for number, _ in margins.sums_of[pending.pop()]:
            places = {cell for cell, _ in margins.sums[number].signed()}
            pending += (places - near) & set(hidden)
            near |= places
    return (cell for cell in sorted(near) if cell not in hidden and margins.counts.get(cell, 0) > 0)
