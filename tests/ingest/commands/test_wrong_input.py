"""Whatever is wrong: a sentence with the place and the next step, the right exit code, no traceback, nothing secret."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import dask
import distributed  # noqa: F401  # before `config.set`, whose end takes away what is first loaded inside it
import pytest
from click.testing import CliRunner
from tests.support.disks import small_disk
from tests.support.waiting import until

from carrel.ingest.cli import ingest
from carrel.ingest.exits import EXIT_BUSY, EXIT_STOPPED
from carrel.ingest.store import coordinator_lock, open_storage

PROGRAM = Path(sys.executable).parent / "carrel"
SECRET = "participant-0001"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for words in (
        ["generate", "study", "--records", "8", "--hz", "2", "--fault", "nan=1"],
        ["schemas", "add", "study/schemas"],
        ["run", "study/archives", "--workers", "0"],
    ):
        done = carrel(folder, *words)
        assert done.returncode in (0, 3), done.stderr
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Archives that keep two workers busy for a while."""
    folder = tmp_path_factory.mktemp("large")
    done = carrel(folder, "generate", "study", "--records", "150", "--hz", "50", "--seconds", "5", "--seed", "9")
    assert done.returncode == 0, done.stderr
    return str(folder / "study" / "archives")


@pytest.fixture
def site(made, tmp_path):
    """A study with schemas and a warehouse, to be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "site"))


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str


def environment(folder, **more):
    found = {"HOME": str(folder), "CARREL_WAREHOUSE": "warehouse", "CARREL_INGEST_SCHEMAS": "schemas", **more}
    if (folder / "study" / "mapping.yaml").exists():
        found.setdefault("CARREL_INGEST_MAPPING", "study/mapping.yaml")
    return found


def carrel(folder, *words, **more):
    """In this process; what would be a traceback is raised."""
    with chdir(folder):
        done = CliRunner().invoke(ingest, words, env=environment(folder, **more))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"{words} would end in a traceback") from done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def program(folder, *words, **more):
    """As a process of its own."""
    whole = {**os.environ, **environment(folder, **more)}
    words = [PROGRAM, "ingest", *words]
    done = subprocess.run(words, cwd=folder, env=whole, capture_output=True, text=True, timeout=120, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def refused(done, code, *parts):
    """One sentence that has all `parts`."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    usage, found, error = done.stderr.partition("Error: ")
    assert found, done.stderr
    assert not usage or usage.startswith("Usage: "), usage
    for part in parts:
        assert part in error, error
    assert "Traceback" not in done.stderr + done.stdout
    assert SECRET not in done.stderr
    return error


WRITE = [["run", "study/archives"], ["replay", "study/archives"], ["compact"], ["archive", "MotionRecord_v1"]]
WITHDRAW = [["withdraw", "--record", "r", "--yes"]]
LOOK = [
    ["status"],
    ["reconcile", "study/archives"],
    ["tables"],
    ["tables", "MotionRecord_v1"],
    ["sql", "select 1"],
    ["quarantine", "list"],
    ["quarantine", "show", "0"],
    ["export", "out"],
]


@pytest.mark.parametrize("words", [*WRITE[1:], *WITHDRAW, *LOOK], ids=" ".join)
def test_no_warehouse_there(site, words):
    refused(carrel(site, *words, CARREL_WAREHOUSE="mistyped"), 1, "there is no warehouse in mistyped", "--warehouse")
    assert not (site / "mistyped").exists(), "and none was made"


@pytest.mark.parametrize("words", [*WRITE, *WITHDRAW, *LOOK], ids=" ".join)
def test_a_file_where_the_warehouse_should_be(site, words):
    (site / "file").write_text("")
    refused(carrel(site, *words, CARREL_WAREHOUSE="file"), 1, "file")


@pytest.mark.parametrize("words", [*WRITE, *WITHDRAW, *LOOK], ids=" ".join)
def test_a_warehouse_is_needed(site, words):
    refused(carrel(site, *words, CARREL_WAREHOUSE=None), 2, "--warehouse")


TAKING = [["run"], ["replay"], ["reconcile"], ["diff-schema", "https://example.org/schemas/taskData.json"]]


def with_source(words, source):
    return (
        [*words, "study/schemas/taskData.json", "--sample", source] if words[0] == "diff-schema" else [*words, source]
    )


