"""The schema of a dataset as a value: tables, their columns by JSON path, kinds, names; and how schemas unify.

A schema is a function of the *set* of what was found, never of the order in which it was found. Everything here is
frozen, picklable and free of I/O.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa

Path = tuple[str, ...]
"""Keys from the row's element down to a value."""

Declared = Mapping[str, Mapping[Path, str]]
"""table -> path -> kind, as a JSON Schema declares it."""


class Policy(StrEnum):
    """Where a change of kind goes (an integer column that meets text). Widening of numbers is always allowed but in
    `freeze`."""

    EVOLVE = "evolve"
    """The column becomes text."""
    VARIANT = "variant"
    """The column keeps its kind; other values go as JSON text to `<name>_variant`."""
    QUARANTINE = "quarantine"
    """The column keeps its kind; the file with other values is rejected."""
    FREEZE = "freeze"
    """As quarantine, and new columns, new tables and widening are rejected too, once the dataset is in the catalog."""


class Field(NamedTuple):
    """What a column is about. `role`: "" a value, "len" an array's length, "json" an array too deep for a table,
    "variant" values of another kind than the column's."""

    path: Path
    role: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One data column. `kinds`: every kind seen, sorted; `kind`: what they settled on (kinds.py); `declared`: by the
    JSON Schema; `since`: the run that brought it."""

    field: Field
    name: str
    kind: str
    kinds: tuple[str, ...]
    declared: str | None = None
    since: str = ""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table: its data columns, sorted by name. The reserved columns around them are the same in every table."""

    name: str
    columns: tuple[Column, ...]

    def to_arrow(self) -> pa.Schema:
        """The one Arrow schema of the table, reserved columns included, in the order of the columns on disk."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """As bytes, for `Part.schema`: the Arrow schema serialised, with paths and kinds in the fields' metadata."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, name: str, data: bytes) -> "TableSchema":
        """What `to_bytes` wrote."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class DatasetSchema:
    """All tables of one dataset version."""

    dataset: str
    tables: Mapping[str, TableSchema] = field(default_factory=dict)


class ChangeKind(StrEnum):
    """What can happen to a schema."""

    NEW_TABLE = "new_table"
    NEW_COLUMN = "new_column"
    WIDENING = "widening"
    KIND_CHANGE = "kind_change"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class Change:
    """One recorded change; `before` and `after` are kinds, or names for a rename."""

    what: ChangeKind
    table: str
    path: Path = ()
    role: str = ""
    before: str | None = None
    after: str | None = None
    run_id: str = ""


def unify(
    known: DatasetSchema | None, found: Iterable[DatasetSchema], policy: Policy = Policy.EVOLVE, run_id: str = ""
) -> tuple[DatasetSchema, tuple[Change, ...]]:
    """The schema that fits `known` (the catalog's) and every one of `found`, and what changed against `known`.

    The order of `found` does not matter. `run_id` becomes `since` of new columns and is noted in the changes.
    """
    raise NotImplementedError
