"""DuckDB files: types, what a study's SQL cannot reach, errors that keep values to themselves, constant memory."""

import gzip
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sqlrunner.awkward import check_types_and_values
from tests.sqlrunner.conftest import Run
from tests.sqlrunner.failures import check_failure
from tests.sqlrunner.memory import run_measured

from carrel.sqlrunner.duckdb_files import file_of


@pytest.mark.parametrize("name", ["o.parquet", "o.arrow"])
def test_types_and_values_are_kept(run: Run, duckdb_url: str, tmp_path: Path, name: str):
    done = run("SELECT * FROM t ORDER BY id", "--output", name, env={"DATABASE_URL": duckdb_url})
    assert done.returncode == 0, done.stderr
    path = tmp_path / name
    check_types_and_values(pq.read_table(path) if name == "o.parquet" else pa.ipc.open_file(path).read_all())


def test_csv_text(run: Run, duckdb_url: str, tmp_path: Path):
    assert run("SELECT * FROM t ORDER BY id;", "--output", "o.csv", "--dsn", duckdb_url).returncode == 0
    assert (tmp_path / "o.csv").read_text().splitlines() == [
        "id,big,price,x,flag,born,seen,zoned,name",
        "1,9223372036854775807,123456789012345.678,0.1,true,2020-02-29,"
        "2020-01-01 01:02:03.456000,2019-12-31 23:00:00.000000Z,plain",
        "2,-9223372036854775808,-0.001,1e+300,false,1899-12-31,"
        '1999-12-31 23:59:59.000000,2020-06-01 00:00:00.000000Z,"quo""te, and',
        'line"',
        "3,0,0.000,-2.5,,,,,",
        '4,,,,true,9999-12-31,,,""',
        "5,5,5.500,5,true,2000-01-01,,,Zoë 漢字 🩺",
    ]


def test_in_one_column_a_missing_value_is_no_empty_line(run: Run, duckdb_url: str, tmp_path: Path):
    sql = "SELECT name FROM t WHERE id IN (3, 4, 5) ORDER BY id"
    assert run(sql, "--output", "o.csv", "--dsn", duckdb_url).returncode == 0
    assert (tmp_path / "o.csv").read_text() == 'name\n""\n""\nZoë 漢字 🩺\n'


def test_hundred_and_twenty_eight_bits(run: Run, duckdb_url: str, tmp_path: Path):
    sql = "SELECT sum(big::hugeint) * 4 AS s FROM t WHERE id = 1"
    assert run(sql, "--output", "o.csv", "--dsn", duckdb_url).returncode == 0
    assert (tmp_path / "o.csv").read_text() == f"s\n{(2**63 - 1) * 4}\n"


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "arrow"])
def test_an_empty_result_still_says_its_columns(run: Run, duckdb_url: str, tmp_path: Path, suffix: str):
    path = tmp_path / f"o.{suffix}"
    assert run("SELECT id, price FROM t WHERE id > 99", "--output", path.name, "--dsn", duckdb_url).returncode == 0
    if suffix.startswith("csv"):
        content = path.read_bytes()
        assert (gzip.decompress(content) if suffix == "csv.gz" else content) == b"id,price\n"
    else:
        schema = pq.read_schema(path) if suffix == "parquet" else pa.ipc.open_file(path).schema
        assert (schema.names, schema.types) == (["id", "price"], [pa.int32(), pa.decimal128(18, 3)])