@pytest.mark.parametrize("words", TAKING, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("nowhere", "there is no folder or file nowhere"),
        ("gs://bucket/prefix", "gs://bucket/prefix is no source; write a folder, a file, a glob, s3://bucket/prefix"),
        ("sqs:queue", "write sqs: and the queue's whole URL"),
        ("synapse:folder", "write synapse:syn123"),
        ("s3:bucket", "write s3://bucket/prefix"),
    ],
)
def test_a_source_that_is_none(site, words, source, part):
    if words[0] == "diff-schema":
        names = [path.name for path in (site / "study" / "schemas").iterdir()]
        assert "taskData.json" in names, names
    refused(carrel(site, *with_source(words, source)), 1, part)


@pytest.mark.parametrize("words", TAKING[1:], ids=lambda words: words[0])
def test_a_queue_where_everything_is_needed(site, words):
    done = carrel(site, *with_source(words, "sqs:https://sqs.us-east-1.amazonaws.com/1/q"))
    refused(done, 1, "a queue tells only of what is new", "s3://bucket/prefix")


def test_no_schema_store(site):
    for command in ("run", "replay"):
        refused(
            carrel(site, command, "study/archives", CARREL_INGEST_SCHEMAS="mistyped"),
            1,
            "there is no schema store in mistyped",
            "carrel ingest schemas add",
            "--schemas",
        )


def test_a_damaged_schema_store(site):
    document = next((site / "schemas" / "documents").iterdir())
    document.write_text("{}")
    refused(carrel(site, "run", "study/archives"), 1, document.name, "was changed", "add it again")
    (site / "schemas" / "index.json").write_text("{")
    for words in (["run", "study/archives"], ["check"], ["schemas", "list"]):
        refused(carrel(site, *words), 1, "index.json cannot be read", "pull again")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("schemas: [", ("line 1",)),
        ("schemas:\n  a: b\n c: d", ("line 3",)),
        ("schemas:\n  https://example.org/x: Motion", ("line 2",)),
        ("\nnonsense: 1", ("line 2", "nonsense")),
        ("datasets:\n  A_v1: {policy: evolv}", ("line 2", "policy")),
        ("just text", ("line 1",)),
    ],
)
@pytest.mark.parametrize("command", [["run", "study/archives"], ["check"]], ids=lambda words: words[0])
def test_a_mapping_that_is_none(site, text, parts, command):
    (site / "mapping.yaml").write_text(text)
    refused(carrel(site, *command, "--mapping", "mapping.yaml"), 1, "mapping.yaml: ", *parts)


def test_a_mapping_that_is_not_there(site):
    refused(carrel(site, "run", "study/archives", "--mapping", "gone.yaml"), 2, "gone.yaml", "does not exist")
    refused(carrel(site, "run", "study/archives", "--mapping", "study"), 2, "study", "is a directory")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{\n  3", ("line 2",)),
        ("[]", ("not a JSON Schema",)),
        ("{}", ("no absolute $id", "--url")),
        ("\xff", ("not JSON",)),
    ],
)
def test_a_schema_that_is_none(site, text, parts):
    (site / "new.json").write_text(text, encoding="latin-1")
    refused(carrel(site, "schemas", "add", "new.json"), 1, "new.json", *parts)
    if text != "{}":
        refused(carrel(site, "diff-schema", "https://example.org/schemas/taskData.json", "new.json"), 1, *parts)


def test_schemas_that_are_not_there(site):
    refused(carrel(site, "schemas", "add", "gone.json"), 2, "gone.json", "does not exist")
    refused(
        carrel(site, "diff-schema", "https://example.org/none.json", "study/schemas/taskData.json"), 1, "schemas list"
    )
    refused(carrel(site, "diff-schema", "https://example.org/none.json", "gone.json"), 2, "gone.json")
    refused(carrel(site, "schemas", "add", "--url", "x", "study/schemas/taskData.json"), 1, "--url must be a whole URL")
    (site / "mapping.yaml").write_text("archive_map: {url: gone.json, version: v1}\nextends: nothing")
    refused(carrel(site, "schemas", "pull", "--mapping", "mapping.yaml"), 1, "gone.json")
    (site / "mapping.yaml").write_text("extends: nothing")
    refused(carrel(site, "schemas", "pull", "--mapping", "mapping.yaml"), 1, "archive_map")


