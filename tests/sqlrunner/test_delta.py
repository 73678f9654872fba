"""Delta warehouses: one fixed version of each table under its name, nothing else in reach, and memory that stays."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.sqlrunner.conftest import Run
from tests.sqlrunner.failures import check_failure
from tests.sqlrunner.memory import run_measured

from carrel.sqlrunner.delta import open_rows
from carrel.sqlrunner.errors import DatabaseFault, QueryError, SqlrunnerError, Transient
from carrel.warehouse.names import sql_names

PEOPLE = {"recordid": ["a", "b", "c"], "Score": [1.5, None, 3.0], "n": [1, 2, 2**60]}


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """`People` (3 rows in two versions), an odd name, and what no study may see beside the tables."""
    root = tmp_path / "a warehouse"
    add(root, "People", PEOPLE)
    add(root, "People", {"recordid": ["d"], "Score": [4.0], "n": [4]})
    add(root, "odd name.é", {"x": [1]})
    write_deltalake(str(root / "_ledger"), pa.table({"healthcode": ["HIDDEN"]}))
    return root


def add(root: Path, name: str, columns: Mapping[str, list[Any]], **how: Any) -> None:
    write_deltalake(str(root / "tables" / name), pa.table(dict(columns)), mode="append", **how)


def ask(root: Path, sql: str, query: str = "") -> list[dict[str, Any]]:
    """The rows of a query, in this process."""
    scratch = root.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    with open_rows(f"delta://{root}{query}", sql, scratch) as rows:
        return pa.Table.from_batches(list(rows.batches), rows.schema).to_pylist()


def count(root: Path, query: str = "", table: str = "People") -> int:
    (row,) = ask(root, f'SELECT count(*) AS n FROM "{table}"', query)
    return int(row["n"])


def test_tables_are_found_by_name_whatever_the_case(warehouse: Path):
    assert ask(warehouse, "SELECT recordid, score, N FROM peoPLE WHERE score > 1 AND recordid < 'd' ORDER BY 1") == [
        {"recordid": "a", "Score": 1.5, "n": 1},
        {"recordid": "c", "Score": 3.0, "n": 2**60},
    ]
    assert ask(warehouse, 'SELECT x FROM "Odd Name.é"') == [{"x": 1}]


def test_of_tables_alike_each_has_a_name_that_means_it_alone(warehouse: Path):
    """One archive with an odd key must not shut the whole warehouse; nor may half of the rows pass for all."""
    add(warehouse, "Survey__items", {"x": [1, 2]})
    add(warehouse, "Survey__Items", {"x": [3]})
    assert count(warehouse) == 4
    names = sql_names(["Survey__items", "Survey__Items", "People"])
    assert count(warehouse, table=names["Survey__items"]) == 2
    assert count(warehouse, table=names["Survey__Items"].upper()) == 1
    with pytest.raises(QueryError, match=f"(?s)does not exist.*{names['Survey__Items']}"):
        count(warehouse, table="Survey__items")
    assert count(warehouse, "?versions=Survey__items%3D0", "Survey__items") == 2


def test_joins_steps_and_subqueries_find_their_tables(warehouse: Path):
    sql = """WITH people AS (SELECT recordid, n FROM people WHERE n < 3) -- the table, not the step
        SELECT p.recordid FROM people p JOIN (SELECT x AS n FROM "odd name.é") USING (n)"""
    assert ask(warehouse, sql.replace("WITH people", "WITH few").replace("FROM people p", "FROM few p")) == [
        {"recordid": "a"}
    ]


@pytest.mark.parametrize(("query", "rows"), [("", 4), ("?versions=People%3D1", 4), ("?versions=People%3D0", 3)])
def test_a_version_stays_what_it_was(warehouse: Path, query: str, rows: int):
    assert count(warehouse, query) == rows


def test_versions_hold_while_others_commit_and_remove(warehouse: Path):
    """Removed rows are gone for who asks anew and there for who asked before; nothing is seen that came later."""
    query = "?versions=People%3D1"
    DeltaTable(str(warehouse / "tables/People")).delete("recordid = 'a'")
    add(warehouse, "People", {"recordid": ["e"], "Score": [5.0], "n": [5], "late": ["x"]}, schema_mode="merge")
    add(warehouse, "Later", {"x": [1]})
    assert [row["recordid"] for row in ask(warehouse, "SELECT * FROM people ORDER BY 1", query)] == list("abcd")
    assert "late" not in ask(warehouse, "SELECT * FROM people", query)[0]
    assert [row["recordid"] for row in ask(warehouse, "SELECT * FROM people ORDER BY 1")] == list("bcde")
    assert [row["late"] for row in ask(warehouse, "SELECT late FROM people ORDER BY recordid")] == [None] * 3 + ["x"]
    with pytest.raises(QueryError, match="Table with name later does not exist"):
        ask(warehouse, "SELECT * FROM later", query)


@pytest.mark.parametrize(("query", "rows"), [("", 2), ("?version=0", 1)])
def test_one_table_alone_is_a_warehouse(tmp_path: Path, query: str, rows: int):
    for _ in range(2):
        write_deltalake(str(tmp_path / "alone"), pa.table({"x": [1]}), mode="append")
    assert count(tmp_path / "alone", query, "alone") == rows


def test_a_folder_of_tables_is_a_warehouse(warehouse: Path):
    assert count(warehouse / "tables") == 4


def test_a_warehouse_pinned_when_it_was_empty_stays_so(warehouse: Path):
    with pytest.raises(QueryError, match="The tables there are: none"):
        ask(warehouse, "SELECT * FROM people", "?versions=")


def test_partition_values_come_from_the_log(tmp_path: Path):
    places = ["a b", "é/%20", "x=y", None]
    add(tmp_path, "t", {"place": places, "year": [1, 2, 3, 4], "x": [1, 2, 3, 4]}, partition_by=["place", "year"])
    found = ask(tmp_path, "SELECT place, year, x FROM t WHERE x < 9 ORDER BY x")
    assert [row["place"] for row in found] == places
    assert ask(tmp_path, "SELECT x FROM t WHERE place = 'é/%20' AND year = 2") == [{"x": 2}]


def forget_statistics(commit: Path, keep: str) -> None:
    """Leave statistics of one column: Delta asks for none, and `carrel ingest` keeps them for a few."""
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    for action in actions:
        if "add" in action:
            stats = json.loads(action["add"]["stats"])
            for kind in ("minValues", "maxValues", "nullCount"):
                stats[kind] = {keep: stats[kind][keep]}
            action["add"]["stats"] = json.dumps(stats)
    commit.write_text("".join(json.dumps(action) + "\n" for action in actions))


PREDICATES = [
    "s IN ('a', 'c')", "s NOT IN ('a')", "s = 'a' OR s IS NULL", "s <> 'a'", "s IS NOT NULL", "s IS NULL", "s > 'a'",
    "s LIKE 'a%'", "x IN (1, 2)", "x > 1.5", "x >= 1 AND x <= 2", "x <> 1", "x = 'nan'::double", "x IS NULL",
    "NOT (x > 1)", "n BETWEEN 1 AND 2", "n IN (1, 3) AND s = 'a'", "seen > timestamptz '2020-01-02 00:00:00+00'",
    "flag", "NOT flag", "flag IS NULL", "price > 1.25", "s > 'a' AND (n = 1 OR x IS NULL)", "p = 'one'", "p IS NULL",
    "p IN ('one', 'two') AND n > 1", "p <> 'one'", "late = 1", "late IS NULL",
]  # fmt: skip


def test_no_filter_loses_or_invents_a_row(tmp_path: Path):
    """Against the same rows in a table of DuckDB's own; with missing values, NaN, and files with few statistics."""
    made = duckdb.sql(
        "SELECT i AS id, [NULL, 'a', 'b', 'c'][i % 4 + 1] AS s, ['1', '2', NULL, 'nan'][i % 4 + 1]::double AS x,"
        " nullif(i % 5, 0)::bigint AS n, [true, false, NULL][i % 3 + 1] AS flag,"
        " (i % 6)::decimal(9, 2) / 2 AS price, timestamptz '2020-01-01 00:00:00+00' + to_days(i % 4) AS seen,"
        " [NULL, 'one', 'two'][i % 3 + 1] AS p FROM range(60) r(i)"
    ).to_arrow_table()
    for half in (made.slice(0, 30), made.slice(30)):
        write_deltalake(str(tmp_path / "tables/t"), half, partition_by=["p"], mode="append")
    forget_statistics(tmp_path / f"tables/t/_delta_log/{0:020}.json", keep="id")
    late = pa.table({"id": pa.array([99]), "late": pa.array([1]), "p": ["one"]})
    write_deltalake(str(tmp_path / "tables/t"), late, mode="append", schema_mode="merge")
    with duckdb.connect() as oracle:
        oracle.register("early", made)
        oracle.register("later", late)
        oracle.execute("CREATE TABLE t AS SELECT * FROM early UNION ALL BY NAME SELECT * FROM later")
        for predicate in PREDICATES:
            sql = f"SELECT id FROM t WHERE {predicate} ORDER BY id"
            expected = [row[0] for row in oracle.execute(sql).fetchall()]
            assert [row["id"] for row in ask(tmp_path, sql)] == expected, predicate