def test_what_a_study_s_sql_cannot_do(run: Run, duckdb_url: str, tmp_path: Path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\nHIDDEN,2\n")
    other = tmp_path / "other.duckdb"
    duckdb.connect(str(other)).close()
    forbidden = [
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM read_text('{secret}')",
        f"SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM glob('/*')",
        f"COPY t TO '{tmp_path}/leak.csv'",
        f"EXPORT DATABASE '{tmp_path}/leak'",
        f"ATTACH '{other}' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CREATE TABLE made AS SELECT 1 AS a",
        "CREATE TEMP TABLE made AS SELECT 1 AS a",
        "DELETE FROM t",
        "SELECT 1 AS a; DELETE FROM t",
        "SELECT getenv('HOME') AS a",
        "CALL duckdb_tables()",
        "SELECT * FROM 'https://localhost/x.csv'",
    ]
    before = sorted(path.name for path in tmp_path.iterdir())
    for sql in forbidden:
        done = run(sql, "--output", "o.csv", "--dsn", duckdb_url)
        assert done.returncode in (10, 12), (sql, done)
        assert "HIDDEN" not in done.stdout + done.stderr, sql
        assert sorted({path.name for path in tmp_path.iterdir()} - {"query.sql"}) == before, sql


def test_settings_are_locked_even_for_sql_that_got_through(duckdb_url: str, tmp_path: Path):
    from carrel.sqlrunner.duckdb_files import connect

    with connect(file_of(duckdb_url), tmp_path) as connection:
        for sql in ("SET enable_external_access = true", "SET memory_limit = '64GB'", "RESET lock_configuration"):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("SELECT nope FROM t", 10, 'Referenced column "nope" not found'),
        ("SELECT * FROM nope", 10, "Table with name nope does not exist"),
        ("SELEC 1", 10, "syntax error"),
        ("SELECT name::int AS n FROM t", 1, "A value broke the query: conversion error."),
        ("SELECT error(name) AS n FROM t", 1, "A value broke the query"),
        ("SELECT nextval(name) AS n FROM t", 10, ""),
        ("SELECT 1 AS a, 2 AS a", 10, "two columns called 'a'"),
        ("SELECT [1, 2] AS l", 1, "CSV cannot hold"),
        ("SELECT interval '1 month' AS i", 1, "CSV cannot hold"),
    ],
)
def test_errors_say_what_to_do_and_never_a_value(run: Run, duckdb_url: str, tmp_path: Path, sql, code, words):
    entry = check_failure(run, tmp_path, duckdb_url, sql, code, words)
    if "name::int" in sql:
        assert "plain" in str(entry["detail"])


def test_the_files_are_told_apart_from_their_faults(run: Run, tmp_path: Path):
    (tmp_path / "broken.duckdb").write_bytes(b"not a database" * 1000)
    for name in ("absent.duckdb", "broken.duckdb"):
        done = run("SELECT 1 AS a", "--output", "o.csv", "--dsn", f"duckdb://{tmp_path}/{name}")
        assert (done.returncode, str(tmp_path) in done.stderr) == (5, False), done.stderr


def test_a_file_being_written_by_another_process_is_transient(run: Run, tmp_path: Path):
    path = tmp_path / "busy.duckdb"
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
        done = run("SELECT 1 AS a", "--output", "o.csv", "--dsn", f"duckdb://{path}")
        writer.stdin.close()
        assert done.returncode == 3, done.stderr


def test_the_address_is_always_absolute():
    assert file_of("duckdb:///srv/a%20b.duckdb") == file_of("duckdb:////srv/a b.duckdb") == Path("/srv/a b.duckdb")


def test_memory_does_not_grow_with_the_rows(duckdb_url: str, tmp_path: Path):
    peaks = []
    for rows in (100_000, 1_500_000):
        sql = f"SELECT i, md5(i::varchar) AS a, md5((i + 1)::varchar) AS b FROM range({rows}) r(i)"
        (tmp_path / "query.sql").write_text(sql)
        code, peak = run_measured(tmp_path, ["query.sql", "--output", "o.csv", "--dsn", duckdb_url])
        assert code == 0
        peaks.append(peak)
    assert (tmp_path / "o.csv").stat().st_size > 100_000_000
    assert peaks[1] - peaks[0] < 50_000_000


def test_what_memory_cannot_hold_goes_to_disk_beside_the_output(run: Run, duckdb_url: str, tmp_path: Path):
    sql = "SELECT id, name || name AS n FROM many ORDER BY name"
    env = {"SQLRUNNER_MEMORY_LIMIT": "60MiB"}
    done = run(sql, "--output", "out/o.csv", "--dsn", duckdb_url, env=env)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["o.csv"]


def test_a_query_that_needs_too_much_memory(run: Run, duckdb_url: str, tmp_path: Path):
    env = {"SQLRUNNER_MEMORY_LIMIT": "20MiB"}
    done = run("SELECT list(name) AS l FROM many", "--output", "o.parquet", "--dsn", duckdb_url, env=env)
    assert (done.returncode, "more memory than 20MiB" in done.stderr) == (6, True), done.stderr