def test_names_that_nothing_has(site):
    refused(carrel(site, "tables", "NoSuch_v1"), 1, "there is no table NoSuch_v1", "carrel ingest tables")
    refused(carrel(site, "tables", "MotionRecord_v1", "--version", "99"), 1, "99")
    refused(carrel(site, "archive", "NoSuch_v1"), 1, "there is no dataset NoSuch_v1")
    refused(carrel(site, "export", "out", "--dataset", "NoSuch_v1"), 1, "NoSuch_v1")
    refused(carrel(site, "quarantine", "show", "0"), 1, "quarantine has no line 0")
    refused(carrel(site, "replay", "study/archives", "--id", "0"), 1, "quarantine has no line 0")
    refused(carrel(site, "withdraw", "--healthcode", "", "--yes"), 2, "empty")
    refused(carrel(site, "withdraw", "--yes"), 2, "--healthcode")
    refused(carrel(site, "generate", "more", "--fault", "nonsense=1"), 2, "nonsense", "nan")
    refused(carrel(site, "generate", "more", "--shape", "task=x"), 2, "NAME=NUMBER")
    refused(carrel(site, "generate", "more", "--records", "2", "--fault", "nan=5"), 1, "5")


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("selec 1", "syntax error"),
        ("select * from NoSuch_v1", "NoSuch_v1 does not exist"),
        ("", "the query is empty"),
        ("create table x as select 1", "CREATE is not a query"),
        ("insert into MotionRecord_v1 select * from MotionRecord_v1", "INSERT is not a query"),
        ("delete from MotionRecord_v1", "DELETE is not a query"),
        ("drop table ledger", "DROP is not a query"),
        ("copy (select 1) to 'stolen.csv'", "COPY is not a query"),
        ("select 1; attach 'x.db'", "ATTACH is not a query"),
    ],
)
def test_sql_that_is_wrong_or_writes(site, query, part):
    before = sorted(path.name for path in site.iterdir())
    refused(carrel(site, "sql", query), 1, part)
    assert sorted(path.name for path in site.iterdir()) == before


def test_a_warehouse_that_is_busy(site):
    with coordinator_lock(open_storage(str(site / "warehouse"))):
        for words in [*WRITE, *WITHDRAW]:
            refused(carrel(site, *words), EXIT_BUSY, "another ingest works on", "try again")


def test_a_folder_to_export_into_that_is_not_empty(site):
    refused(carrel(site, "export", "study"), 1, "study is not empty")
    refused(carrel(site, "export", "study/mapping.yaml"), 1, "study/mapping.yaml")


def test_metrics_that_cannot_be_written(site):
    refused(carrel(site, "run", "study/archives", "--metrics", "gone/m.prom"), 2, "there is no folder gone")
    refused(carrel(site, "run", "study/archives", "--metrics", "study"), 2, "study", "is a directory")


def test_no_scheduler_there(site):
    (site / "study" / "archives" / "new.zip").write_bytes(b"")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        done = carrel(site, "run", "study/archives", "--scheduler", "tcp://127.0.0.1:1")
    refused(done, 1, "tcp://127.0.0.1:1")


@pytest.mark.parametrize("missing", ["deltalake", "duckdb", "orjson", "jsonschema_rs", "boto3"])
def test_a_library_that_is_not_installed(site, missing):
    """Each of them, by the command that needs it first."""
    needs = {"duckdb": ["sql", "select 1"], "boto3": ["run", "s3://bucket/prefix"]}
    words = needs.get(missing, ["run", "study/archives"])
    code = f"import sys; sys.modules[{missing!r}] = None; from carrel.ingest.cli import ingest; ingest({words!r})"
    variables = {**os.environ, **environment(site)}
    (site / "study" / "archives" / "new.zip").write_bytes(b"PK")
    os.utime(site / "study" / "archives" / "new.zip", (1, 1))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=site, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    refused(Done(done.returncode, done.stdout, done.stderr), 1, missing, "pip install '.[ingest]'")


def test_options_that_are_none(site):
    refused(carrel(site, "run", "study/archives", "--workers", "-1"), 2, "--workers")
    refused(carrel(site, "run"), 2, "SOURCE")
    refused(carrel(site, "nonsense"), 2, "nonsense")
    refused(carrel(site, "watch", "study/archives", "--every", "soon"), 2, "--every")
    refused(carrel(site, "watch", "study/archives", "--every", "0"), 2, "--every")
    refused(carrel(site, "compact", "--target-mb", "0"), 2, "--target-mb")
    refused(carrel(site, "compact", "--vacuum-hours", "-1"), 2, "--vacuum-hours")
    refused(carrel(site, "run", "study/archives", "--reject", "all"), 2, "--reject")


