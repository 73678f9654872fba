"""A backend's own notes on its data: a YAML file beside what the database tells of itself.

It says what people need to know (descriptions, access, contact, dummy data), which tables belong together, what a table
asks of a project, and what is not shown. `described` lays it over what a database told; both are plain values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from carrel.messages.catalogue import (
    Catalogue,
    CatalogueColumn,
    CatalogueDatabase,
    CatalogueDate,
    CatalogueName,
    CatalogueTable,
    CatalogueText,
    DataSet,
)
from carrel.project.model_files import ModelFile
from carrel.project.problems import Problem, did_you_mean
from carrel.units.limits import MAX_NOTES_BYTES
from carrel.units.yaml_documents import Path

OTHER_TABLES: Final = "other"
"""The data set of tables that the notes put in none, where there is one of their schema's name already."""


class _Notes(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TableNotes(_Notes):
    """What is to be said of one table, or of all whose names match a pattern: then, where nobody else says it."""

    description: CatalogueText = ""
    permission: CatalogueName | None = None
    changed: CatalogueDate | None = None
    count_rows: bool = True
    columns: dict[CatalogueName, CatalogueText] = Field(default_factory=dict)
    hidden_columns: list[CatalogueName] = Field(default_factory=list)


class DataSetNotes(_Notes):
    """One data set, and its tables by their names in SQL or patterns of these.

    `backends`: which have it, where one file is about several; none: all.
    """

    name: CatalogueName
    backends: list[str] = Field(default_factory=list)
    title: CatalogueText = ""
    description: CatalogueText = ""
    access: CatalogueText = ""
    tables: dict[CatalogueName, TableNotes | None] = Field(default_factory=dict)


class DatabaseNotes(_Notes):
    """One database. `hidden`: names and patterns of tables that studies are not to know of."""

    complete: bool = True
    hidden: list[CatalogueName] = Field(default_factory=list)
    data_sets: list[DataSetNotes] = Field(default_factory=list)


class BackendNotes(_Notes):
    """All of one file."""

    description: CatalogueText = ""
    access: CatalogueText = ""
    contact: CatalogueText = ""
    dummy_data: CatalogueText = ""
    databases: dict[CatalogueName, DatabaseNotes] = Field(default_factory=dict)


class NotesFile(ModelFile[BackendNotes]):
    """Notes that were read, and where in the file each of them stands."""

    def __init__(self, text: str, filename: str) -> None:
        """Read a text; ModelFileError names every mistake in it, with its line and column."""
        super().__init__(BackendNotes, text, filename, rule="notes", max_bytes=MAX_NOTES_BYTES)
        self.notes = self.value


def described(
    backend: str, built: str, databases: Collection[CatalogueDatabase], files: Sequence[NotesFile] = ()
) -> tuple[Catalogue, list[Problem]]:
    """Return the catalogue of these databases with the notes on them, and what of the notes is about nothing there.

    Several files of notes are about different databases of the backend. Raises ValueError where the whole is larger
    than a catalogue may be.
    """
    problems: list[Problem] = []
    names = [database.name for database in databases]
    for file in files:
        for name in file.notes.databases:
            if name not in names:
                message = f"no database is called {name}{did_you_mean(name, names)}"
                problems.append(file.at(message, ("databases", name), key=True))
    told = []
    for database in databases:
        about = next((file for file in files if database.name in file.notes.databases), None)
        if about is None:
            told.append(database)
            continue
        describer = _Describer(backend, database, about)
        told.append(describer.database())
        problems += describer.problems
    texts: dict[str, Any] = {
        key: "\n\n".join(dict.fromkeys(text for file in files if (text := getattr(file.notes, key))))
        for key in ("description", "access", "contact", "dummy_data")
    }
    catalogue = Catalogue(backend=backend, built=built, databases=tuple(told), **texts)
    return catalogue, [replace(problem, severity="warning") for problem in problems]


class _Describer:
    """Lays notes over one database."""

    def __init__(self, backend: str, told: CatalogueDatabase, file: NotesFile) -> None:
        self.backend, self.told, self.file = backend, told, file
        self.notes = file.notes.databases[told.name]
        self.path: Path = ("databases", told.name)
        self.problems: list[Problem] = []

    def database(self) -> CatalogueDatabase:
        shown = {
            table.qualified_name: (data_set.name, table)
            for data_set in self.told.data_sets
            for table in data_set.tables
            if not any(_is_called(table, pattern) for pattern in self.notes.hidden)
        }
        data_sets = []
        for index, notes in enumerate(self.notes.data_sets):
            if notes.backends and self.backend not in notes.backends:
                continue
            tables = list(self.tables(index, notes, shown))
            for table in tables:
                del shown[table.qualified_name]
            data_sets.append(
                DataSet(
                    name=notes.name,
                    title=notes.title,
                    description=notes.description,
                    access=notes.access,
                    tables=tuple(tables),
                )
            )
        taken = {data_set.name for data_set in data_sets}
        rest: dict[str, list[CatalogueTable]] = {}
        for name, table in shown.values():
            rest.setdefault(OTHER_TABLES if name in taken else name, []).append(table)
        data_sets += [DataSet(name=name, tables=tuple(tables)) for name, tables in rest.items()]
        return CatalogueDatabase(
            name=self.told.name,
            dialect=self.told.dialect,
            search_path=self.told.search_path,
            is_complete=self.notes.complete and self.told.is_complete,
            data_sets=tuple(data_sets),
        )

    def tables(
        self, index: int, notes: DataSetNotes, shown: Mapping[str, tuple[str, CatalogueTable]]
    ) -> Iterator[CatalogueTable]:
        """Yield the tables of one data set in the order of the notes; what a name says goes before a pattern's."""
        chosen: dict[str, list[str]] = {}
        for pattern in sorted(notes.tables, key=lambda pattern: "*" in pattern):
            path = (*self.path, "data_sets", index, "tables", pattern)
            matching = [name for name, (_, table) in shown.items() if _is_called(table, pattern)]
            if not matching:
                names = [table.name for _, table in shown.values()]
                message = f"no table is called {pattern}{did_you_mean(pattern, names)}"
                self.problems.append(self.file.at(message, path, key=True))
            for name in matching:
                chosen.setdefault(name, []).append(pattern)
            self.check_columns(notes.tables[pattern] or TableNotes(), [shown[name][1] for name in matching], path)
        order = {pattern: position for position, pattern in enumerate(notes.tables)}
        for name in sorted(chosen, key=lambda name: order[chosen[name][0]]):
            yield _with_notes(shown[name][1], [notes.tables[pattern] or TableNotes() for pattern in chosen[name]])

    def check_columns(self, notes: TableNotes, tables: list[CatalogueTable], path: Path) -> None:
        """Note columns that a table of that name does not have; a pattern may say more than each of its tables has."""
        columns = [column.name for table in tables for column in table.columns]
        if not tables or "*" in path[-1]:
            return
        for key, names in (("columns", notes.columns), ("hidden_columns", notes.hidden_columns)):
            for name in names:
                if name not in columns:
                    message = f"no column of {path[-1]} is called {name}{did_you_mean(name, columns)}"
                    self.problems.append(self.file.at(message, (*path, key, name), key=True))


def _with_notes(table: CatalogueTable, notes: Sequence[TableNotes]) -> CatalogueTable:
    """Return a table with what the first of its notes that says anything of it says."""
    described_columns = {column: text for some in reversed(notes) for column, text in some.columns.items()}
    hidden = {column for some in notes for column in some.hidden_columns}
    is_counted = all(some.count_rows for some in notes)
    columns = tuple(
        CatalogueColumn(
            name=column.name,
            type=column.type,
            nullable=column.nullable,
            description=described_columns.get(column.name, column.description),
        )
        for column in table.columns
        if column.name not in hidden
    )
    return CatalogueTable(
        name=table.name,
        schema_name=table.schema_name,
        description=next((some.description for some in notes if some.description), table.description),
        columns=columns,
        rows=table.rows if is_counted else None,
        has_few_rows=table.has_few_rows and is_counted,
        versions=table.versions,
        changed=next((some.changed for some in notes if some.changed), table.changed),
        permission=next((some.permission for some in notes if some.permission), None),
    )


def _is_called(table: CatalogueTable, pattern: str) -> bool:
    """Whether a name or pattern means the table, by its name alone or with its schema."""
    return fnmatchcase(table.name, pattern) or fnmatchcase(table.qualified_name, pattern)