def test_types_are_kept(tmp_path: Path):
    add(tmp_path, "t", {"x": [1]})
    made = duckdb.sql(
        "SELECT 1::bigint AS big, 1.50::decimal(38, 2) AS price, true AS flag, date '2020-02-29' AS born,"
        " timestamptz '2020-01-01 00:00:00+01' AS seen, ['a', NULL] AS nulls, 'x'::blob AS raw, {'a': 1} AS s"
    ).to_arrow_table()
    write_deltalake(str(tmp_path / "tables/typed"), made)
    (found,) = ask(tmp_path, "SELECT * FROM typed")
    assert found == made.to_pylist()[0]


def test_what_a_study_s_sql_cannot_do(run: Run, warehouse: Path, tmp_path: Path):
    (parquet,) = (warehouse / "_ledger").glob("*.parquet")
    files = [*(warehouse / "tables/People").glob("*.parquet"), parquet]
    forbidden = [
        *(f"SELECT * FROM '{path}'" for path in files),
        f"SELECT * FROM read_parquet('{files[0]}'), people",
        f"SELECT * FROM read_text('{warehouse}/tables/People/_delta_log/{0:020}.json')",
        f"SELECT * FROM delta_scan('{warehouse}/_ledger')",
        "SELECT * FROM _ledger",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM tables",  # names of Python's own variables
        "SELECT * FROM warehouse",
        f"COPY people TO '{tmp_path}/leak.csv'",
        f"ATTACH '{tmp_path}/other.duckdb' AS other",
        "SET enable_external_access = true",
        "CREATE TABLE made AS SELECT * FROM people",
        "DELETE FROM people",
        "SELECT * FROM people; SELECT 1",
    ]
    before = sorted(tmp_path.rglob("*"))
    for sql in forbidden:
        with pytest.raises(SqlrunnerError) as caught:
            ask(warehouse, sql)
        assert caught.value.exit_code in (10, 12), (sql, caught.value)
        assert "HIDDEN" not in str(caught.value), sql
    assert sorted(set(tmp_path.rglob("*")) - {tmp_path / "scratch"}) == before