def test_a_warehouse_that_somebody_damaged(site):
    log = site / "warehouse" / "_ledger" / "_delta_log"
    for path in log.glob("*.json"):
        path.write_text(json.dumps({"secret": SECRET}))
    for words in (["run", "study/archives"], ["status"], ["reconcile", "study/archives"], *WITHDRAW):
        refused(carrel(site, *words), 1)


def test_a_data_file_that_is_gone(site):
    own = {"CARREL_WAREHOUSE": "own"}
    carrel(site, "run", "study/archives", "--workers", "0", **own)
    for path in (site / "own" / "tables" / "MotionRecord_v1").glob("*.parquet"):
        path.unlink()
    refused(carrel(site, "sql", "select count(x) from MotionRecord_v1", **own), 1)
    refused(carrel(site, "replay", "study/archives", "--all", **own), 1, "reconcile")
    refused(carrel(site, "withdraw", "--yes", "--healthcode", SECRET, **own), 1)
    told = carrel(site, "reconcile", "study/archives", **own)
    assert told.returncode == 3
    assert "A withdrawal is not finished" not in told.stderr  # what it would remove could not be counted: not begun
    assert "damaged: the warehouse: table MotionRecord_v1" in told.stdout
    assert "restore them from a backup" in told.stdout


@pytest.fixture
def disk(tmp_path):
    """A disk that takes next to nothing, for the warehouse."""
    with small_disk(tmp_path / "disk", "600k") as made:
        yield made


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_disk_that_is_full(site, disk, workers, large):
    archives = large if workers == "2" else "study/archives"
    where = {"CARREL_WAREHOUSE": str(disk.path / "warehouse")}
    disk.change("size=200k" if workers == "0" else "size=900k")
    done = program(site, "run", archives, "--workers", workers, **where)
    refused(done, 1, "the disk is full", "make room")
    disk.change("size=60m")
    assert carrel(site, "run", archives, "--workers", "0", **where).returncode in (0, 3)
    assert "Everything is accounted for." in carrel(site, "reconcile", archives, **where).stdout


def test_a_disk_that_can_only_be_read(site, disk):
    where = {"CARREL_WAREHOUSE": str(disk.path / "warehouse")}
    carrel(site, "run", "study/archives", "--workers", "0", **where)
    (site / "study" / "archives" / "new.zip").write_bytes(b"")
    os.utime(site / "study" / "archives" / "new.zip", (1, 1))
    disk.change("ro")
    for words in [*WRITE, *WITHDRAW]:
        refused(carrel(site, *words, **where), 1, "can only be read")
    assert carrel(site, "status", **where).returncode == 0
    assert carrel(site, "sql", "select 1", **where).returncode == 0
    assert "new.zip: was never looked at" in carrel(site, "reconcile", "study/archives", **where).stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_ctrl_c_during_a_run(site, workers, large):
    """As a terminal does it: to every process of the group."""
    where = {**os.environ, **environment(site, CARREL_WAREHOUSE="fresh")}
    process = subprocess.Popen(
        [PROGRAM, "ingest", "run", large, "--workers", workers],
        cwd=site,
        env=where,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: list((site / "fresh" / "_runs").glob("*/scratch/*")), "a worker to write", 60)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (EXIT_STOPPED, ""), error
    assert error == "Stopped. Nothing is lost: the next run finishes or undoes what was begun.\n"
    again = carrel(site, "run", large, "--workers", "0", "--json", CARREL_WAREHOUSE="fresh")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["dispositions"]["ingested"] == 150
    assert "Everything is accounted for." in carrel(site, "reconcile", large, CARREL_WAREHOUSE="fresh").stdout


@pytest.mark.parametrize("text", [None, "datasets: [", "nope: 1\n"])
def test_a_mapping_that_cannot_be_read_keeps_no_status_back(site, text):
    """Only the count that needs it is missing, and says so."""
    if text is not None:
        (site / "bad.yaml").write_text(text)
    for words in (["status"], ["reconcile", "study/archives"]):
        done = carrel(site, *words, "--json", CARREL_INGEST_MAPPING="bad.yaml")
        good = carrel(site, *words, "--json")
        assert done.returncode == good.returncode
        assert json.loads(done.stdout) == json.loads(good.stdout) | {"unmapped_files": None}
        assert done.stderr.startswith("Files of no dataset: not counted, as the mapping cannot be read (bad.yaml")
