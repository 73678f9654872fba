"""SQL Server and Trino, through the SQLAlchemy dialects that the extras `carrel[mssql]` and `carrel[trino]` bring.

Nothing is ever committed; that a study cannot write is the log-in's rights to say, as these databases have no read-only
session (SQL Server is asked for a read-only replica where there is one).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy
from sqlalchemy.exc import DBAPIError, NoSuchModuleError

from carrel.sqlrunner.engines import Rows
from carrel.sqlrunner.errors import DatabaseFault, QueryError, SqlrunnerError, Transient, UnfitValue
from carrel.sqlrunner.sqltypes import arrow_type, batches

_FETCH_ROWS = 10_000
_DRIVERS = {"mssql": "mssql+pymssql", "trino": "trino"}
_DESCRIBE = "EXEC sys.sp_describe_first_result_set @tsql = %s"


@contextmanager
def open_rows(url: str, sql: str, scratch: Path) -> Iterator[Rows]:
    """Open the rows of one query. `scratch` is not needed: the server has its own."""
    connection = _connect(url)
    try:
        cursor = connection.cursor()
        names = _sql_server_types(cursor, sql) if url.startswith("mssql") else None
        try:
            cursor.execute(sql)
        except Exception as error:
            raise _translate(error) from error
        if not cursor.description:
            raise QueryError("The query gives no rows and no columns: write one SELECT.")
        kinds = names or [str(column[1]) for column in cursor.description]
        columns = zip(cursor.description, kinds, strict=True)
        schema = pa.schema([(column[0], arrow_type(kind)) for column, kind in columns])
        yield Rows(schema, batches(schema, _chunks(cursor)))
        connection.rollback()
    finally:
        connection.close()


def _connect(url: str) -> Any:
    scheme, _, rest = url.partition("://")
    name = scheme.partition("+")[0]
    try:
        return sqlalchemy.create_engine(f"{_DRIVERS[name]}://{rest}").raw_connection()
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseFault(
            f"This installation cannot speak to {name}: install the extra carrel[{name}] beside sqlrunner.", str(error)
        ) from error
    except DBAPIError as error:
        raise Transient("The database did not answer or refused the log-in: try again later.", str(error)) from error
    except Exception as error:  # each driver has its own classes, and SQLAlchemy does not wrap those of raw_connection
        raise Transient("The database did not answer or refused the log-in: try again later.", repr(error)) from error


def _sql_server_types(cursor: Any, sql: str) -> list[str]:
    """Return the columns' types as SQL Server names them: its driver tells numbers from text, and no more."""
    try:
        cursor.execute(_DESCRIBE, (sql,))
        names = [column[0] for column in cursor.description]
        at = names.index("system_type_name")
        return [row[at] for row in cursor.fetchall()]
    except Exception as error:
        raise QueryError("The database does not understand the query.", repr(error)) from error


def _chunks(cursor: Any) -> Iterator[Sequence[Sequence[Any]]]:
    try:
        while rows := cursor.fetchmany(_FETCH_ROWS):
            yield rows
    except Exception as error:
        raise _translate(error) from error


def _translate(error: Exception) -> SqlrunnerError:
    """Translate by the names that PEP 249 gives the classes; the texts may hold values, so they are detail only."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"ProgrammingError", "TrinoUserError"}:
        return QueryError("The database does not understand the query.", repr(error))
    if kinds & {"DataError", "IntegrityError"}:
        return UnfitValue("A value broke the query. The value itself is not shown in this log.", repr(error))
    if kinds & {"InternalError", "NotSupportedError"}:
        return DatabaseFault("The database failed while the query ran: ask whoever runs this backend.", repr(error))
    return Transient("The database went away or was busy while the query ran: try again later.", repr(error))
