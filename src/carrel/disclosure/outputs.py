"""The disclosure rules on one output file of any type: what they find, or why they could not look. Pure."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.differences import paired, small_differences
from carrel.disclosure.figures import IMAGE_TYPES, image_without_numbers
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.jsons import Json, NoStrings
from carrel.disclosure.markup import Markup
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.rules import MOST_FINDINGS, look_at_table
from carrel.disclosure.tables import Table, TableRow, read_tables, tables_in_text
from carrel.disclosure.texts import Unreadable, blocks_of, decoded
from carrel.units.limits import MAX_TABLE_CELLS, MAX_TABLE_COLUMNS, MAX_TABLE_JSON

DEFAULT_POLICY = DisclosurePolicy()
MAX_FILE_FINDINGS = 2_000
"""Of one file, over all its tables and rules."""
_TEXTS = frozenset({".txt", ".md", ".log"})


@dataclass(frozen=True, slots=True)
class Look:
    """`unchecked`: why the rules could not look, or had nothing that they understand; "" when they did.

    `is_blind`: they should have been able to: a table that is not understood, a file that is damaged.
    """

    findings: tuple[DisclosureFinding, ...] = ()
    unchecked: str = ""
    is_blind: bool = False


def look_at(
    stream: BinaryIO,
    path: str,
    policy: DisclosurePolicy = DEFAULT_POLICY,
    pulse: Callable[[], None] = lambda: None,
    beside: Collection[str] | None = None,
) -> Look:
    """The findings of a file of this path (or suffix), by the rules of one file. Contents never raise.

    `beside`: paths of the files that go with it, among which an image's numbers are looked for; None: they are not.
    """
    suffix = PurePosixPath(path).suffix.lower() or path
    if suffix in IMAGE_TYPES:
        is_asked = beside is not None and RuleId.IMAGE_WITHOUT_NUMBERS not in policy.off
        of_image = tuple(image_without_numbers(path, beside or ())) if is_asked else ()
        return Look(of_image, "it is an image; look at the numbers that it shows")
    try:
        tables = tables_of(stream, suffix, pulse)
    except Unreadable as error:
        return Look(unchecked=str(error), is_blind=True)
    if not tables:
        is_table = suffix == ".csv"
        return Look(unchecked="it is not understood as a table" if is_table else "it has no table", is_blind=is_table)
    if max(len(table.header.cells) for table in tables) > MAX_TABLE_COLUMNS:
        return Look(unchecked=f"it has more than {MAX_TABLE_COLUMNS:,} columns", is_blind=True)
    findings: list[DisclosureFinding] = []
    unchecked: list[str] = []
    for table in tables:
        pulse()
        look = look_at_table(ReadTable(table), policy)
        findings += look.findings
        unchecked += look.unchecked
    if suffix == ".csv" and not findings and not any(table.rows for table in tables):
        return Look(unchecked="it has no rows below a header")
    if len(findings) > MAX_FILE_FINDINGS:
        unchecked.append(f"what follows the first {MAX_FILE_FINDINGS:,} findings")
    return Look(tuple(findings[:MAX_FILE_FINDINGS]), "; ".join(dict.fromkeys(unchecked)))


def look_at_difference(
    earlier: BinaryIO,
    current: BinaryIO,
    path: str,
    policy: DisclosurePolicy,
    compared_with: str,
    pulse: Callable[[], None] = lambda: None,
) -> Look:
    """What the rules of two tables say of two versions of a file. `compared_with` names what the earlier one is of.

    `unchecked` says why they could not be compared; two files without tables have nothing to compare. Contents never
    raise.
    """
    suffix = PurePosixPath(path).suffix.lower() or path
    if suffix in IMAGE_TYPES:
        return Look(unchecked="it is an image; compare it by eye")
    try:
        tables = [tables_of(stream, suffix, pulse) for stream in (earlier, current)]
    except Unreadable as error:
        return Look(unchecked=f"not compared with {compared_with}: {error}", is_blind=True)
    pairs = paired(*tables)
    differences = chain.from_iterable(
        small_differences(before, after, policy, compared_with) for before, after in pairs
    )
    findings = tuple(islice(differences, MOST_FINDINGS + 1))
    more = f"what follows the first {MOST_FINDINGS} differences to {compared_with}"
    return Look(findings[:MOST_FINDINGS], more if len(findings) > MOST_FINDINGS else "")


def tables_of(stream: BinaryIO, suffix: str, pulse: Callable[[], None] = lambda: None) -> list[Table]:
    """The tables of a file, whatever its type; none where there are none. Raises Unreadable.

    UTF-16 and UTF-32 with their byte order marks are read too, although level 4 takes UTF-8 only.
    """
    texts = decoded(blocks_of(stream, pulse), by_mark=True)
    if suffix == ".html":
        return _tables_of_page(texts)
    if suffix == ".json":
        return _tables_of_json(texts)
    return tables_in_text(texts) if suffix in _TEXTS else read_tables(texts)


def _tables_of_page(texts: Iterator[str]) -> list[Table]:
    grid = _Grid()
    page = Markup(grid)
    for text in texts:
        page.feed(text)
    page.close()
    return [Table(rows[0], tuple(rows[1:])) for rows in grid.tables if len(rows) > 1]


class _Grid:
    """Collects the cells of a page's tables; a table within a table ends the row that it stands in."""

    def __init__(self) -> None:
        self.tables: list[list[TableRow]] = []
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._count = 0

    def text(self, piece: str) -> None:
        if self._cell is not None:
            self._cell.append(piece)

    def aside(self, piece: str) -> None:
        """Nothing that is not shown is a cell."""

    def boundary(self) -> None:
        """Nothing that is not shown is a cell."""

    def tag(self, name: str, *, is_end: bool) -> None:
        if name in ("td", "th"):
            self._end_cell()
            self._cell = None if is_end else []
        elif name in ("tr", "table"):
            self._end_cell()
            if self._row and self.tables:
                rows = self.tables[-1]
                rows.append(TableRow(len(rows) + 1, tuple(self._row)))
            self._row = None
            if not is_end:
                if name == "table" or not self.tables:
                    self.tables.append([])
                self._row = []

    def _end_cell(self) -> None:
        if self._cell is None:
            return
        self._count += 1
        if self._count > MAX_TABLE_CELLS:
            raise Unreadable(f"it has more than {MAX_TABLE_CELLS:,} cells")
        if self._row is None:
            self._row = []
        self._row.append(" ".join("".join(self._cell).split()))
        self._cell = None


