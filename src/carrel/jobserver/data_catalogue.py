"""What backends say of their data, put side by side: one table on several backends, and what changed. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from carrel.messages.catalogue import Catalogue, CatalogueColumn, CatalogueTable, DataSet


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """One table of one backend."""

    backend: str
    database: str
    data_set: DataSet
    table: CatalogueTable

    @property
    def key(self) -> tuple[str, str]:
        """What the table is called on every backend: its database and its name in SQL."""
        return self.database, self.table.qualified_name


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
                yield TableEntry(backend=catalogue.backend, database=database.name, data_set=data_set, table=table)


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
