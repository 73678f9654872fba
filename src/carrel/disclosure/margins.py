"""Redacted cells that the margins of a table give away: a total less the other parts. Pure.

Sources: the SDC Handbook (Griffiths et al. 2019), "secondary disclosure"; Cox, *Network models for complementary cell
suppression* (1995): by the margins of a table, a cell is known exactly when it has one value in every solution.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from carrel.disclosure.cells import CellKind
from carrel.disclosure.columns import ReadColumn, ReadTable, is_total_label
from carrel.disclosure.findings import DisclosureFinding, NotChecked, RuleId
from carrel.disclosure.policy import DisclosurePolicy

MAX_REDACTED_TOGETHER = 200
"""Most redacted cells that hang together by margins and are solved for."""
_PRIME = (1 << 61) - 1
"""Sums are solved modulo a prime: exact, and no number grows."""

Place = tuple[int, int]
"""A row, from 0, and the number of a column, from 1."""


@dataclass(frozen=True, slots=True)
class Margin:
    """A cell that is the sum of others."""

    total: Place
    parts: tuple[Place, ...]

    def signed(self) -> Iterator[tuple[Place, int]]:
        """Every cell, with the sign that it has where all sum up to nothing."""
        yield self.total, -1
        for part in self.parts:
            yield part, 1


@dataclass(frozen=True)
class Margins:
    """The margins of a table that hold, the counts that it shows, and the cells of them that it does not."""

    sums: tuple[Margin, ...]
    counts: Mapping[Place, int]
    redacted: frozenset[Place]

    @cached_property
    def sums_of(self) -> Mapping[Place, list[tuple[int, int]]]:
        """The sums that each cell stands in, by their numbers, with the sign that it has in them."""
        numbers = defaultdict(list)
        for number, margin in enumerate(self.sums):
            for cell, sign in margin.signed():
                numbers[cell].append((number, sign))
        return numbers

    @cached_property
    def balances(self) -> Sequence[int]:
        """What the shown cells of each sum come to, each with its sign."""
        return [sum(self.counts.get(cell, 0) * sign for cell, sign in margin.signed()) for margin in self.sums]


def revealing_margins(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each redacted cell of a count that can be worked out from totals and the cells beside it.

    Raises NotChecked where too many hang together. The value is not quoted.
    """
    if not any(column.kinds[CellKind.MARK] or column.kinds[CellKind.EMPTY] for column in read.summed_columns):
        return
    margins = margins_of(read)
    columns = {column.number: column for column in read.columns}
    for row, number in sorted(worked_out(margins, margins.redacted)):
        message = "the totals and the other cells give this redacted cell away"
        yield read.finding(RuleId.MARGINS, row, columns[number], message)


def margins_of(read: ReadTable) -> Margins:
    """The sums that hold in a table: down its columns by total rows, and along its rows by total columns.

    A kind of sum (a total row's, a total column's) is believed when it holds in half of the places or more where all
    its cells are shown, or when there is no such place.
    """
    counts: dict[Place, int] = {}
    redacted = set()
    for column in read.summed_columns:
        for row, (count, kind) in enumerate(zip(column.counts, column.cell_kinds, strict=True)):
            if count is not None:
                counts[row, column.number] = count
            elif kind in (CellKind.MARK, CellKind.EMPTY):
                redacted.add((row, column.number))
    believed: list[Margin] = []
    for family in chain(_down(read), _along(read)):
        partly_shown: list[Margin] = []
        holding, shown = [], 0
        for margin in family:
            places = (margin.total, *margin.parts)
            numbers = [counts[cell] for cell in places if cell in counts]
            if len(numbers) == len(places):
                shown += 1
                if 2 * counts[margin.total] == sum(numbers):
                    holding.append(margin)
            elif all(cell in counts or cell in redacted for cell in places):
                partly_shown.append(margin)
        if 2 * len(holding) >= shown:
            believed += [*partly_shown, *holding]
    return Margins(tuple(dict.fromkeys(believed)), counts, frozenset(redacted))


