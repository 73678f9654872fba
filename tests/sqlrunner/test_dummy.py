"""No database: the dummy file, or the query's columns and an empty row."""

import csv
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sqlrunner.conftest import Run

SQL = "SELECT id, name FROM t"
CSV = 'id,name\n1,Zoë\n2,""\n3,\n'


def test_with_no_file_the_header_and_one_empty_row(run: Run, tmp_path: Path):
    assert run(SQL, "--output", "out/o.csv").returncode == 0
    assert (tmp_path / "out/o.csv").read_text() == "id,name\n,\n"
    assert run("SELECT id FROM t", "--output", "one.csv").returncode == 0
    assert (tmp_path / "one.csv").read_text() == 'id\n""\n'
    assert run(SQL, "--output", "o.parquet").returncode == 0
    assert pq.read_table(tmp_path / "o.parquet").to_pylist() == [{"id": None, "name": None}]


def test_columns_that_cannot_be_told_are_an_error_that_says_what_to_do(run: Run, tmp_path: Path):
    done = run("SELECT * FROM t", "--output", "o.csv")
    assert done.returncode == 10
    assert "list the columns, or give --dummy-data-file" in done.stderr
    assert not (tmp_path / "o.csv").exists()


def test_the_file_is_copied_as_it_is(run: Run, tmp_path: Path):
    (tmp_path / "dummy.csv").write_bytes(CSV.encode() + b'"4" , odd\r\n')
    assert run(SQL, "--output", "o.csv", "--dummy-data-file", "dummy.csv").returncode == 0
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "dummy.csv").read_bytes()


@pytest.mark.parametrize("suffix", ["csv.gz", "parquet", "arrow"])
def test_the_file_is_converted_there_and_back(run: Run, tmp_path: Path, suffix: str):
    (tmp_path / "dummy.csv").write_text(CSV)
    assert run(SQL, "--output", f"o.{suffix}", "--dummy-data-file", "dummy.csv").returncode == 0
    assert run("SELECT * FROM t", "--output", "back.csv", "--dummy-data-file", f"o.{suffix}").returncode == 0
    assert (tmp_path / "back.csv").read_text() == CSV
    if suffix == "csv.gz":
        assert gzip.decompress((tmp_path / "o.csv.gz").read_bytes()).decode() == CSV
    elif suffix == "parquet":
        assert pq.read_schema(tmp_path / "o.parquet").types == [pa.int64(), pa.string()]


def test_columns_are_checked_against_the_query_s(run: Run, tmp_path: Path):
    (tmp_path / "dummy.csv").write_text("ID,nmae\n1,x\n")
    done = run(SQL, "--output", "o.csv", "--dummy-data-file", "dummy.csv")
    assert done.returncode == 11
    assert "it lacks name; it also has nmae" in done.stderr
    (tmp_path / "dummy.csv").write_text("NAME,id\nx,1\n")
    assert run(SQL, "--output", "o.csv", "--dummy-data-file", "dummy.csv").returncode == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.csv", None),
        ("d.tsv", b"id\tname\n"),
        ("d.csv", b""),
        ("d.csv", b"id,name\n1,2,3\n"),
        ("d.csv.gz", b"id,name\n1,2\n"),
        ("d.csv.gz", gzip.compress(CSV.encode(), mtime=0)[:-9]),
        ("d.parquet", b"PAR1 not really"),
        ("d.arrow", b"ARROW1 not really"),
    ],
)
def test_a_bad_dummy_file(run: Run, tmp_path: Path, name: str, content: bytes | None):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = run(SQL, "--output", "o.csv", "--dummy-data-file", name)
    assert done.returncode == 11, done
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.csv").exists()


def test_with_a_database_the_dummy_file_is_not_looked_at(run: Run, duckdb_url: str, tmp_path: Path):
    env = {"DATABASE_URL": duckdb_url}
    done = run("SELECT id FROM t ORDER BY id", "--output", "o.csv", "--dummy-data-file", "absent.csv", env=env)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader((tmp_path / "o.csv").read_text().splitlines()))
    assert rows == [["id"], ["1"], ["2"], ["3"], ["4"], ["5"]]
    assert run(SQL, "--output", "o2.csv", "--dsn", "", env=env).returncode == 0  # an empty --dsn: no database
    assert (tmp_path / "o2.csv").read_text() == "id,name\n,\n"
