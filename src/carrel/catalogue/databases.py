"""What a database tells of itself: its tables and columns, without a value of them.

`database_at` knows the databases that sqlrunner knows, by the same addresses. Nothing is written anywhere, and what is
asked for is names, types and numbers of rows, which leave rounded.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from carrel.catalogue.warehouses import tables_of_warehouse
from carrel.messages.catalogue import (
    CatalogueColumn,
    CatalogueDatabase,
    CatalogueTable,
    DataSet,
    SqlDialect,
    rounded_rows,
)
from carrel.units.limits import MAX_CATALOGUE_TEXT
from carrel.units.parts import how_to_install
from carrel.warehouse.names import quoted

if TYPE_CHECKING:
    import duckdb
    import sqlalchemy
    from sqlalchemy.engine.interfaces import ReflectedColumn

DRIVERS: Mapping[str, str] = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mssql": "mssql+pymssql",
    "trino": "trino",
}
DIALECTS: Mapping[str, SqlDialect] = {"mssql": "tsql", "trino": "trino"}
"""Those of `DRIVERS` that do not speak PostgreSQL's."""
_SYSTEM_SCHEMAS = {"information_schema", "pg_catalog", "sys", "system", "guest", "INFORMATION_SCHEMA"}
_READABLE = """
SELECT n.nspname, c.relname, c.reltuples::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND has_schema_privilege(n.oid, 'USAGE')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
"""


class DatabaseUnreadable(Exception):
    """The database cannot be described; the message says why, and holds no password and no value."""


def database_at(url: str, name: str) -> CatalogueDatabase:
    """Return what a database tells of itself, every table in the data set of its schema. Raises DatabaseUnreadable."""
    scheme = url.partition("://")[0].partition("+")[0].lower()
    if "://" not in url or scheme not in {"duckdb", "delta", *DRIVERS}:
        known = ", ".join(sorted({"duckdb", "delta", *DRIVERS}))
        raise DatabaseUnreadable(f"the address of the database {name} begins with none of {known}")
    if scheme == "delta":
        try:
            return CatalogueDatabase(name=name, dialect="duckdb", data_sets=tables_of_warehouse(path_of(url), url))
        except (OSError, ValueError) as error:
            raise DatabaseUnreadable(f"the warehouse of {name} cannot be described: {error}") from error
    return _duckdb(path_of(url), name) if scheme == "duckdb" else _server(url, scheme, name)


def path_of(url: str) -> Path:
    """Return /a/b.duckdb of `duckdb:///a/b.duckdb`, or of the same with four slashes."""
    return Path("/" + unquote(url.partition("://")[2].partition("?")[0]).lstrip("/"))


def has_password(url: str) -> bool:
    """Whether the address holds a password, as text that other people of the machine would see in a command line."""
    try:
        parts = urlsplit(url)
        return bool(parts.password) or "password=" in parts.query.lower()
    except ValueError:
        return True


def data_sets_of(tables: list[tuple[str, CatalogueTable]]) -> tuple[DataSet, ...]:
    """Group tables by the names of the data sets that stand beside them, in order."""
    grouped: dict[str, list[CatalogueTable]] = {}
    for data_set, table in tables:
        grouped.setdefault(data_set, []).append(table)
    return tuple(DataSet(name=name, tables=tuple(group)) for name, group in grouped.items())


# -- DuckDB files


