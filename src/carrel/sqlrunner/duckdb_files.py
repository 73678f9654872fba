"""DuckDB files: `duckdb:///srv/data/north.duckdb` (the path is always absolute).

The file is opened read-only. Reaching any other file, the network, extensions and attached databases is switched off,
and the configuration locked, before the study's SQL is seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa

from carrel.sqlrunner import settings
from carrel.sqlrunner.engines import BATCH_ROWS, Rows
from carrel.sqlrunner.errors import (
    DatabaseFault,
    NotPermitted,
    QueryError,
    SqlrunnerError,
    TooComplex,
    Transient,
    UnfitValue,
)

_FILES = "The query may read tables of its database only, not files, extensions or other databases: name a table."


@contextmanager
def open_rows(url: str, sql: str, scratch: Path) -> Iterator[Rows]:
    """Open the rows of one SELECT on a DuckDB file."""
    connection = connect(file_of(url), scratch)
    try:
        yield select(connection, sql)
    finally:
        connection.close()


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    """Run one SELECT on a locked connection; what is not one SELECT is refused."""
    relation = _bind(connection, sql)
    try:
        reader = relation.to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        raise _translate(error) from error
    return Rows(reader.schema, _batches(reader))


def file_of(url: str) -> Path:
    """Return /a/b.duckdb for `duckdb:///a/b.duckdb`; four slashes, as SQLAlchemy writes it, mean the same."""
    return Path("/" + unquote(url.partition("://")[2].partition("?")[0]).lstrip("/"))


def connect(path: Path, scratch: Path) -> duckdb.DuckDBPyConnection:
    """Open a read-only connection that reaches nothing but `path`, and spills to `scratch` what memory cannot hold."""
    if not path.is_file():
        raise DatabaseFault("The database file of this backend is not there: ask whoever runs this backend.", str(path))
    try:
        return lock_settings(duckdb.connect(str(path), read_only=True, config=hardened_configuration(scratch)))
    except duckdb.Error as error:
        if "lock" in str(error).lower():
            raise Transient("The database file is being written by another program: try again later.") from error
        raise DatabaseFault("The database file of this backend cannot be opened.", str(error)) from error


def lock_settings(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Set times to UTC, let no SQL change a setting any more, and return the connection."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET lock_configuration = true")
    return connection


def hardened_configuration(scratch: Path) -> dict[str, str | bool | int | float | list[str]]:
    """Return the configuration under which a study's SQL runs."""
    return {
        "enable_external_access": "false",
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "allow_unsigned_extensions": "false",
        "memory_limit": settings.memory_limit(),
        "temp_directory": str(scratch),
    }


def _bind(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """Resolve names and types, and read no row yet: so what the database says of the query holds no values."""
    try:
        _refuse_all_but_one_select(connection.extract_statements(sql))
        return connection.sql(sql)
    except duckdb.PermissionException as error:
        raise NotPermitted(_FILES, str(error)) from error
    except (duckdb.IOException, duckdb.InternalException, duckdb.OutOfMemoryException) as error:
        raise _translate(error) from error
    except duckdb.Error as error:
        raise QueryError(f"The database does not understand the query. {error}", str(error)) from error


def _refuse_all_but_one_select(statements: list[duckdb.Statement]) -> None:
    if len(statements) != 1:
        raise QueryError(f"The SQL file holds {len(statements)} statements, but one is allowed.")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        raise NotPermitted(f"The query is of kind {kind}, but only SELECT (also WITH ... SELECT) is allowed.")


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except duckdb.Error as error:
        raise _translate(error) from error
    except (pa.ArrowException, OSError) as error:  # the reader wraps what the database raised
        raise _translate(error) from error


def _translate(error: Exception) -> SqlrunnerError:
    """Translate an error met while rows were read; its text may hold values, so it is detail only."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in text:
        return TooComplex(f"The query needs more memory than {settings.memory_limit()}: make it simpler.", text)
    if isinstance(error, duckdb.PermissionException) or "Permission Error" in text:
        return NotPermitted(_FILES, text)
    if isinstance(error, duckdb.InterruptException):
        return Transient("The query was interrupted: run it again.", text)
    if isinstance(error, OSError | duckdb.IOException | duckdb.InternalException | duckdb.FatalException):
        return DatabaseFault("The database failed while the query ran: ask whoever runs this backend.", text)
    # `Conversion Error: Could not ...` is a `conversion error`: the class is told, never the rest.
    kind = next((kind for kind in ("Conversion", "Out of Range", "Invalid Input", "Constraint") if kind in text), "")
    reason = f"{kind.lower()} error" if kind else "error while reading rows"
    return UnfitValue(f"A value broke the query: {reason}. The value itself is not shown in this log.", text)