def _down(read: ReadTable) -> Iterator[list[Margin]]:
    """Total rows, by each column of labels: the rows that have all other labels in common are the parts."""
    if not read.summed_columns:
        return
    for label in read.label_columns:
        others = [column for column in read.label_columns if column is not label]
        by_others: dict[tuple[str, ...], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for row, text in enumerate(label.texts):
            totals, parts = by_others[tuple(other.texts[row] for other in others)]
            (totals if is_total_label(text) else parts).append(row)
        sums = [(totals[0], parts) for totals, parts in by_others.values() if len(totals) == 1 and parts]
        yield from _of_rows(read.summed_columns, sums)
    if len(read.label_columns) > 1:
        yield from _of_blocks(read)


def _of_blocks(read: ReadTable) -> Iterator[list[Margin]]:
    """`Table 1`: blocks of rows by the first label (age, sex, ...), each of which adds up to the one total row."""
    first = read.label_columns[0]
    totals = [row for row, text in enumerate(first.texts) if is_total_label(text)]
    blocks = defaultdict(list)
    for row, text in enumerate(first.texts):
        if row not in totals:
            blocks[text].append(row)
    if len(totals) == 1:
        yield from _of_rows(read.summed_columns, [(totals[0], rows) for rows in blocks.values() if len(rows) > 1])


def _of_rows(columns: Sequence[ReadColumn], sums: Iterable[tuple[int, Sequence[int]]]) -> Iterator[list[Margin]]:
    """The same total rows in every column of counts: believed or not column by column."""
    listed = list(sums)
    for column in columns:
        yield [Margin((total, column.number), tuple((row, column.number) for row in rows)) for total, rows in listed]


def _along(read: ReadTable) -> Iterator[list[Margin]]:
    """Total columns: the other columns of counts are the parts."""
    totals = [column for column in read.summed_columns if column.is_total]
    parts = [column for column in read.summed_columns if not column.is_total]
    if len(parts) < 2:
        return
    for total in totals:
        yield [
            Margin((row, total.number), tuple((row, part.number) for part in parts)) for row in range(len(read.rows))
        ]


def worked_out(margins: Margins, hidden: Collection[Place]) -> dict[Place, int]:
    """The hidden cells that have one value in every solution of the sums, with that value; none that is 0.

    A sum whose hidden cells come to nothing says nothing: its total was made anew without them. Where as many cells
    as people are hidden, each is 1, as only counts above 0 are redacted. Raises NotChecked.
    """
    unknown_of: dict[int, dict[Place, int]] = defaultdict(dict)
    for cell in hidden:
        for number, sign in margins.sums_of.get(cell, ()):
            unknown_of[number][cell] = sign
    equations = []
    for number, unknown in sorted(unknown_of.items()):
        rest = sum(margins.counts.get(cell, 0) * sign for cell, sign in unknown.items()) - margins.balances[number]
        signs = set(unknown.values())
        # Parts alone come to something above 0, and so does a total alone; of both, anything is possible.
        if signs == {1, -1} or (signs == {1} and rest > 0) or (signs == {-1} and rest < 0):
            equations.append((unknown, rest))
    solutions = {}
    for component in _components(equations):
        solutions.update(_solved(component))
    for unknown, rest in equations:
        if len(unknown) == rest and all(sign == 1 for sign in unknown.values()):
            solutions.update(dict.fromkeys(unknown, 1))
    return {cell: value for cell, value in solutions.items() if value > 0}


_Equation = tuple[dict[Place, int], int]


def _components(equations: Sequence[_Equation]) -> Iterator[list[_Equation]]:
    """Equations that hang together by their unknown cells."""
    by_place = defaultdict(list)
    for number, (unknown, _) in enumerate(equations):
        for cell in unknown:
            by_place[cell].append(number)
    pending = set(range(len(equations)))
    while pending:
        stack, component = [min(pending)], []
        pending.discard(stack[0])
        while stack:
            number = stack.pop()
            component.append(equations[number])
            near = {other for cell in equations[number][0] for other in by_place[cell]} & pending
            pending -= near
            stack += near
        yield component


def _solved(equations: Sequence[_Equation]) -> dict[Place, int]:
    """Gauss and Jordan, modulo a prime: the unknown cells that stand alone in an equation at the end."""
    if len({cell for unknown, _ in equations for cell in unknown}) > MAX_REDACTED_TOGETHER:
        raise NotChecked(f"more than {MAX_REDACTED_TOGETHER} redacted cells hang together by their totals")
    solved: dict[Place, _Equation] = {}
    for unknown, rest in equations:
        row, value = dict(unknown), rest
        for pivot in [cell for cell in row if cell in solved]:
            row, value = _less(row, value, row.get(pivot, 0), solved[pivot])
        if not row:
            continue
        pivot = min(row)
        inverse = pow(row[pivot], -1, _PRIME)
        row, value = {cell: factor * inverse % _PRIME for cell, factor in row.items()}, value * inverse % _PRIME
        for other, (factors, constant) in solved.items():
            if pivot in factors:
                solved[other] = _less(factors, constant, factors[pivot], (row, value))
        solved[pivot] = (row, value)
    alone = {pivot: value for pivot, (row, value) in solved.items() if len(row) == 1}
    return {cell: value if value < _PRIME // 2 else value - _PRIME for cell, value in alone.items()}


def _less(row: Mapping[Place, int], value: int, factor: int, other: _Equation) -> _Equation:
    """A row less so many times the other one."""
    result = dict(row)
    for cell, number in other[0].items():
        difference = (result.get(cell, 0) - factor * number) % _PRIME
        if difference:
            result[cell] = difference
        else:
            result.pop(cell, None)
    return result, (value - factor * other[1]) % _PRIME