def _duckdb(path: Path, name: str) -> CatalogueDatabase:
    import duckdb

    if not path.is_file():
        raise DatabaseUnreadable(f"the database {name} is not there: {path} is no file")
    try:
        changed = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
        with closing(duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"})) as database:
            tables = _duckdb_tables(database, changed)
    except duckdb.Error as error:
        raise DatabaseUnreadable(f"{path} cannot be read as a DuckDB file ({type(error).__name__})") from error
    return CatalogueDatabase(name=name, dialect="duckdb", search_path=("main",), data_sets=data_sets_of(tables))


def _duckdb_tables(database: duckdb.DuckDBPyConnection, changed: str) -> list[tuple[str, CatalogueTable]]:
    columns: dict[tuple[str, str], list[CatalogueColumn]] = {}
    rows = database.execute(
        "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY schema_name, table_name, column_index"
    ).fetchall()
    for schema, table, column, kind, nullable, comment in rows:
        described = CatalogueColumn(name=column, type=_text(kind), nullable=nullable, description=_text(comment))
        columns.setdefault((schema, table), []).append(described)
    relations = database.execute(
        "SELECT schema_name, table_name, comment, true FROM duckdb_tables() WHERE NOT internal "
        "UNION ALL SELECT schema_name, view_name, comment, false FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
    ).fetchall()
    tables = []
    for schema, table, comment, is_table in relations:
        count: dict[str, Any] = {}
        if is_table:  # their number is kept beside the rows; a view would be run
            query = f"SELECT count(*) FROM {quoted(schema)}.{quoted(table)}"  # noqa: S608 (names, quoted)
            count = rounded_rows(database.execute(query).fetchall()[0][0])
        described_table = CatalogueTable(
            name=table,
            schema_name=schema,
            description=_text(comment),
            columns=tuple(columns.get((schema, table), ())),
            changed=changed,
            **count,
        )
        tables.append((schema, described_table))
    return tables


def _text(value: object) -> str:
    """Return a comment or a type as a catalogue takes it: without control characters, and not too long."""
    text = "" if value is None else str(value)
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")[:MAX_CATALOGUE_TEXT]


# -- databases that are servers


def _server(url: str, scheme: str, name: str) -> CatalogueDatabase:
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        engine = sqlalchemy.create_engine(f"{DRIVERS[scheme]}://{url.partition('://')[2]}")
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseUnreadable(f"this installation cannot speak to {scheme}: {how_to_install(scheme)}") from error
    except (SQLAlchemyError, ValueError) as error:
        raise DatabaseUnreadable(f"the address of the database {name} cannot be read") from error
    try:
        with warnings.catch_warnings(), engine.connect() as connection:
            warnings.simplefilter("ignore")  # of types that the library does not know: they have no name here
            return _described(connection, DIALECTS.get(scheme, "postgres"), name)
    except SQLAlchemyError as error:
        kind = type(error).__name__
        raise DatabaseUnreadable(f"the database {name} did not answer, or refused the log-in ({kind})") from error
    finally:
        engine.dispose()


def _described(connection: sqlalchemy.Connection, dialect: SqlDialect, name: str) -> CatalogueDatabase:
    import sqlalchemy
    from sqlalchemy.engine.reflection import ObjectKind

    inspector = sqlalchemy.inspect(connection)
    readable: dict[tuple[str, str], int] | None = None
    if dialect == "postgres":  # what this log-in may read, with the server's own guess at the rows (-1: none yet)
        rows = connection.execute(sqlalchemy.text(_READABLE))
        readable = {(schema, table): guess for schema, table, guess in rows}
    tables: list[tuple[str, CatalogueTable]] = []
    for schema in sorted(set(inspector.get_schema_names()) - _SYSTEM_SCHEMAS):
        if schema.startswith(("pg_", "db_")):
            continue
        try:
            comments = inspector.get_multi_table_comment(schema, kind=ObjectKind.ANY)
        except NotImplementedError:
            comments = {}
        for (_, table), columns in sorted(inspector.get_multi_columns(schema, kind=ObjectKind.ANY).items()):
            if readable is not None and (schema, table) not in readable:
                continue
            guess = -1 if readable is None else readable[schema, table]
            described = CatalogueTable(
                name=table,
                schema_name=schema,
                description=_text((comments.get((schema, table)) or {"text": None})["text"]),
                columns=tuple(_column(column, connection.dialect) for column in columns),
                **(rounded_rows(guess) if guess >= 0 else {}),
            )
            tables.append((schema, described))
    path = _search_path(connection, dialect, inspector.default_schema_name)
    return CatalogueDatabase(name=name, dialect=dialect, search_path=path, data_sets=data_sets_of(tables))


def _search_path(connection: sqlalchemy.Connection, dialect: SqlDialect, default: str | None) -> tuple[str, ...]:
    from sqlalchemy import text

    if dialect == "postgres":
        return tuple(connection.execute(text("SELECT current_schemas(false)")).scalar_one())
    return (default,) if default else ()


def _column(column: ReflectedColumn, dialect: sqlalchemy.Dialect) -> CatalogueColumn:
    try:
        kind = column["type"].compile(dialect)
    except Exception:  # a type that the library does not know has no name there
        kind = ""
    return CatalogueColumn(
        name=column["name"],
        type=_text(kind),
        nullable=bool(column.get("nullable", True)),
        description=_text(column.get("comment")),
    )
