"""The schema of a dataset as a value: tables, their columns by JSON path, kinds and names.

A schema is a function of the *set* of what was found, never of the order in which it was found. Everything here is
frozen, picklable and free of I/O.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import pyarrow as pa

from carrel.ingest.tables.kinds import ARROW
from carrel.ingest.tables.names import AFTER, BEFORE, Field, Path

Declared = Mapping[str, Mapping[Path, str]]
"""table -> path -> kind, as a JSON Schema declares it."""

_TYPES = {
    "_index": pa.int64(),
    "assessmentrevision": pa.int64(),
    "uploadedon": pa.timestamp("us", tz="UTC"),
    "exportedon": pa.timestamp("us", tz="UTC"),
    "year": pa.int32(),
    "month": pa.int32(),
    "day": pa.int32(),
    "_nulls": pa.list_(pa.string()),
}
_COLUMN = b"carrel.column"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One data column. `kinds`: every kind seen, sorted; `kind`: what they settled on (kinds.py); `declared`: by the
    JSON Schema; `since`: the run that brought it."""

    field: Field
    name: str
    kind: str
    kinds: tuple[str, ...]
    declared: str | None = None
    since: str = ""


@dataclass(frozen=True)
class TableSchema:
    """One table: its data columns, sorted by name. The reserved columns around them are the same in every table, but
    for `_parent_key`, which only child tables have."""

    name: str
    columns: tuple[Column, ...]
    is_child: bool = False

    @cached_property
    def by_field(self) -> dict[Field, Column]:
        return {column.field: column for column in self.columns}

    def to_arrow(self) -> pa.Schema:
        """The one Arrow schema of the table, reserved columns included, in the order of the columns on disk."""
        return self._arrow(lambda column: None)

    def to_bytes(self) -> bytes:
        """The schema as bytes, for `Part.schema`: the Arrow schema, with paths and kinds in the fields' metadata."""
        schema = self._arrow(lambda column: {_COLUMN: json.dumps(column_to_json(column)).encode()})
        return schema.serialize().to_pybytes()

    @classmethod
    def from_bytes(cls, name: str, data: bytes) -> "TableSchema":
        """What `to_bytes` wrote."""
        schema = pa.ipc.read_schema(pa.py_buffer(data))
        texts = (field.metadata[_COLUMN] for field in schema if field.metadata and _COLUMN in field.metadata)
        columns = tuple(column_from_json(json.loads(text)) for text in texts)
        return cls(name, columns, "_parent_key" in schema.names)

    def _arrow(self, metadata) -> pa.Schema:
        data = [pa.field(column.name, ARROW[column.kind], metadata=metadata(column)) for column in self.columns]
        before = [name for name in BEFORE if self.is_child or name != "_parent_key"]
        return pa.schema([*map(_reserved, before), *data, *map(_reserved, AFTER)])


def reserved_type(name: str) -> pa.DataType:
    """The Arrow type of a reserved column."""
    return _TYPES.get(name, pa.string())


def _reserved(name: str) -> pa.Field:
    return pa.field(name, reserved_type(name))


@dataclass(frozen=True, slots=True)
class DatasetSchema:
    """All tables of one dataset version."""

    dataset: str
    tables: Mapping[str, TableSchema] = field(default_factory=dict)

    def table(self, name: str) -> TableSchema:
        """The table of this name; one without data columns when there is none."""
        return self.tables.get(name) or TableSchema(name, (), name != self.dataset)


class ChangeKind(StrEnum):
    """What can happen to a schema."""

    NEW_TABLE = "new_table"
    NEW_COLUMN = "new_column"
    WIDENING = "widening"
    KIND_CHANGE = "kind_change"
    RENAME = "rename"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """One recorded change; `before` and `after` are kinds, or names for a rename."""

    what: ChangeKind
    table: str
    path: Path = ()
    role: str = ""
    before: str | None = None
    after: str | None = None
    run_id: str = ""


def column_to_json(column: Column) -> dict[str, object]:
    """A column as JSON, for the catalog and for parts."""
    return {
        "name": column.name,
        "path": list(column.field.path),
        "role": column.field.role,
        "kind": column.kind,
        "kinds": list(column.kinds),
        "declared": column.declared,
        "since": column.since,
    }


def column_from_json(data: Mapping) -> Column:
    """What `column_to_json` made."""
    return Column(
        field=Field(tuple(data["path"]), data["role"]),
        name=data["name"],
        kind=data["kind"],
        kinds=tuple(data["kinds"]),
        declared=data["declared"],
        since=data["since"],
    )
