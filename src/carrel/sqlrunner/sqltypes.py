"""SQL's names of types to Arrow types, and rows of Python values to Arrow batches.

One table for PostgreSQL, SQL Server and Trino: their names differ, but no name means two things. What has no exact
counterpart (intervals, UUIDs, JSON, network addresses) is text, as the database writes it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from carrel.sqlrunner.errors import UnfitValue

_TYPES = {
    pa.bool_(): ("bool", "boolean", "bit"),
    pa.int16(): ("int2", "smallint", "tinyint"),
    pa.int32(): ("int4", "integer", "int"),
    pa.int64(): ("int8", "bigint", "oid"),
    pa.float32(): ("float4", "real"),
    pa.float64(): ("float8", "double precision", "double", "float"),
    pa.date32(): ("date",),
    pa.time64("us"): ("time", "time without time zone"),
    pa.timestamp("us"): ("timestamp", "timestamp without time zone", "datetime", "datetime2", "smalldatetime"),
    pa.timestamp("us", "UTC"): ("timestamptz", "timestamp with time zone", "datetimeoffset"),
    pa.binary(): ("bytea", "varbinary", "binary", "image", "rowversion"),
}
_BY_NAME = {name: arrow for arrow, names in _TYPES.items() for name in names}
_PARTS = re.compile(r"(?P<base>[^(]+?)\s*(?:\((?P<args>[\d\s,]+)\))?(?P<rest>\s+with(?:out)? time zone)?")
_EXACT_FLOAT = 2**53


def arrow_type(name: str) -> pa.DataType:
    """Translate a type: `int4` -> int32, `numeric(10,2)` -> decimal128(10, 2), `text[]` -> list of string.

    Anything unknown becomes a string.

    A `numeric` with no precision has no Arrow counterpart and becomes a double (see `record_batch`).
    """
    name = name.strip().lower()
    if name.endswith("[]"):
        return pa.list_(arrow_type(name[:-2]))
    match = _PARTS.fullmatch(name)
    if match is None:
        return pa.string()
    if match["base"] in ("numeric", "decimal"):
        return _decimal(match["args"])
    return _BY_NAME.get(match["base"] + (match["rest"] or ""), pa.string())


def _decimal(args: str | None) -> pa.DataType:
    if not args:
        return pa.float64()
    precision, _, scale = args.partition(",")
    digits, places = int(precision), int(scale or 0)
    if not 0 <= places <= digits <= 76:  # PostgreSQL allows more digits and negative scales
        return pa.float64()
    return pa.decimal128(digits, places) if digits <= 38 else pa.decimal256(digits, places)


def batches(schema: pa.Schema, chunks: Iterable[Sequence[Sequence[Any]]]) -> Iterator[pa.RecordBatch]:
    """Make Arrow batches of chunks of rows; `UnfitValue` for a value that its column's type cannot hold."""
    for rows in chunks:
        columns = zip(*rows, strict=True)
        arrays = [_array(values, field) for values, field in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], field: pa.Field) -> pa.Array:
    if pa.types.is_string(field.type):
        values = [None if value is None else str(value) for value in values]
    elif pa.types.is_float64(field.type):
        values = [_double(value, field.name) for value in values]
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise UnfitValue(
            f"Column {field.name!r} holds a value that does not fit its type ({field.type}): cast it in the query.",
            str(error),
        ) from error


def _double(value: Any, column: str) -> float | None:
    """Make a double of a decimal, refusing to lose digits of a whole number."""
    if not isinstance(value, Decimal):
        return None if value is None else float(value)
    if abs(value) > _EXACT_FLOAT and value == value.to_integral_value() and Decimal(float(value)) != value:
        raise UnfitValue(
            f"Column {column!r} holds whole numbers too large for a double: cast it to bigint or numeric(38, 0)."
        )
    return float(value)