def test_as_a_process(run: Run, warehouse: Path, tmp_path: Path):
    url = f"delta://{warehouse}"
    check_failure(run, tmp_path, url, "SELECT * FROM nope", 10, "The tables there are: People, odd name.é.")
    check_failure(run, tmp_path, url, "SELECT recordid::int AS i FROM people", 1, "A value broke the query")
    done = run("SELECT * FROM People ORDER BY n", "--output", "o.csv", env={"DATABASE_URL": url})
    assert (done.returncode, done.stdout, done.stderr) == (0, "Wrote o.csv.\n", "")
    assert (tmp_path / "o.csv").read_text().splitlines()[0:3] == ["recordid,Score,n", "a,1.5,1", "b,,2"]


def test_a_version_that_was_cleaned_away_says_so(warehouse: Path):
    table = DeltaTable(str(warehouse / "tables/People"))
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    for query in ("?versions=People%3D1", "?versions=People%3D0"):
        with pytest.raises(Transient, match="no longer kept"):
            ask(warehouse, "SELECT * FROM people", query)
    assert count(warehouse) == 4
    assert ask(warehouse, 'SELECT x FROM "odd name.é"', "?versions=People%3D1,odd%20name.é%3D0") == [{"x": 1}]


def test_a_version_cleaned_away_while_it_is_read_says_so(tmp_path: Path):
    for number in range(3):
        rows = duckdb.sql(f"SELECT md5((i + {number})::varchar) AS x FROM range(400000) r(i)").to_arrow_table()
        write_deltalake(str(tmp_path / "w/tables/t"), rows, mode="append")
    with open_rows(f"delta://{tmp_path}/w", "SELECT * FROM t", tmp_path) as rows:
        next(rows.batches)
        for path in (tmp_path / "w/tables/t").glob("*.parquet"):
            path.unlink()
        with pytest.raises(Transient, match="no longer kept"):
            list(rows.batches)


