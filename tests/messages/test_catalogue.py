"""The catalogue's JSON: what is taken, what is refused and how that is said, and that no exact count fits in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.messages.catalogue import (
    ROWS_STEP,
    Catalogue,
    CatalogueError,
    CatalogueTable,
    dump_catalogue,
    parse_catalogue,
    rounded_rows,
)
from carrel.units.limits import MAX_CATALOGUE_BYTES, MAX_CATALOGUE_COLUMNS, MAX_CATALOGUE_TABLES, MAX_CATALOGUE_VERSIONS

TABLE: dict[str, Any] = {
    "name": "visits",
    "schema_name": "main",
    "description": "A row for each visit.",
    "columns": [{"name": "patient_id", "type": "INTEGER", "nullable": False}, {"name": "day", "description": "Of it."}],
    "rows": 12_000,
    "versions": [{"version": "4", "date": "2026-11-22T05:06:20Z"}],
    "changed": "2026-11-22",
    "permission": "visits",
}
DATA_SET: dict[str, Any] = {"name": "care", "title": "Care", "access": "Ask.", "tables": [TABLE]}
DATABASE: dict[str, Any] = {"name": "default", "dialect": "duckdb", "search_path": ["main"], "data_sets": [DATA_SET]}
WHOLE: dict[str, Any] = {
    "format": 1,
    "backend": "north",
    "built": "2026-12-01T03:00:00Z",
    "description": "Two lines\nand a\ttab.",
    "access": "Ask.",
    "contact": "data@example.org",
    "dummy_data": "Made up.",
    "databases": [DATABASE],
}


def test_a_catalogue_is_read_and_written_as_it_was() -> None:
    catalogue = parse_catalogue(json.dumps(WHOLE))
    assert parse_catalogue(dump_catalogue(catalogue)) == catalogue
    (database,) = catalogue.databases
    (table,) = database.tables
    assert catalogue.database() is database
    assert catalogue.database("other") is None
    assert (table.qualified_name, table.rows_in_words) == ("main.visits", "about 12,000")
    assert database.data_sets[0].changed == "2026-11-22"
    assert database.is_complete


def test_the_format_is_always_written() -> None:
    assert json.loads(dump_catalogue(Catalogue(backend="a", built="2026-12-01"))) == {
        "format": 1,
        "backend": "a",
        "built": "2026-12-01",
    }


def test_what_is_not_said_has_words_too() -> None:
    table = CatalogueTable(name="t")
    assert (table.qualified_name, table.rows_in_words) == ("t", "not counted")
    assert CatalogueTable(name="t", has_few_rows=True).rows_in_words == "fewer than 100"


def with_table(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, "databases": [{**DATABASE, "data_sets": [{**DATA_SET, "tables": [{**TABLE, **changes}]}]}]}


AT = "databases[0].data_sets[0].tables[0]"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({**WHOLE, "format": 2}, "format: Input should be 1"),
        ({**WHOLE, "format": None}, "format: Input should be 1"),
        ({**WHOLE, "backend": "a b"}, "backend: String should match"),
        ({**WHOLE, "backend": "a" * 101}, "backend: String should have at most 100"),
        ({**WHOLE, "built": "2026-02-30"}, "built: is no date that there is"),
        ({**WHOLE, "built": "today"}, "built: String should match"),
        ({**WHOLE, "description": "\x1b[2J"}, "description: String should match"),
        ({**WHOLE, "description": "x" * 4_001}, "description: String should have at most 4000"),
        ({**WHOLE, "values": [1]}, "values: Extra inputs are not permitted"),
        ({**WHOLE, "\x1b" + "k" * 99: 1}, f"?{'k' * 39}: Extra inputs"),
        ({**WHOLE, "databases": [{**DATABASE, "dialect": "mysql"}]}, "databases[0].dialect: Input should be 'duckdb'"),
        ({**WHOLE, "databases": [DATABASE, DATABASE]}, "catalogue: has two entries for database 'default'"),
        (
            {**WHOLE, "databases": [{**DATABASE, "data_sets": [DATA_SET] * 2}]},
            "databases[0]: has two entries for data set",
        ),
        (with_table(name=""), f"{AT}.name: String should have at least 1"),
        (with_table(name="a\nb"), f"{AT}.name: String should match"),
        (with_table(rows=12_345), f"{AT}.rows: is not rounded: write a multiple of 100"),
        (with_table(rows=0), f"{AT}.rows: Input should be greater than or equal to 100"),
        (with_table(rows="many"), f"{AT}.rows: Input should be a valid integer"),
        (with_table(changed=3), f"{AT}.changed: Input should be a valid string"),
        (with_table(columns=[{"name": "a"}] * 2), f"{AT}: has two entries for column 'a'"),
        (with_table(columns=[{"name": "a", "example": 3}]), f"{AT}.columns[0].example: Extra inputs"),
        (
            with_table(versions=TABLE["versions"] * (MAX_CATALOGUE_VERSIONS + 1)),
            f"{AT}.versions: Tuple should have at most",
        ),
        ([], "catalogue: Input should be an object"),
        (3, "catalogue: Input should be an object"),
    ],
)
def test_what_is_refused(document: Any, said: str) -> None:
    with pytest.raises(CatalogueError) as error:
        parse_catalogue(json.dumps(document))
    assert str(error.value).startswith(said)


def test_two_tables_of_one_name_are_refused_whatever_their_data_sets() -> None:
    data_sets = [DATA_SET, {**DATA_SET, "name": "other"}]
    with pytest.raises(CatalogueError, match=r"databases\[0\]: has two entries for table 'main.visits'"):
        parse_catalogue(json.dumps({**WHOLE, "databases": [{**DATABASE, "data_sets": data_sets}]}))


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"backend": "\\ud800"}', b"[" * 100_000, b'{"a":NaN}'])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(CatalogueError):
        parse_catalogue(text)


def test_an_error_quotes_no_value() -> None:
    with pytest.raises(CatalogueError) as error:
        parse_catalogue(json.dumps(with_table(rows="secret", name=["secret"])))
    assert "secret" not in str(error.value)


def test_of_many_faults_the_first_are_listed() -> None:
    with pytest.raises(CatalogueError, match=r"\.\.\. and 5 more$"):
        parse_catalogue(json.dumps({**WHOLE, "databases": [3] * 25}))


def test_a_catalogue_is_bounded() -> None:
    with pytest.raises(CatalogueError, match="longer than 16 MiB"):
        parse_catalogue(b" " * (MAX_CATALOGUE_BYTES + 1))
    names = [{"name": f"t{number}"} for number in range(MAX_CATALOGUE_TABLES + 1)]
    halves = [{"name": "a", "tables": names[:3_000]}, {"name": "b", "tables": names[3_000:]}]
    with pytest.raises(CatalogueError, match="has 5,001 tables, more than 5,000"):
        parse_catalogue(json.dumps({**WHOLE, "databases": [{**DATABASE, "data_sets": halves}]}))
    columns = [{"name": f"c{number}"} for number in range(MAX_CATALOGUE_COLUMNS // 2 + 1)]
    tables = [{"name": "a", "columns": columns}, {"name": "b", "columns": columns}]
    with pytest.raises(CatalogueError, match="has 100,002 columns, more than 100,000"):
        parse_catalogue(
            json.dumps({**WHOLE, "databases": [{**DATABASE, "data_sets": [{**DATA_SET, "tables": tables}]}]})
        )


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, None), (99, None), (100, 100), (149, 100), (150, 200), (9_949, 9_900), (9_999, 10_000), (12_345, 12_000)],
)
def test_rounding(count: int, shown: int | None) -> None:
    assert rounded_rows(count) == {"rows": shown, "has_few_rows": shown is None}


@given(st.integers(0, 10**15))
def test_a_rounded_count_is_always_taken_and_never_far_off(count: int) -> None:
    table = CatalogueTable(name="t", **rounded_rows(count))
    if table.rows is None:
        assert count < ROWS_STEP
    else:
        assert abs(table.rows - count) <= max(ROWS_STEP, count // 10) // 2
