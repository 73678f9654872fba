"""A table whose cells are read once, for all rules. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from carrel.disclosure.cells import CellKind, may_be_grouped, read_cell
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.mentions import words_of
from carrel.disclosure.tables import Table, TableRow

NO_COUNTS = re.compile(
    r"(^|_)(year|month|week|day|date|age|band|group|code|id|index|quarter|imd|quintile|decile|level|order|rank|stp|msoa)(_|$)",
    re.IGNORECASE,
)
_COUNT_ROW = re.compile(r"n|n[_ ]?\(%\)|counts?|freq(uency)?\.?|total|number( of .{1,40})?|n_.{1,40}", re.IGNORECASE)
_TOTAL = re.compile(
    r"((grand|sub|row|column|overall) ?-?)?totals?|all( .{1,40})?|overall|sum|any|everyone|margins?", re.IGNORECASE
)
_TOTAL_WORDS = frozenset({"total", "totals", "all", "overall", "sum"})
_MOST_DIGITS = 18
"""Of a number that is read without more ado."""
_MOST_WHOLE = 2 / 3
"""Of a column's numbers, for it to be counts: a mean or a rate among them does not excuse the others."""


@dataclass(frozen=True)
class ReadColumn:
    """`number` counts from 1. `texts` are its cells, row by row; what they say is read once."""

    number: int
    name: str
    texts: tuple[str, ...]

    @cached_property
    def counts(self) -> tuple[int | None, ...]:
        """The count that each row says; None where it says something else."""
        return tuple(map(self._readings[0].get, self.texts))

    @cached_property
    def distinct_counts(self) -> frozenset[int]:
        """The counts that stand in any row."""
        return frozenset(self._readings[0].values())

    @cached_property
    def cell_kinds(self) -> tuple[CellKind, ...]:
        """What each row's cell is."""
        return tuple(map(self._readings[1].__getitem__, self.texts))

    @cached_property
    def _readings(self) -> tuple[dict[str, int], dict[str, CellKind]]:
        """The count, where it is one, and the kind of each different cell."""
        counts, kinds = {}, {}
        for text in set(self.texts):
            if text.isdigit() and text.isascii() and len(text) <= _MOST_DIGITS:
                counts[text], kinds[text] = int(text), CellKind.COUNT
                continue
            cell = read_cell(text)
            kinds[text] = cell.kind
            if cell.kind is CellKind.COUNT:
                counts[text] = cell.count
        return counts, kinds

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of its name: `n_total` has `n` and `total`."""
        return frozenset(words_of(self.name[:200]))

    @cached_property
    def kinds(self) -> Counter[CellKind]:
        return Counter(self.cell_kinds)

    @cached_property
    def is_count(self) -> bool:
        """Whether it holds counts of people or things.

        Most of its numbers are whole and not negative, most of its cells are numbers or say that one is not shown,
        and its name does not say that it is something else (a year, an age, an id).
        """
        if NO_COUNTS.search(self.name):
            return False
        kinds = self.kinds
        whole, other, text = (kinds[kind] for kind in (CellKind.COUNT, CellKind.NUMBER, CellKind.TEXT))
        others = (text for text, kind in zip(self.texts, self.cell_kinds, strict=True) if kind is CellKind.NUMBER)
        if whole and other and all(map(may_be_grouped, others)):  # thousands parted by points, not fractions
            whole, other = whole + other, 0
        numeric = whole + other + kinds[CellKind.MARK]
        return whole > 0 and whole >= _MOST_WHOLE * (whole + other) and numeric >= text

    @cached_property
    def is_label(self) -> bool:
        """Whether it says what a row is about: words, or numbers that its name says are no counts (a year, an age).

        The first column is one too where all of its words might be marks (`c`, `x`).
        """
        if self.is_count:
            return False
        has_no_number = not self.kinds[CellKind.COUNT] and not self.kinds[CellKind.NUMBER]
        is_first = self.number == 1 and has_no_number and self.kinds[CellKind.MARK] > 0
        return is_first or self.kinds[CellKind.TEXT] > 0 or NO_COUNTS.search(self.name) is not None

    @property
    def is_total(self) -> bool:
        """Whether its name says that it is a sum of other columns."""
        return not _TOTAL_WORDS.isdisjoint(self.words)


@dataclass(frozen=True)
class ReadTable:
    """A table by its columns."""

    table: Table

    @cached_property
    def columns(self) -> tuple[ReadColumn, ...]:
        header, rows = self.table.header.cells, self.table.rows
        if rows and all(len(row.cells) == len(header) for row in rows):
            texts = list(zip(*(row.cells for row in rows), strict=True))
        else:
            texts = [self.table.column(number) for number in range(len(header))]
        return tuple(ReadColumn(number, name, texts[number - 1]) for number, name in enumerate(header, start=1))

    @property
    def rows(self) -> tuple[TableRow, ...]:
        return self.table.rows

    @cached_property
    def count_columns(self) -> tuple[ReadColumn, ...]:
        """Columns of counts."""
        return tuple(column for column in self.columns if column.is_count)

    @cached_property
    def summed_columns(self) -> tuple[ReadColumn, ...]:
        """Columns of counts, and those among them of which everything is redacted."""
        if not self.count_columns:
            return ()
        shown = (CellKind.COUNT, CellKind.NUMBER, CellKind.TEXT)
        return tuple(
            column
            for column in self.columns
            if column.is_count
            or (column.number > 1 and column.kinds[CellKind.MARK] and not any(column.kinds[kind] for kind in shown))
        )

    @cached_property
    def label_columns(self) -> tuple[ReadColumn, ...]:
        """Columns that say what a row is about."""
        return tuple(column for column in self.columns if column.is_label)

    @cached_property
    def count_rows(self) -> frozenset[int]:
        """Numbers of the rows whose label says that they count (`N`, `total`), from 0."""
        labels = self.columns[0].texts if self.columns else ()
        return frozenset(row for row, label in enumerate(labels) if _COUNT_ROW.fullmatch(label.strip()))

    def cells_that_count(
        self, is_told: Callable[[int], bool], among: Callable[[ReadColumn], bool]
    ) -> Iterator[tuple[int, ReadColumn]]:
        """Row (from 0) and column of each count that is to be told, `among` these columns.

        Counts are the cells of columns of counts, and, in other columns, of rows that say that they count.
        """
        for column in filter(among, self.columns):
            told = {count for count in column.distinct_counts if is_told(count)}
            if told and column.is_count:
                yield from ((row, column) for row, count in enumerate(column.counts) if count in told)
            elif told and column.number > 1 and self.count_rows and not NO_COUNTS.search(column.name):
                yield from ((row, column) for row in sorted(self.count_rows) if column.counts[row] in told)

    def finding(self, rule: RuleId, row: int, column: ReadColumn, message: str) -> DisclosureFinding:
        """A finding at the cell in this row (from 0)."""
        return DisclosureFinding(
            rule=rule,
            line=self.rows[row].line,
            column=column.name,
            column_number=column.number,
            value=column.texts[row],
            message=message,
        )

    def column_finding(self, rule: RuleId, column: ReadColumn, message: str, subject: str = "") -> DisclosureFinding:
        """A finding about a whole column, at its header. It quotes no value."""
        return DisclosureFinding(
            rule=rule,
            line=self.table.header.line,
            column=column.name,
            column_number=column.number,
            value="",
            message=message,
            subject=subject,
        )


def is_total_label(text: str) -> bool:
    """Whether a row's label says that it sums up others: `Total`, `All`, `All regions`, `Overall`."""
    return _TOTAL.fullmatch(text.strip().strip("*_").strip()) is not None