def test_a_version_that_never_was(warehouse: Path):
    with pytest.raises(Transient):
        ask(warehouse, "SELECT * FROM people", "?versions=People%3D7")


@pytest.mark.parametrize(
    ("protocol", "feature"),
    [
        ({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
          "writerFeatures": ["deletionVectors"]}, "deletionVectors"),
        ({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["columnMapping"],
          "writerFeatures": ["columnMapping"]}, "columnMapping"),
        ({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["notYetInvented"],
          "writerFeatures": ["notYetInvented"]}, "People"),
        ({"minReaderVersion": 9, "minWriterVersion": 9}, "People"),
    ],
)  # fmt: skip
def test_features_that_would_give_wrong_rows_are_refused(warehouse: Path, protocol: dict[str, Any], feature: str):
    commit = warehouse / f"tables/People/_delta_log/{2:020}.json"
    commit.write_text(json.dumps({"protocol": protocol}) + "\n")
    with pytest.raises(DatabaseFault, match=feature) as caught:
        ask(warehouse, "SELECT * FROM people")
    assert "People" in str(caught.value)
    assert ask(warehouse, 'SELECT x FROM "odd name.é"') == [{"x": 1}]
    assert count(warehouse, "?versions=People%3D1") == 4


@pytest.mark.parametrize("query", ["?versions=Gone%3D1", "?versions=People%3Dx", "?version=1"])
def test_an_address_that_fits_no_warehouse_is_the_backend_s_fault(warehouse: Path, query: str):
    with pytest.raises(DatabaseFault):
        ask(warehouse, "SELECT * FROM people", query)


def test_no_warehouse_at_all(tmp_path: Path):
    with pytest.raises(DatabaseFault, match="not there") as caught:
        ask(tmp_path / "absent", "SELECT 1 AS a")
    assert str(tmp_path) not in str(caught.value)


def test_a_damaged_table_harms_only_who_names_it(warehouse: Path):
    (warehouse / f"tables/People/_delta_log/{0:020}.json").write_text("{nonsense")
    with pytest.raises(DatabaseFault, match="People"):
        ask(warehouse, "SELECT * FROM people")
    assert ask(warehouse, 'SELECT x FROM "odd name.é"') == [{"x": 1}]


def test_files_outside_the_table_are_refused(warehouse: Path):
    (secret,) = (warehouse / "_ledger").glob("*.parquet")
    action = {"path": f"file://{secret}", "partitionValues": {}, "size": secret.stat().st_size,
              "modificationTime": 0, "dataChange": True}  # fmt: skip
    (warehouse / f"tables/People/_delta_log/{2:020}.json").write_text(json.dumps({"add": action}) + "\n")
    with pytest.raises(DatabaseFault):
        ask(warehouse, "SELECT * FROM people")


def test_memory_does_not_grow_with_the_table(tmp_path: Path):
    rows = duckdb.sql("SELECT md5(i::varchar) AS a, md5((i + 1)::varchar) AS b, i FROM range(250000) r(i)")
    table = rows.to_arrow_table()
    for name, times in (("small", 1), ("large", 8)):
        for _ in range(times):
            write_deltalake(str(tmp_path / "w/tables" / name), table, mode="append")
    peaks = []
    for name in ("small", "large"):
        (tmp_path / "query.sql").write_text(f"SELECT * FROM {name} WHERE i >= 0")
        code, peak = run_measured(tmp_path, ["query.sql", "--output", "o.csv", "--dsn", f"delta://{tmp_path}/w"])
        assert code == 0
        peaks.append(peak)
    assert (tmp_path / "o.csv").stat().st_size > 140_000_000
    assert peaks[1] - peaks[0] < 70_000_000


VIEW = {"name": "dataset_people_Café", "select": '"Score" AS "a.b""c", CAST("n" AS VARCHAR) AS "n"'}


