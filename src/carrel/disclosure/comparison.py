"""Two versions of a table or a text side by side: what was added, removed and changed. Pure.

Rows are aligned by what their labels say, not by where they stand, and columns by their names: a table that was sorted
anew, or got a row at its top, has changed in that alone.
"""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.findings import NotChecked
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import Table
from carrel.units.limits import MAX_COMPARED_LINES

_MOST_KEYS = 6
"""Columns of labels that are tried as what names a row."""


class DiffKind(StrEnum):
    """What became of a cell or a line between the old version and the new."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """Numbers of a row in the old and the new table, from 0; None where it is not there."""

    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class AlignedColumn:
    """A column's name, and its numbers in the old and the new table, from 1; None where it is not there."""

    name: str
    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class TableAlignment:
    """Rows and columns of two tables together, in the new table's order. `keys`: the columns by which rows match."""

    rows: tuple[AlignedRow, ...]
    columns: tuple[AlignedColumn, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChange:
    """A cell that differs. `row` and `column` are positions in the alignment, from 0; lines are those of the files.

    `difference` is new less old, where both are counts; `is_small`: it is not 0 and too small a number to be shown.
    """

    kind: DiffKind
    row: int
    column: int
    old: str
    new: str
    old_line: int = 0
    new_line: int = 0
    difference: int | None = None
    is_small: bool = False


@dataclass(frozen=True, slots=True)
class TableComparison:
    """Every cell of matched rows that differs. Cells of rows that are in one table only are not listed again."""

    alignment: TableAlignment
    changes: tuple[CellChange, ...]

    def rows_of(self, kind: DiffKind) -> tuple[AlignedRow, ...]:
        """Rows that were ADDED or REMOVED; CHANGED and SAME ones are in both tables."""
        if kind is DiffKind.ADDED:
            return tuple(row for row in self.alignment.rows if row.old is None)
        if kind is DiffKind.REMOVED:
            return tuple(row for row in self.alignment.rows if row.new is None)
        changed = {change.row for change in self.changes}
        both = ((number, row) for number, row in enumerate(self.alignment.rows) if None not in (row.old, row.new))
        return tuple(row for number, row in both if (number in changed) is (kind is DiffKind.CHANGED))

    @property
    def alarms(self) -> tuple[CellChange, ...]:
        """The changes whose difference is itself a small number."""
        return tuple(change for change in self.changes if change.is_small)


def compare_tables(
    old: Table, new: Table, policy: DisclosurePolicy, keys: Sequence[str] | None = None
) -> TableComparison:
    """Compare two versions of a table cell by cell. `keys`: names of the columns that name a row; None: found out."""
    old_read, new_read = ReadTable(old), ReadTable(new)
    alignment = align(old_read, new_read, keys)
    changes = []
    for number, column in enumerate(alignment.columns):
        before = old_read.columns[column.old - 1] if column.old else None
        after = new_read.columns[column.new - 1] if column.new else None
        kind = DiffKind.ADDED if before is None else DiffKind.REMOVED if after is None else DiffKind.CHANGED
        for row_number, row in enumerate(alignment.rows):
            if row.old is None or row.new is None:
                continue
            old_text, new_text = (before.texts[row.old] if before else ""), (after.texts[row.new] if after else "")
            if old_text == new_text:
                continue
            difference = None
            if before and after and (before.is_count or after.is_count):
                counts = before.counts[row.old], after.counts[row.new]
                difference = None if counts[0] is None or counts[1] is None else counts[1] - counts[0]
            changes.append(
                CellChange(
                    kind=kind,
                    row=row_number,
                    column=number,
                    old=old_text,
                    new=new_text,
                    old_line=old.rows[row.old].line,
                    new_line=new.rows[row.new].line,
                    difference=difference,
                    is_small=difference is not None and 0 < abs(difference) < policy.smallest_shown,
                )
            )
    return TableComparison(alignment, tuple(sorted(changes, key=lambda change: (change.row, change.column))))


def align(old: ReadTable, new: ReadTable, keys: Sequence[str] | None = None) -> TableAlignment:
    """Match the columns of two tables by their names and the rows by their labels; without labels, by position."""
    columns = _aligned_columns(old, new)
    in_both = [column for column in columns if column.old and column.new]
    chosen = _keys(old, new, in_both) if keys is None else [column for column in in_both if column.name in keys]
    old_keys = _row_keys(old, [column.old for column in chosen if column.old])
    new_keys = _row_keys(new, [column.new for column in chosen if column.new])
    rows = _merged({key: row for row, key in enumerate(old_keys)}, new_keys)
    return TableAlignment(tuple(rows), tuple(columns), tuple(column.name for column in chosen))


def _aligned_columns(old: ReadTable, new: ReadTable) -> list[AlignedColumn]:
    """The new table's columns, and those that are gone. Of a name that stands twice, the first is the first's."""
    numbers = defaultdict(list)
    for column in old.columns:
        numbers[column.name].append(column.number)
    columns = []
    for column in new.columns:
        old_number = numbers[column.name].pop(0) if numbers[column.name] else None
        columns.append(AlignedColumn(column.name, old_number, column.number))
    gone = sorted((number, name) for name, remaining in numbers.items() for number in remaining)
    return columns + [AlignedColumn(name, number, None) for number, name in gone]


def _keys(old: ReadTable, new: ReadTable, columns: Sequence[AlignedColumn]) -> list[AlignedColumn]:
    """Of the columns of labels, so many from the left as match most rows; fewer where that is as good."""
    labels = [
        column
        for column in columns
        if column.old and column.new and old.columns[column.old - 1].is_label and new.columns[column.new - 1].is_label
    ][:_MOST_KEYS]
    best, most = [], 0.0
    for length in range(1, len(labels) + 1):
        chosen = labels[:length]
        one = _labels_of(old, [column.old for column in chosen if column.old])
        other = _labels_of(new, [column.new for column in chosen if column.new])
        # Rows of one name, of which there are several, match by their order only: each counts as half of one.
        matched = sum(1 if one[key] == other[key] == 1 else min(one[key], other[key]) / 2 for key in one)
        if matched > most:
            best, most = chosen, matched
    return best


def _labels_of(read: ReadTable, numbers: Sequence[int]) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(read.columns[number - 1].texts for number in numbers), strict=True))