def _tables_of_json(texts: Iterator[str]) -> list[Table]:
    """Lists of records, lists of lists, columns by name, and columns with their data, at any depth."""
    checked, parts = Json(NoStrings(), MAX_TABLE_CELLS), []
    size = 0
    for text in texts:
        size += len(text)
        if size > MAX_TABLE_JSON:
            raise Unreadable(f"it is longer than {MAX_TABLE_JSON:,} characters")
        checked.feed(text)
        parts.append(text)
    checked.close()
    return list(_tables_within(json.loads("".join(parts))))


def _tables_within(value: Any) -> Iterator[Table]:
    table = _table_of(value)
    if table is not None:
        yield table
        return
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _tables_within(inner)


def _table_of(value: Any) -> Table | None:
    if isinstance(value, list) and value and all(isinstance(record, dict) for record in value):
        names = list(dict.fromkeys(name for record in value for name in record))
        return _from_rows(names, [[record.get(name) for name in names] for record in value])
    if isinstance(value, list) and len(value) > 1 and all(isinstance(row, list) for row in value):
        return _from_rows(value[0], value[1:])
    if isinstance(value, dict) and isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return _from_rows(value["columns"], [row if isinstance(row, list) else [row] for row in value["data"]])
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        return _from_columns(list(value), list(value.values()))
    if isinstance(value, dict) and len(value) > 1 and all(isinstance(column, dict) for column in value.values()):
        columns = [list(column.values()) for column in value.values()]
        return _from_columns(list(value), columns) if len(set(map(len, columns))) == 1 else None
    return None


def _from_columns(names: list[Any], columns: list[list[Any]]) -> Table | None:
    height = max(map(len, columns))
    if height * len(columns) > MAX_TABLE_CELLS:
        raise Unreadable(f"it has more than {MAX_TABLE_CELLS:,} cells")
    rows = [[column[number] if number < len(column) else None for column in columns] for number in range(height)]
    return _from_rows(names, rows)


def _from_rows(names: list[Any], rows: list[list[Any]]) -> Table | None:
    """None where cells are no cells: records within records are looked into one by one."""
    if any(isinstance(cell, dict | list) for row in rows for cell in row):
        return None
    header = TableRow(1, tuple(_cell_text(name) for name in names))
    return Table(
        header, tuple(TableRow(number, tuple(map(_cell_text, row))) for number, row in enumerate(rows, start=2))
    )


def _cell_text(value: Any) -> str:
    return "" if value is None else str(value)