def name_otherwise(root: Path, table: str, text: str) -> None:
    DeltaTable(str(root / "tables" / table)).alter.set_table_properties({"carrel.bridge": text}, False)


def test_a_table_can_be_asked_by_its_other_name_whatever_the_case(warehouse: Path):
    name_otherwise(warehouse, "People", json.dumps(VIEW))
    sql = 'SELECT n, "A.B""c" FROM dataset_PEOPLE_café WHERE n < \'3\' ORDER BY 1'
    assert ask(warehouse, sql) == [
        {"n": "1", 'a.b"c': 1.5},
        {"n": "1152921504606846976", 'a.b"c': 3.0},
        {"n": "2", 'a.b"c': None},
    ]
    assert count(warehouse) == 4
    both = "SELECT count(*) AS n FROM people JOIN dataset_people_café v ON v.n = people.n::VARCHAR"
    assert ask(warehouse, both) == [{"n": 4}]


def test_another_name_belongs_to_a_version_of_its_table(warehouse: Path):
    """Version 2 has one, 4 another; 1 and 6 none: each pin has what its columns were then."""
    name_otherwise(warehouse, "People", json.dumps({"name": "dataset_people", "select": '"n"'}))
    add(warehouse, "People", {"recordid": ["e"], "Score": [5.0], "n": [5]})
    name_otherwise(warehouse, "People", json.dumps({"name": "dataset_people", "select": '"Score" AS "n"'}))
    add(warehouse, "People", {"recordid": ["f"], "Score": [6.0], "n": [6]})
    name_otherwise(warehouse, "People", "")
    found = {number: f"?versions=People%3D{number}" for number in range(1, 7)}
    sql = "SELECT count(*) AS rows, max(n) AS most FROM dataset_people"
    assert ask(warehouse, sql, found[2]) == [{"rows": 4, "most": 2**60}]
    assert ask(warehouse, sql, found[3]) == [{"rows": 5, "most": 2**60}]
    assert ask(warehouse, sql, found[4]) == [{"rows": 5, "most": 5.0}]
    assert ask(warehouse, sql, found[5]) == [{"rows": 6, "most": 6.0}]
    for query in (found[1], found[6], ""):
        with pytest.raises(QueryError, match="dataset_people"):
            ask(warehouse, sql, query)


def test_a_tables_own_name_wins(warehouse: Path):
    add(warehouse, "Dataset_People", {"mine": [1]})
    name_otherwise(warehouse, "People", json.dumps({"name": "dataset_people", "select": '"n"'}))
    assert ask(warehouse, "SELECT * FROM dataset_people") == [{"mine": 1}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("no json", DatabaseFault),
        ('{"name": "dataset_people"}', DatabaseFault),
        ("[1]", DatabaseFault),
        ('{"name": "dataset_people", "select": "n n n"}', DatabaseFault),
        ('{"name": "dataset_people", "select": "gone"}', Transient),
    ],
)
def test_another_name_that_cannot_be_made_harms_no_other_query(warehouse: Path, text: str, error: type[SqlrunnerError]):
    name_otherwise(warehouse, "People", text)
    assert count(warehouse) == 4
    with pytest.raises(error):
        ask(warehouse, "SELECT * FROM dataset_people")


def test_another_name_reaches_no_file(warehouse: Path, tmp_path: Path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    select = f"(SELECT a FROM read_csv('{tmp_path}/secret.csv')) AS a"
    name_otherwise(warehouse, "People", json.dumps({"name": "dataset_people", "select": select}))
    with pytest.raises(SqlrunnerError):
        ask(warehouse, "SELECT * FROM dataset_people")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_that_name", "pip install '.[ingest]'"),
        ("raise ImportError('lib.so: failed to map segment from shared object')", "too little memory"),
    ],
)
def test_what_cannot_be_imported_is_told_from_what_is_not_there(warehouse: Path, tmp_path: Path, run, code, said):
    """A library that does not fit into the action's memory ends in an ImportError, too."""
    (tmp_path / "libraries" / "deltalake").mkdir(parents=True)
    (tmp_path / "libraries/deltalake/__init__.py").write_text(code)
    dsn = ["--dsn", f"delta:///{warehouse}", "--output", "rows.csv"]
    done = run("SELECT * FROM People", *dsn, env={"PYTHONPATH": str(tmp_path / "libraries")})
    assert done.returncode == 5, done.stderr
    assert said in done.stderr
