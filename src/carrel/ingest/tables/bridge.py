"""`naming: bridge`: the tables under the names and columns that BridgeDownstream gives them (ingest.md section 2).

Made from the native tables and their schema, whose columns remember their JSON paths. What the contract leaves open
or crashes on has the nearest sensible name; docs/reference/ingest-tables.md lists them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.tables import kinds
from carrel.ingest.tables.names import child_table
from carrel.ingest.tables.schema import Column, DatasetSchema, TableSchema
from carrel.warehouse.views import root_name

PARTITIONS = ("assessmentid", "year", "month", "day")
"""Folder levels, strings; not in the files themselves."""
INJECTED = (*PARTITIONS, "recordid")
_ELEMENT = ("value",)

Dates = Literal["plain", "padded"]
"""Months and days as `9` (what the contract's job writes) or `09`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a column's cells come from: the native column's, as they are ("cell") or as text ("partition"), a hash of
    the key in it ("key"), or of the row's own key where the column has a length ("array")."""

    column: str
    how: Literal["cell", "partition", "key", "array"] = "cell"


@dataclass(frozen=True, slots=True)
class _Array:
    """A child table: its dotted place from the root (`userInteractions.val.controlEvent`) and its depth below it."""

    dotted: str
    depth: int


class Bridge:
    """One dataset under the contract's names. `names`: native table -> its name there, from the root down."""

    def __init__(self, schema: DatasetSchema, dates: Dates = "plain"):
        self.schema = schema
        self.dates: Dates = dates
        self._arrays = {name: array for name, array in _arrays(schema) if name in schema.tables}
        root = root_name(schema.dataset)
        self.names = {
            name: f"{root}_{_with_underscores(array.dotted.replace('.val.', '_'))}" if array else root
            for name, array in self._arrays.items()
        }

    def table(self, name: str, rows: pa.Table) -> pa.Table:
        """Rows of the native table `name`, conformed to the schema, as the contract has them.

        `id` of a child's row equals the value in its parent's column of the array's name: 63 bits of a hash of the
        parent's row key, so that it is the same in every export.
        """
        plain = rows.cast(self.schema.tables[name].to_arrow())
        return pa.table({column: _fill(plain, origin, self.dates) for column, origin in self.origins(name)})

    def origins(self, name: str) -> list[tuple[str, Origin]]:
        """The columns of the native table `name` there, in their order, and where their cells come from."""
        return list(_origins(self.schema.tables[name], self._arrays[name]))

    def partitions(self, rows: pa.Table) -> pa.Table:
        """The columns that the contract's folders are named by, of rows of any native table."""
        return pa.table({name: _partition(rows.column(name), name, self.dates) for name in PARTITIONS})


def _arrays(schema: DatasetSchema) -> Iterator[tuple[str, _Array | None]]:
    """Native table -> where it hangs, from the root down; a table that several arrays share counts once."""
    yield schema.dataset, None
    waiting: list[tuple[str, _Array | None]] = [(schema.dataset, None)]
    seen = {schema.dataset}
    while waiting:
        name, above = waiting.pop(0)
        for column in schema.table(name).columns:
            below = child_table(name, column.field.path)
            if column.field.role == "len" and below in schema.tables and below not in seen:
                seen.add(below)
                waiting.append((below, _below(above, column, schema.tables[name])))
                yield waiting[-1]


def _below(above: _Array | None, column: Column, table: TableSchema) -> _Array:
    field = ".".join(column.field.path)
    if above is None:
        return _Array(field, 1)
    if _holds_scalars(table) and column.field.path == _ELEMENT:
        return _Array(f"{above.dotted}.val", above.depth + 1)
    return _Array(f"{above.dotted}.val.{field}", above.depth + 1)


def _holds_scalars(table: TableSchema) -> bool:
    """Whether the rows are elements that are no objects. (Objects with the one key `value` look the same.)"""
    return table.is_child and all(column.field.path == _ELEMENT for column in table.columns)


def _with_underscores(dotted: str) -> str:
    return dotted.replace(".", "_")


def _origins(schema: TableSchema, array: _Array | None) -> Iterator[tuple[str, Origin]]:
    """Name -> where its cells come from, in the order of the columns."""
    if array:
        yield "id", Origin("_parent_key", "key")
        yield "index", Origin("_index")
    names = _column_names(schema, array)
    for column in schema.columns:
        if column.field in names:
            yield names[column.field], Origin(column.name, "array" if column.field.role == "len" else "cell")
    for name in PARTITIONS:
        yield name, Origin(name, "partition")
    yield "recordid", Origin("recordid")


def _fill(table: pa.Table, origin: Origin, dates: Dates) -> pa.ChunkedArray:
    """The cells of a column."""
    cells = table.column(origin.column)
    if origin.how == "key":
        return _ids(cells)
    if origin.how == "array":
        return pc.if_else(pc.is_valid(cells), _ids(table.column("_row_key")), pa.scalar(None, kinds.ARROW[kinds.INT]))
    return _partition(cells, origin.column, dates) if origin.how == "partition" else cells


def _column_names(schema: TableSchema, array: _Array | None) -> dict[object, str]:
    """Field -> name. A name that is taken stays dotted; where even that is taken, or empty, it is the native one."""
    taken = {"id", "index", *INJECTED} if array else set(INJECTED)
    names: dict[object, str] = {}
    for column in schema.columns:
        if not array and column.field.path[0] in INJECTED and len(column.field.path) == 1:
            continue  # The contract's job overwrites these keys before it flattens.
        candidates = _candidates(column, schema, array)
        name = next((candidate for candidate in candidates if candidate and candidate not in taken), column.name)
        taken.add(name)
        names[column.field] = name
    return names


def _candidates(column: Column, schema: TableSchema, array: _Array | None) -> tuple[str, ...]:
    """The names a column would have, the best first."""
    field = ".".join(column.field.path)
    suffix = f"_{column.field.role}" if column.field.role in ("json", "variant") else ""
    if array is None:
        return (_with_underscores(field) + suffix, field + suffix)
    if _holds_scalars(schema):
        dotted = f"{array.dotted}.val{suffix}"
        return (_with_underscores(dotted),) if array.depth == 1 else (dotted,)
    return (_with_underscores(field) + suffix, f"{array.dotted}.val.{field}{suffix}")


def _ids(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """63 bits of the keys' SHA-256."""
    encoded = keys.combine_chunks().dictionary_encode()
    digests = [hashlib.sha256(key.encode()).digest() for key in encoded.dictionary.to_pylist()]
    numbers = pa.array([int.from_bytes(digest[:8]) >> 1 for digest in digests], pa.int64())
    return pa.chunked_array([numbers.take(encoded.indices)])


def _partition(cells: pa.ChunkedArray, name: str, dates: Dates) -> pa.ChunkedArray:
    text = pc.cast(cells, pa.string())
    return pc.utf8_lpad(text, 2, "0") if dates == "padded" and name in ("month", "day") else text
