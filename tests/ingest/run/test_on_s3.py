"""A warehouse on S3, over HTTP: every command, and a whole study held against the ground truth cell by cell."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from tests.support.ingest import (
    Folder,
    dispositions_of,
    expected,
    ingest,
    quarantined,
    state_of,
    tables_of,
)
from tests.support.ingest_tables import cells, of_truth
from tests.support.s3 import client, new_bucket, pass_time

from carrel.ingest.cli import ingest as ingest_command
from carrel.ingest.run import IngestOptions, processes
from carrel.ingest.store import WarehouseBusy, WarehouseLost, open_storage
from carrel.ingest.store.lock import Lease
from carrel.synthetic import FAULTS, Knobs, write

START = "from carrel.cli.main import main; main()"
KNOBS = Knobs(
    seed=4, records=30, faults=dict.fromkeys(FAULTS, 1), reexports=0.4, duplicates=0.3, odd_keys=0.5, nulls=0.3, hz=5
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder / "archives", write(KNOBS, folder)


@pytest.fixture
def warehouse(s3):
    return f"s3://{new_bucket(s3)}/my study/ünder way"


def test_a_study_by_worker_processes_is_as_the_truth_says(study, warehouse):
    archives, truth = study
    names = sorted(path.stem for path in archives.glob("*.zip"))
    later = {name for name in names if name.endswith(("-again", "-corrected"))} | set(names[-4:])
    source = Folder(archives, tuple(name for name in names if name not in later))
    ingest(warehouse, source, processes(2), IngestOptions(batch_archives=5))
    report = ingest(warehouse, Folder(archives), processes(2), IngestOptions(batch_archives=5))
    assert report.known == len(names) - len(later)
    assert cells(tables_of(warehouse)) == of_truth(truth["tables"])
    dispositions, lines = expected(truth)
    assert dispositions_of(warehouse) == dispositions
    assert quarantined(warehouse) == lines
    before = state_of(warehouse)
    again = ingest(warehouse, Folder(archives), processes(2))
    assert (again.run_id, again.known, again.exit_code) == (None, len(names), 0)
    assert state_of(warehouse) == before


def test_two_coordinators_do_not_work_at_once(study, warehouse):
    lease = Lease(open_storage(warehouse))
    lease.take()
    with pytest.raises(WarehouseBusy, match="another ingest holds s3://"):
        ingest(warehouse, Folder(study[0]))
    lease.release()
    assert ingest(warehouse, Folder(study[0])).run_id == "r00000001"


def test_a_warehouse_moves_between_a_folder_and_s3_by_copying(study, warehouse, s3, tmp_path):
    names = sorted(path.stem for path in study[0].glob("*.zip"))
    ingest(tmp_path / "before", Folder(study[0], tuple(names[:12])))
    copied(tmp_path / "before", open_storage(warehouse))
    ingest(warehouse, Folder(study[0], tuple(names[:24])))
    assert ingest(warehouse, Folder(study[0], tuple(names[:24]))).run_id is None
    storage = open_storage(warehouse)
    for key in storage.keys(""):
        path = tmp_path / "after" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read(key))
    ingest(tmp_path / "after", Folder(study[0]))
    for part in (names[:12], names[:24], names):
        ingest(tmp_path / "never moved", Folder(study[0], tuple(part)))
    assert state_of(tmp_path / "after") == state_of(tmp_path / "never moved")


def copied(folder, storage):
    for path in folder.rglob("*"):
        if path.is_file():
            storage.write(str(path.relative_to(folder)), path.read_bytes())


@pytest.fixture
def site(tmp_path, warehouse):
    """What somebody at a terminal has: archives in the same S3, and a warehouse there."""
    place = Site(tmp_path, warehouse)
    place.carrel("generate", str(tmp_path / "study"), "--records", "12", "--fault", "nan=1", "--hz", "2")
    place.carrel("schemas", "add", str(tmp_path / "study" / "schemas"))
    return place


class Site:
    def __init__(self, folder, warehouse):
        self.folder = folder
        self.warehouse = warehouse
        self.archives = str(folder / "study" / "archives")

    @property
    def environment(self):
        mapping = self.folder / "study" / "mapping.yaml"
        return {
            "CARREL_WAREHOUSE": self.warehouse,
            "CARREL_INGEST_SCHEMAS": str(self.folder / "schemas"),
            **({"CARREL_INGEST_MAPPING": str(mapping)} if mapping.exists() else {}),
        }

    def carrel(self, *words, code=0):
        done = CliRunner().invoke(ingest_command, words, env=self.environment)
        assert done.exit_code == code, done.output
        return done.stdout

    def apart(self, *words, code=0):
        """A process of its own, as the shell starts it; it must end as it says, and not by a signal."""
        command = [sys.executable, "-c", START, "ingest", *words]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *words, code=0):
        return json.loads(self.carrel(*words, "--json", code=code))


def test_every_command_works_on_a_warehouse_on_s3(site, s3, tmp_path):
    report = json.loads(site.apart("run", site.archives, "--workers", "2", "--json", code=3))
    assert report["dispositions"]["partial"] == 1
    assert json.loads(site.apart("run", site.archives, "--json"))["known"] == 12
    assert site.json("status")["state"] == "done"
    counts = {each["name"]: each["rows"] for each in site.json("tables")}
    assert counts["ArchiveMetadata_v1"] == 12
    told = site.apart("sql", "SELECT count(*), count(DISTINCT recordid) FROM ArchiveMetadata_v1", "--csv")
    assert told.splitlines()[1] == "12,12"
    (line,) = site.json("quarantine", "list")
    assert "json/nan" in site.carrel("quarantine", "show", line["id"])
    assert "Everything is accounted for" in site.carrel("reconcile", site.archives)
    site.carrel("replay", site.archives, "--workers", "0", code=3)
    assert site.json("status")["quarantined"] == 1
    site.carrel("export", str(tmp_path / "out"))
    assert list((tmp_path / "out").rglob("*.parquet"))
    assert "MotionRecord_v1_1" in site.carrel("archive", "MotionRecord_v1")
    assert "files became" in site.carrel("compact", "--vacuum-hours", "0")
    assert {each["name"]: each["rows"] for each in site.json("tables")} == counts
    assert "Everything is accounted for" in site.carrel("reconcile", site.archives)
    proof = site.carrel("withdraw", "--healthcode", "participant-0001", "--yes")
    assert "no file of the warehouse holds" in proof
    assert nowhere(s3, site.warehouse, "participant-0001")
    assert site.json("run", site.archives)["run_id"] is None
    assert "Everything is accounted for" in site.carrel("reconcile", site.archives)


def nowhere(s3, warehouse, code):
    """By boto3 alone: neither in a name nor, as it is, in the bytes of any object."""
    found = client(s3)
    bucket = warehouse.split("/")[2]
    keys = [each["Key"] for each in found.list_objects_v2(Bucket=bucket)["Contents"]]
    bodies = (found.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys)
    return not any(code.encode() in body for body in bodies) and not any(code in key for key in keys)


@pytest.mark.parametrize(
    ("warehouse", "said"),
    [
        ("s3://no-such-bucket-anywhere/w", "does not exist"),
        ("s3://bucket/a%20b", "cannot be in a warehouse's prefix"),
        ("gs://bucket/w", "a folder or s3://bucket/prefix"),
    ],
)
def test_a_place_that_is_none_is_a_sentence(s3, tmp_path, warehouse, said):
    for words in (["status"], ["tables"], ["sql", "SELECT 1"], ["reconcile", str(tmp_path)], ["compact"]):
        done = CliRunner().invoke(ingest_command, words, env={"CARREL_WAREHOUSE": warehouse})
        assert isinstance(done.exception, SystemExit)
        assert done.exit_code == 1
        assert said in done.stderr


@dataclass(frozen=True)
class Overtaken(Folder):
    """While its second archive is read, another ingest takes the warehouse over, runs and ends."""

    warehouse: str = ""

    @contextmanager
    def open(self, ref):
        with super().open(ref) as fetched:
            storage = open_storage(self.warehouse)
            if len(list(storage.keys("_runs/r00000002/"))) == 0 and ref.uri.startswith("folder:000001"):
                pass_time(storage)
                ingest(self.warehouse, Folder(self.path))
            yield fetched


def test_a_run_that_was_taken_over_ends_and_leaves_nothing(study, warehouse, tmp_path):
    with pytest.raises(WarehouseLost, match="another ingest took over"):
        ingest(warehouse, Overtaken(study[0], warehouse=warehouse), options=IngestOptions(batch_archives=1))
    storage = open_storage(warehouse)
    assert not [key for key in storage.keys("") if "r00000001" in key and key.endswith(".parquet")]
    ingest(tmp_path, Folder(study[0]))
    assert state_of(warehouse) == state_of(tmp_path)
    assert ingest(warehouse, Folder(study[0])).run_id is None
