"""What is read and what is missing, of statements drawn from a known schema; DuckDB is asked whether they run."""

import duckdb
import pytest
from hypothesis import given, settings

from carrel.catalogue.reading import columns_read
from carrel.messages.catalogue import CatalogueColumn, CatalogueDatabase, CatalogueTable, DataSet

from .statements import ABSENT, TABLES, Drawn, statements

TYPES = {"s": "STRUCT(f INTEGER)"}
DATABASE = CatalogueDatabase(
    dialect="duckdb",
    data_sets=(
        DataSet(
            name="all",
            tables=tuple(
                CatalogueTable(name=table, columns=tuple(CatalogueColumn(name=column) for column in columns))
                for table, columns in TABLES.items()
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(config={"python_enable_replacements": "false"}) as connection:
        connection.execute("SET disabled_optimizers = 'statistics_propagation'")  # has an internal error on structs
        for table in DATABASE.tables:
            columns = ", ".join(f'"{column.name}" {TYPES.get(column.name, "INTEGER")}' for column in table.columns)
            connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
        yield connection


def runs(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    try:
        connection.execute(sql).fetchall()
    except (duckdb.BinderException, duckdb.CatalogException):
        return False
    except duckdb.NotImplementedException:  # names are resolved by then; some CTEs in correlated queries are beyond it
        return True
    return True


@given(statements())
def test_what_was_put_in_is_what_is_read(drawn: tuple[str, Drawn]) -> None:
    sql, expected = drawn
    reading = columns_read(sql, "duckdb", DATABASE)
    assert {(read.table, read.column) for read in reading.columns} == expected.columns
    assert (reading.missing, reading.unchecked) == ((), ())


@given(drawn=statements(faults=True))
@settings(max_examples=150)
def test_a_statement_runs_exactly_where_nothing_is_missing(connection, drawn: tuple[str, Drawn]) -> None:
    sql, expected = drawn
    reading = columns_read(sql, "duckdb", DATABASE)
    assert runs(connection, sql) == (not reading.missing and not reading.unchecked)
    names = {missing.name.lower() for missing in reading.missing}
    if ABSENT in expected.missing:  # whose columns could be any
        assert ABSENT in names
    else:
        assert names == expected.missing
        assert bool(reading.unchecked) == expected.is_broken
