"""The command itself: arguments, equal bytes, kills, settings, databases it cannot speak to."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from tests.sqlrunner.conftest import Run
from tests.support.disks import small_disk

from carrel.sqlrunner.engines import Rows, engine_for, register
from carrel.sqlrunner.errors import DatabaseFault, UnfitValue
from carrel.sqlrunner.sqltypes import arrow_type, batches

SUFFIXES = ["csv", "csv.gz", "parquet", "arrow"]


@pytest.mark.parametrize("args", [[], ["--output"], ["--output", "o.txt"], ["--output", ".csv"], ["--nonsense"]])
def test_wrong_arguments_exit_with_2(run: Run, args: list[str]):
    assert run("SELECT 1 AS a", *args).returncode == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_rows_are_the_same_bytes(run: Run, duckdb_url: str, tmp_path: Path, suffix: str):
    for name in ("a", "b"):
        sql = "SELECT * FROM many ORDER BY id LIMIT 120000"
        assert run(sql, "--output", f"{name}.{suffix}", "--dsn", duckdb_url).returncode == 0
        time.sleep(0 if name == "b" else 1.1)  # so that a time in whole seconds, if one were written, would differ
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.parametrize("place", ["sqlrunner.batch:2", "sqlrunner.rename"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_killed_half_way_it_leaves_the_old_output(run: Run, duckdb_url: str, tmp_path: Path, suffix: str, place: str):
    output = tmp_path / f"o.{suffix}"
    output.write_text("the old one")
    args = ("SELECT * FROM many", "--output", output.name, "--dsn", duckdb_url)
    assert run(*args, env={"CARREL_FAULT": place}).returncode == -signal.SIGKILL
    assert output.read_text() == "the old one"
    assert [path.name for path in tmp_path.glob(f"*.{suffix}")] == [output.name]  # no pattern of outputs finds the rest
    assert run(*args).returncode == 0
    assert output.stat().st_size > 1_000_000


def test_an_output_that_cannot_be_written(run: Run, duckdb_url: str, tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = run("SELECT 1 AS a", "--output", "file/o.csv", "--dsn", duckdb_url)
    assert done.returncode == 5
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk(run: Run, duckdb_url: str, tmp_path: Path):
    small = tmp_path / "small"
    with small_disk(small, "2m"):
        done = run("SELECT * FROM many", "--output", "small/o.csv", "--dsn", duckdb_url)
        assert (done.returncode, "No space left" in done.stderr) == (5, True), done.stderr
        assert list(small.iterdir()) == []


def test_dissent_is_asked_for_only_where_set(run: Run, tmp_path: Path):
    asked = {"SQLRUNNER_REQUIRE_TYPE_ONE_DISSENT": "true"}
    done = run("SELECT a FROM t", "--output", "o.csv", env=asked)
    assert (done.returncode, "PatientsWithTypeOneDissent" in done.stderr) == (12, True)
    assert not (tmp_path / "o.csv").exists()
    sql = "SELECT a FROM t -- PatientsWithTypeOneDissent: not needed, the data is public"
    assert run(sql, "--output", "o.csv", env=asked).returncode == 0


@pytest.mark.parametrize("url", ["oracle://host/x", "nonsense", "duckdb", "://"])
def test_addresses_nobody_speaks(run: Run, url: str):
    done = run("SELECT 1 AS a", "--output", "o.csv", "--dsn", url)
    assert done.returncode == 5
    assert "duckdb, mssql, postgres" in done.stderr


@pytest.mark.parametrize(("scheme", "module"), [("mssql", "pymssql"), ("trino", "trino")])
def test_dialects_that_are_not_installed_say_so(run: Run, tmp_path: Path, scheme: str, module: str):
    (tmp_path / f"{module}.py").write_text("raise ModuleNotFoundError('not installed')")
    url = f"{scheme}://user:s3cret@localhost:1/x"
    done = run("SELECT 1 AS a", "--output", "o.csv", "--dsn", url, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 5, done
    assert f"install the extra carrel[{scheme}]" in done.stderr
    assert "s3cret" not in done.stderr


def test_a_new_kind_of_warehouse_is_one_registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "some_warehouse.py").write_text("def open_rows(url, sql, scratch):\n    return url\n")
    monkeypatch.syspath_prepend(tmp_path)
    register("some", "some_warehouse:open_rows")
    assert engine_for("some+driver://x")("some://x", "", tmp_path) == "some://x"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("int4", pa.int32()),
        ("BIGINT", pa.int64()),
        ("decimal(10, 2)", pa.decimal128(10, 2)),
        ("numeric(5)", pa.decimal128(5, 0)),
        ("numeric(60,4)", pa.decimal256(60, 4)),
        ("numeric(100,4)", pa.float64()),
        ("numeric", pa.float64()),
        ("varchar(10)", pa.string()),
        ("timestamp(3) with time zone", pa.timestamp("us", "UTC")),
        ("timestamp(6)", pa.timestamp("us")),
        ("time(6)", pa.time64("us")),
        ("datetime2(7)", pa.timestamp("us")),
        ("uniqueidentifier", pa.string()),
        ("text[]", pa.list_(pa.string())),
        ("", pa.string()),
    ],
)
def test_names_of_types(name: str, kind: pa.DataType):
    assert arrow_type(name) == kind


def test_a_value_that_does_not_fit_its_column():
    with pytest.raises(UnfitValue, match="Column 'a'"):
        list(batches(pa.schema([("a", pa.int16())]), [[(70_000,)]]))


def test_start_up_loads_no_driver_it_does_not_need(run: Run, tmp_path: Path):
    code = (
        "import sys; from carrel.sqlrunner.main import main; main(sys.argv[1:]);"
        "print(sorted(sys.modules.keys() & {'psycopg', 'sqlalchemy', 'duckdb', 'pyarrow.parquet', 'django'}))"
    )
    (tmp_path / "q.sql").write_text("SELECT 1 AS a")
    command = [sys.executable, "-c", code, "q.sql", "--output", "o.csv", "--dsn", "duckdb:///absent"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "['duckdb']"


def test_rows_are_a_schema_and_batches():
    rows = Rows(pa.schema([("a", pa.int64())]), iter([]))
    assert (rows.schema.names, list(rows.batches)) == (["a"], [])
    with pytest.raises(DatabaseFault):
        engine_for("unknown://x")
