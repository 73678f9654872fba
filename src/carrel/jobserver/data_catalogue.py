"""What all backends say of their data, put side by side: search, one table on several backends, what changed. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from carrel.messages.catalogue import Catalogue, CatalogueColumn, CatalogueTable, DataSet

MAX_WORDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """One table of one backend. `text`: all that a search looks at, in small letters."""

    backend: str
    database: str
    data_set: DataSet
    table: CatalogueTable
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """What the table is called on every backend: its database and its name in SQL."""
        return self.database, self.table.qualified_name


@dataclass(frozen=True, slots=True)
class TableMatch:
    """A table that a search found, with the backends that have it and the columns that have its words."""

    database: str
    name: str
    description: str
    backends: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """One column of a table over the backends that have the table: the column there, or None where it is missing."""

    name: str
    description: str
    cells: tuple[CatalogueColumn | None, ...]

    @property
    def is_everywhere(self) -> bool:
        return all(self.cells)

    @property
    def types_differ(self) -> bool:
        return len({cell.type for cell in self.cells if cell}) > 1


@dataclass(frozen=True, slots=True)
class CatalogueChanges:
    """What became of the tables and columns between two versions of a catalogue."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def entries_of(catalogue: Catalogue) -> Iterator[TableEntry]:
    """Return every table of a catalogue in its order."""
    for database in catalogue.databases:
        for data_set in database.data_sets:
            for table in data_set.tables:
                words = [table.qualified_name, table.description, data_set.name, data_set.title, data_set.description]
                words += [f"{column.name} {column.description}" for column in table.columns]
                yield TableEntry(
                    backend=catalogue.backend,
                    database=database.name,
                    data_set=data_set,
                    table=table,
                    text="\n".join(words).lower(),
                )


def search(entries: Iterable[TableEntry], query: str) -> list[TableMatch]:
    """Return the tables that have every word of the query somewhere, those with it in their name first."""
    words = query.lower().split()[:MAX_WORDS]
    by_key: dict[tuple[str, str], list[TableEntry]] = {}
    for entry in entries:
        if words and all(word in entry.text for word in words):
            by_key.setdefault(entry.key, []).append(entry)
    matches = [match_of(same, words) for same in by_key.values()]
    return sorted(
        matches, key=lambda match: (not any(word in match.name.lower() for word in words), match.name.lower())
    )


def match_of(entries: Sequence[TableEntry], words: Sequence[str]) -> TableMatch:
    """Return one table as a search shows it. `entries`: the same table on several backends."""
    columns = {
        column.name
        for entry in entries
        for column in entry.table.columns
        if any(word in f"{column.name} {column.description}".lower() for word in words)
    }
    first = entries[0]
    return TableMatch(
        database=first.database,
        name=first.table.qualified_name,
        description=next((entry.table.description for entry in entries if entry.table.description), ""),
        backends=tuple(entry.backend for entry in entries),
        columns=tuple(sorted(columns)),
    )


def columns_of(tables: Sequence[CatalogueTable]) -> list[ColumnRow]:
    """Put the columns of one table on several backends side by side, in the order of the first that has each."""
    names = dict.fromkeys(column.name for table in tables for column in table.columns)
    by_name = [{column.name: column for column in table.columns} for table in tables]
    rows = []
    for name in names:
        cells = tuple(columns.get(name) for columns in by_name)
        description = next((cell.description for cell in cells if cell and cell.description), "")
        rows.append(ColumnRow(name, description, cells))
    return rows


def changes_between(old: Catalogue | None, new: Catalogue) -> CatalogueChanges:
    """Tell which tables came, went, or have other columns. Without an old one everything is new: nothing to tell."""
    if old is None:
        return CatalogueChanges()
    before, after = ({entry.key: entry.table for entry in entries_of(catalogue)} for catalogue in (old, new))
    changed = []
    for key in sorted(before.keys() & after.keys()):
        old_columns, new_columns = (
            {column.name: column.type for column in side[key].columns} for side in (before, after)
        )
        plus = [f"+{name}" for name in new_columns if name not in old_columns]
        minus = [f"-{name}" for name in old_columns if name not in new_columns]
        other = [name for name in new_columns if name in old_columns and new_columns[name] != old_columns[name]]
        if plus or minus or other:
            changed.append(f"{key[1]} ({', '.join([*plus, *minus, *(f'{name}: other type' for name in other)])})")
    return CatalogueChanges(
        added=tuple(sorted(key[1] for key in after.keys() - before.keys())),
        removed=tuple(sorted(key[1] for key in before.keys() - after.keys())),
        changed=tuple(changed),
    )