_RowKey = tuple[tuple[str, ...], int]


def _row_keys(read: ReadTable, numbers: Sequence[int]) -> list[_RowKey]:
    """What each row is named by, and how often that name stood before; without columns, the row's position."""
    seen: Counter[tuple[str, ...]] = Counter()
    keys = []
    for row in range(len(read.rows)):
        labels = tuple(read.columns[number - 1].texts[row] for number in numbers)
        keys.append((labels, seen[labels]))
        seen[labels] += 1
    return keys


def _merged(old: dict[_RowKey, int], new: Sequence[_RowKey]) -> Iterator[AlignedRow]:
    """The new rows in their order; a row that is gone stands before the next of the old rows that is still there."""
    remaining = set(new)
    gone = [row for key, row in old.items() if key not in remaining]
    for number, key in enumerate(new):
        row = old.get(key)
        while row is not None and gone and gone[0] < row:
            yield AlignedRow(gone.pop(0), None)
        yield AlignedRow(row, number)
    yield from (AlignedRow(row, None) for row in gone)


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line of two texts: its numbers in them, from 1, None where it is not there. SAME, ADDED or REMOVED."""

    kind: DiffKind
    old: int | None
    new: int | None
    text: str


def compare_texts(old: str, new: str) -> Iterator[LineChange]:
    """Every line of both texts, in order. Raises NotChecked for texts that are too long to be compared."""
    one, other = old.splitlines(), new.splitlines()
    if max(len(one), len(other)) > MAX_COMPARED_LINES:
        raise NotChecked(f"a text of more than {MAX_COMPARED_LINES:,} lines is not compared")
    for tag, i, j, k, m in difflib.SequenceMatcher(None, one, other).get_opcodes():
        if tag == "equal":
            yield from (
                LineChange(DiffKind.SAME, i + number + 1, k + number + 1, one[i + number]) for number in range(j - i)
            )
            continue
        yield from (LineChange(DiffKind.REMOVED, number + 1, None, one[number]) for number in range(i, j))
        yield from (LineChange(DiffKind.ADDED, None, number + 1, other[number]) for number in range(k, m))
