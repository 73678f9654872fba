"""PostgreSQL through psycopg: a server-side cursor in a read-only transaction that is never committed.

The cursor is declared by the extended protocol, so the server itself refuses a second statement, and `DECLARE ...
CURSOR` takes nothing but a query. psycopg is used without SQLAlchemy on top: it is enough, and starts faster.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader

from carrel.sqlrunner.engines import Rows
from carrel.sqlrunner.errors import (
    DatabaseFault,
    NotPermitted,
    QueryError,
    SqlrunnerError,
    TooComplex,
    Transient,
    UnfitValue,
)
from carrel.sqlrunner.sqltypes import arrow_type, batches

_AS_TEXT = ("json", "jsonb", "uuid", "interval", "timetz", "inet", "cidr", "money", "xml")
"""Types whose Python value is not what the database wrote (an interval of a month would become 30 days)."""
_FETCH_ROWS = 10_000
_WHILE_READING = (
    ": something that it does for each row is not allowed. The database's own words are not shown in this log"
)


@contextmanager
def open_rows(url: str, sql: str, scratch: Path) -> Iterator[Rows]:
    """Open the rows of one SELECT on a PostgreSQL database. `scratch` is not needed: the server has its own."""
    connection = _connect(url)
    try:
        with connection.cursor(name="carrel_sqlrunner") as cursor:
            try:
                cursor.execute(b"\n" + sql.encode())  # on its own lines, so that they can be counted
            except psycopg.Error as error:
                raise _translate(error, planning=True) from error
            columns = cursor.description or ()
            schema = pa.schema([(column.name, arrow_type(column.type_display)) for column in columns])
            yield Rows(schema, batches(schema, _chunks(cursor)))
    finally:
        connection.close()


def _connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    scheme, _, rest = url.partition("://")
    try:
        connection = psycopg.connect(
            f"{scheme.partition('+')[0]}://{rest}", application_name="carrel-sqlrunner", connect_timeout=30
        )
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.execute("SET TIME ZONE 'UTC'")
        connection.commit()
        connection.read_only = True
        _refuse_almighty(connection)
    except psycopg.Error as error:
        raise _not_connected(error) from error
    except SqlrunnerError:
        connection.close()
        raise
    for name in _AS_TEXT:
        connection.adapters.register_loader(name, TextLoader)
    return connection


_ALMIGHTY = """
SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'member') AND (
    rolsuper OR rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'))
"""


def _refuse_almighty(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Refuse a log-in that may use the server's files or programs: a study's SQL would run under it."""
    if connection.execute(_ALMIGHTY).fetchone() is not None:
        raise DatabaseFault(
            "The database log-in of this backend may do more than read tables (it is a superuser, or may use the "
            "server's files or programs), and studies are not run with it: ask whoever runs this backend."
        )
    connection.rollback()


def _not_connected(error: psycopg.Error) -> SqlrunnerError:
    refused = ("authentication failed", "does not exist", "no pg_hba.conf entry", "invalid", "missing")
    text = str(error)
    if (error.sqlstate or "")[:2] in ("28", "3D", "42") or any(word in text for word in refused):
        return DatabaseFault("The database refused the log-in: ask whoever runs this backend.", text)
    return Transient("The database did not answer: try again later.", text)


def _chunks(cursor: psycopg.ServerCursor[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    try:
        while rows := cursor.fetchmany(_FETCH_ROWS):
            yield rows
    except psycopg.Error as error:
        raise _translate(error, planning=False) from error


def _translate(error: psycopg.Error, planning: bool) -> SqlrunnerError:
    """Translate by SQLSTATE (PostgreSQL manual, appendix A).

    The server's own words are for people only while it plans, and only where they come from the planner itself: what a
    function says, and all that is said while rows are read, may hold a value of a row (as in
    `set_config('role', name, false)` or `query_to_xml(format(...))`), and is detail.
    """
    state, text = error.sqlstate or "", str(error)
    if state in ("42501", "25006", "0A000"):
        said = f": {_primary(error)}" if planning and not error.diag.context else ""
        return NotPermitted(f"The database refuses the query{said or _WHILE_READING}.", text)
    if state[:2] == "42" and planning:
        said = f": {_primary(error)}{_position(error)}" if not error.diag.context else ""
        return QueryError(f"The database does not understand the query{said}.", text)
    if state[:2] == "54" or state == "53200":
        return TooComplex("The query is too complex for the database: make it simpler.", text)
    if state[:2] in ("08", "40", "53", "55", "57"):
        return Transient("The database went away or was busy while the query ran: try again later.", text)
    if state[:2] in ("58", "XX", "F0"):
        return DatabaseFault("The database failed while the query ran: ask whoever runs this backend.", text)
    if not state and isinstance(error, psycopg.OperationalError):
        return Transient("The connection to the database was lost: try again later.", text)
    kind = type(error).__name__
    return UnfitValue(f"A value broke the query ({kind}). The value itself is not shown in this log.", text)


def _primary(error: psycopg.Error) -> str:
    return (error.diag.message_primary or type(error).__name__).rstrip(".")


def _position(error: psycopg.Error) -> str:
    """Say where in the query: its own line, as libpq quotes it, counted without the line that DECLARE stands on."""
    quoted = re.search(r"^LINE (\d+): (.*)$", str(error), re.MULTILINE)
    return f" (line {int(quoted[1]) - 1}: {quoted[2]})" if quoted else ""
