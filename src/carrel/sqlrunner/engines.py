"""Which database speaks a URL's scheme: a table of names, so that only the driver in use is loaded.

An engine is a function `open_rows(url, sql, scratch)` returning a context manager of `Rows`. It reads only, it streams,
and it raises nothing but `SqlrunnerError`. A new kind of warehouse is one module and one `register` call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from carrel.sqlrunner.errors import DatabaseFault

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 50_000
"""Rows held in memory at once."""


@dataclass(frozen=True)
class Rows:
    """A result being read: the columns, known before the first row, and the rows in batches of up to BATCH_ROWS."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


Engine = Callable[[str, str, Path], AbstractContextManager[Rows]]
"""`(url, sql, scratch)`: `scratch` is an empty folder on disk for what does not fit in memory, removed afterwards."""

_ENGINES = {
    "delta": "carrel.sqlrunner.delta:open_rows",
    "duckdb": "carrel.sqlrunner.duckdb_files:open_rows",
    "postgres": "carrel.sqlrunner.postgresql:open_rows",
    "postgresql": "carrel.sqlrunner.postgresql:open_rows",
    "mssql": "carrel.sqlrunner.dialects:open_rows",
    "trino": "carrel.sqlrunner.dialects:open_rows",
}


def register(scheme: str, target: str) -> None:
    """Make `module:function` the engine of URLs `scheme://...` (and `scheme+driver://...`)."""
    _ENGINES[scheme] = target


def engine_for(url: str) -> Engine:
    """Return the engine of a database URL; `DatabaseFault` for a scheme nobody speaks, naming those that there are."""
    scheme = url.partition("://")[0].partition("+")[0].lower()
    if "://" not in url or scheme not in _ENGINES:
        raise DatabaseFault(
            f"DATABASE_URL is not an address sqlrunner knows (it knows {', '.join(sorted(_ENGINES))}): "
            "ask whoever runs this backend to correct it."
        )
    module, _, function = _ENGINES[scheme].partition(":")
    return cast(Engine, getattr(import_module(module), function))
