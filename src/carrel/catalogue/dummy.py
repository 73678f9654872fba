"""Dummy data of a table's columns and types, by a seed. Nothing of it comes from data: a catalogue holds none."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from carrel.messages.catalogue import CatalogueColumn, CatalogueTable
from carrel.units.limits import MAX_DUMMY_ROWS

if TYPE_CHECKING:
    import pyarrow as pa

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
MISSING_SHARE = 0.05
"""Share of empty values in columns that may be empty."""
SUFFIXES = (".csv", ".csv.gz", ".parquet")

_INTEGERS = re.compile(r"U?(TINY|SMALL|MEDIUM|BIG|HUGE)?INT(EGER|[1248])?|SERIAL|BIGSERIAL")
_FLOATS = re.compile(r"DOUBLE( PRECISION)?|FLOAT\d*|REAL")
_DECIMALS = re.compile(r"(DECIMAL|NUMERIC|MONEY)")
_TIMES_OF_DAY = re.compile(r"TIME( WITH.*)?")


class DummyError(ValueError):
    """The dummy data cannot be made as asked; the message says what to change."""


def dummy_rows(table: CatalogueTable, rows: int, seed: int) -> pa.Table:
    """Make rows with a table's columns: plausible values of each type, the same by the same seed. Raises DummyError."""
    import pyarrow as pa

    if not table.columns:
        raise DummyError(f"the catalogue lists no columns of {table.qualified_name}")
    if not 0 <= rows <= MAX_DUMMY_ROWS:
        raise DummyError(f"{rows:,} rows are not between 0 and {MAX_DUMMY_ROWS:,}")
    columns = {}
    for column in table.columns:
        rng = random.Random(f"{seed} {table.qualified_name} {column.name}")  # noqa: S311 (made-up data)
        kind, make = _kind_of(column, rows)
        empty = MISSING_SHARE if column.nullable else 0.0
        values = [None if rng.random() < empty else make(rng, number) for number in range(rows)]
        columns[column.name] = pa.array(values, kind)
    return pa.table(columns)


def _kind_of(column: CatalogueColumn, rows: int) -> tuple[pa.DataType, Callable[[random.Random, int], Any]]:
    """Return the Arrow type for a column, and what makes a value of it from chance and the row's number."""
    import pyarrow as pa

    kind = re.sub(r"\(.*\)", "", column.type.upper()).strip()
    whole = column.type.upper()
    people = max(1, rows // 3)
    if whole.endswith("]") or whole.startswith(("STRUCT", "MAP", "ARRAY", "ROW", "JSON", "LIST", "VARIANT")):
        return pa.string(), lambda rng, number: "[]" if whole.endswith("]") or "ARRAY" in whole else "{}"
    if kind in ("BOOLEAN", "BOOL", "BIT"):
        return pa.bool_(), lambda rng, number: rng.random() < 0.5
    if _INTEGERS.fullmatch(kind):
        is_key = column.name.casefold().endswith(("id", "key"))
        top = 100 if "TINY" in kind else 1_000
        return pa.int64(), lambda rng, number: rng.randint(1, people) if is_key else min(int(rng.expovariate(0.2)), top)
    if _FLOATS.fullmatch(kind):
        return pa.float64(), lambda rng, number: round(rng.gauss(50, 20), 3)
    if _DECIMALS.match(kind):
        return pa.decimal128(18, 2), lambda rng, number: Decimal(rng.randint(0, 99)) / 100
    if kind == "DATE":
        return pa.date32(), lambda rng, number: (EPOCH + timedelta(days=rng.randrange(1_500))).date()
    if kind.startswith(("TIMESTAMP", "DATETIME", "SMALLDATETIME")):
        return pa.timestamp("s", "UTC"), lambda rng, number: EPOCH + timedelta(seconds=rng.randrange(130_000_000))
    if _TIMES_OF_DAY.fullmatch(kind):
        return pa.time32("s"), lambda rng, number: time(rng.randrange(24), rng.randrange(60), rng.randrange(60))
    if kind in ("UUID", "UNIQUEIDENTIFIER"):
        return pa.string(), lambda rng, number: str(UUID(int=rng.getrandbits(128), version=4))
    return pa.string(), lambda rng, number: f"{column.name}-{rng.randrange(people)}"


def write_dummy(rows: pa.Table, path: Path) -> None:
    """Write rows as the file's name says: .csv, .csv.gz or .parquet. Raises DummyError, OSError."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    if not path.name.endswith(SUFFIXES):
        raise DummyError(f"{path.name} is of no kind that is written: end it with one of {', '.join(SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(rows, path)
        return
    with pa.output_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
        csv.write_csv(rows, stream)
