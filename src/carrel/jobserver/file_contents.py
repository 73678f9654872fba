"""What a released file holds, as far as a page shows it, and what changed between two of its versions. Pure.

Bytes in, values out: nothing of a file is ever markup here. What is too large or cannot be read says so.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from carrel.disclosure.comparison import DiffKind, TableComparison, compare_tables
from carrel.disclosure.findings import NotChecked
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import Table, read_tables
from carrel.disclosure.texts import Unreadable

MAX_SHOWN_BYTES = 2 * 1024 * 1024
"""Largest file that a page reads; of larger ones it has a link."""
MAX_SHOWN_ROWS, MAX_SHOWN_COLUMNS = 200, 60
MAX_SHOWN_LETTERS = 100_000
MAX_COMPARED_LINES = 5_000
TABLES, IMAGES, PAGES = (".csv", ".tsv"), (".gif", ".jpeg", ".jpg", ".png", ".svg"), (".htm", ".html")
TEXTS = (".json", ".log", ".md", ".txt", ".yaml", ".yml")


class ContentKind(StrEnum):
    """How a page shows a file: as a table, a picture, a page without rights in a frame, a text, or as a link alone."""

    TABLE = "table"
    IMAGE = "image"
    PAGE = "page"
    TEXT = "text"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FileContents:
    """What of a file is shown. `note`: what is not, and why."""

    kind: ContentKind
    table: Table | None = None
    text: str = ""
    note: str = ""

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        rows = self.table.rows[:MAX_SHOWN_ROWS] if self.table else ()
        return [row.cells[:MAX_SHOWN_COLUMNS] for row in rows]

    @property
    def header(self) -> Sequence[str]:
        return self.table.header.cells[:MAX_SHOWN_COLUMNS] if self.table else ()


def kind_of(name: str) -> ContentKind:
    """Return how a file of this name is shown, by its suffix alone."""
    suffix = PurePosixPath(name).suffix.lower()
    kinds = {ContentKind.TABLE: TABLES, ContentKind.IMAGE: IMAGES, ContentKind.PAGE: PAGES, ContentKind.TEXT: TEXTS}
    return next((kind for kind, suffixes in kinds.items() if suffix in suffixes), ContentKind.NONE)


def contents_of(name: str, data: bytes | None) -> FileContents:
    """Return what is shown of a file. `data` is None where it is larger than what a page reads."""
    kind = kind_of(name)
    if kind in (ContentKind.IMAGE, ContentKind.PAGE):
        return FileContents(kind)
    if kind == ContentKind.NONE:
        return FileContents(kind, note="Files of this type are not shown here: download it.")
    if data is None:
        return FileContents(ContentKind.NONE, note="The file is too large to be shown here: download it.")
    text = data.decode("utf-8-sig", errors="replace")
    table = table_of(text) if kind == ContentKind.TABLE else None
    if table is None:
        cut = f"Only the first {MAX_SHOWN_LETTERS:,} letters are shown." if len(text) > MAX_SHOWN_LETTERS else ""
        return FileContents(ContentKind.TEXT, text=text[:MAX_SHOWN_LETTERS], note=cut)
    rows, columns = len(table.rows), len(table.header.cells)
    is_cut = rows > MAX_SHOWN_ROWS or columns > MAX_SHOWN_COLUMNS
    shown_rows, shown_columns = min(rows, MAX_SHOWN_ROWS), min(columns, MAX_SHOWN_COLUMNS)
    note = f"The first {shown_rows} of {rows:,} rows and {shown_columns} of {columns:,} columns are shown."
    return FileContents(kind, table=table, note=note if is_cut else "")


def table_of(text: str) -> Table | None:
    """Return the file's table; None where it has none, several, or one that cannot be read."""
    try:
        tables = read_tables([text])
    except Unreadable:
        return None
    return tables[0] if len(tables) == 1 else None


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """One cell of a compared table: what it says, what it said before where that differs."""

    text: str
    was: str | None = None
    is_small: bool = False


@dataclass(frozen=True, slots=True)
class ComparedRow:
    kind: DiffKind
    cells: tuple[ComparedCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentChanges:
    """What changed from one version to another: rows of a table, or a unified diff of lines; `note` says the rest."""

    header: tuple[str, ...] = ()
    rows: tuple[ComparedRow, ...] = ()
    diff: str = ""
    note: str = ""
    small: int = 0
    """Differences that are themselves small numbers."""


def changes_between(name: str, old: bytes | None, new: bytes | None, policy: DisclosurePolicy) -> ContentChanges:
    """Compare two versions of a table cell by cell, of any other text line by line."""
    if old is None or new is None:
        return ContentChanges(note="One of the versions is too large to be compared here: not checked.")
    if old == new:
        return ContentChanges(note="Both versions have the same bytes.")
    texts = [data.decode("utf-8-sig", errors="replace") for data in (old, new)]
    before, after = (table_of(text) if kind_of(name) == ContentKind.TABLE else None for text in texts)
    if before and after:
        try:
            return _table_changes(before, after, compare_tables(before, after, policy))
        except (NotChecked, Unreadable) as error:
            return ContentChanges(note=f"The tables cannot be compared: {error}.")
    old_lines, new_lines = texts[0].splitlines(), texts[1].splitlines()
    if max(len(old_lines), len(new_lines)) > MAX_COMPARED_LINES:
        return ContentChanges(note=f"Texts of more than {MAX_COMPARED_LINES:,} lines are not compared here.")
    return ContentChanges(diff="\n".join(difflib.unified_diff(old_lines, new_lines, name, name, lineterm="")))


def _table_changes(before: Table, after: Table, compared: TableComparison) -> ContentChanges:
    """The rows that differ, with all their cells; those that are the same are counted."""
    alignment = compared.alignment
    columns = alignment.columns[:MAX_SHOWN_COLUMNS]
    changed = {(change.row, change.column): change for change in compared.changes}
    numbers = {change.row for change in compared.changes}
    rows = []
    for number, row in enumerate(alignment.rows):
        kind = DiffKind.ADDED if row.old is None else DiffKind.REMOVED if row.new is None else DiffKind.CHANGED
        if kind is DiffKind.CHANGED and number not in numbers:
            continue
        cells = []
        for position, column in enumerate(columns):
            change = changed.get((number, position))
            source, index, place = (before, row.old, column.old) if row.new is None else (after, row.new, column.new)
            values = source.rows[index].cells if index is not None else ()
            text = values[place - 1] if place and place <= len(values) else ""
            cells.append(ComparedCell(text, change.old if change else None, bool(change and change.is_small)))
        rows.append(ComparedRow(kind, tuple(cells)))
    same = len(alignment.rows) - len(rows)
    left_out = (
        f" The first {MAX_SHOWN_ROWS} of {len(rows):,} rows that differ are shown."
        if len(rows) > MAX_SHOWN_ROWS
        else ""
    )
    return ContentChanges(
        header=tuple(column.name for column in columns),
        rows=tuple(rows[:MAX_SHOWN_ROWS]),
        note=f"{same:,} of {len(alignment.rows):,} rows are the same.{left_out}",
        small=len(compared.alarms),
    )
