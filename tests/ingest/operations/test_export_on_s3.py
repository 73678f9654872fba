"""Raw JSON and exports, where the warehouse, the export or both lie in a bucket."""

import json

import pyarrow.parquet as pq
import pytest
from tests.support.ingest import Folder, ingest, raw_json_of, state_of
from tests.support.ingest_archives import archive
from tests.support.raw_json_crash import MAPPED, WITHDRAWN, archives
from tests.support.s3 import new_bucket

from carrel.ingest.operations.export import FolderInUse, NoRawJson, export_bridge
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import IngestOptions
from carrel.ingest.store import open_storage
from carrel.telemetry import faults

RAW = IngestOptions(raw_json=True)


@pytest.fixture
def bucket(s3):
    return f"s3://{new_bucket(s3)}"


@pytest.fixture
def warehouse(bucket, tmp_path):
    archives(tmp_path / "archives")
    ingest(f"{bucket}/study", Folder(tmp_path / "archives"), options=RAW, mapping=MAPPED)
    return f"{bucket}/study"


def names(warehouse):
    return {key.rpartition("/")[2]: value for key, value in raw_json_of(warehouse).items()}


def test_raw_json_in_a_bucket_is_as_in_a_folder(warehouse, tmp_path):
    ingest(tmp_path / "local", Folder(tmp_path / "archives"), options=RAW, mapping=MAPPED)
    assert state_of(warehouse) == state_of(tmp_path / "local")
    assert set(names(warehouse)) == {
        "record-0.ndjson", "record-1.ndjson", "record-2.anything.json.ndjson", "record-2.left%2Fanything.json.ndjson",
    }  # fmt: skip
    value = {"anything.json": {"a": 30}}
    archive(tmp_path / "archives", "third", "record-0", value, 9, uploadedon="2024-03-11T00:00:00Z")
    assert ingest(warehouse, Folder(tmp_path / "archives"), mapping=MAPPED).raw_json == {"written": 1, "deleted": 1}
    assert names(warehouse)["record-0.ndjson"]["a"] == 30
    assert withdraw(warehouse, record_ids=[WITHDRAWN]).holding == ()
    assert set(names(warehouse)) == {"record-0.ndjson", "record-1.ndjson"}
    assert not [key for key in open_storage(warehouse).keys("_runs/") if "/raw/" in key]


def files_in(url):
    storage = open_storage(url)
    found = {}
    for key in storage.keys(""):
        with storage.open(key) as stream:
            found[key] = pq.read_table(stream).to_pylist() if key.endswith(".parquet") else stream.read()
    return found


def test_an_export_to_a_bucket_is_as_to_a_folder(warehouse, bucket, tmp_path):
    for place in (f"{bucket}/out", str(tmp_path / "out")):
        list(export_bridge(warehouse, place, raw_json=True))
    made = files_in(f"{bucket}/out")
    in_folder = files_in(str(tmp_path / "out"))
    assert in_folder.pop(".gitignore")  # no git looks into a bucket
    assert made == in_folder
    assert made["_SUCCESS"] == b""
    records = [json.loads(each) for key, each in made.items() if key.startswith("raw_json/")]
    assert len(records) == 4
    with pytest.raises(FolderInUse):
        list(export_bridge(warehouse, f"{bucket}/out"))


class _Killed(BaseException):
    """What ends the export here and now."""


def test_an_export_to_a_bucket_that_was_killed_is_not_finished(warehouse, bucket):
    def stop(name):
        if name == "ingest.export_finishing":
            raise _Killed

    faults.on_point(stop)
    try:
        with pytest.raises(_Killed):
            list(export_bridge(warehouse, f"{bucket}/out", raw_json=True))
    finally:
        faults.on_point(None)
    left = set(open_storage(f"{bucket}/out").keys(""))
    assert "_unfinished/_STARTED" in left
    assert "_SUCCESS" not in left
    withdraw(warehouse, record_ids=[WITHDRAWN])
    list(export_bridge(warehouse, f"{bucket}/out"))
    again = set(files_in(f"{bucket}/out"))
    assert "_SUCCESS" in again
    assert not [key for key in again if key.startswith(("_unfinished", "raw_json"))]


def test_raw_json_that_somebody_deleted_is_said(warehouse, bucket):
    storage = open_storage(warehouse)
    storage.delete(next(key for key in storage.keys("raw_json/") if key.endswith(".ndjson")))
    with pytest.raises(NoRawJson, match="somebody deleted it"):
        list(export_bridge(warehouse, f"{bucket}/out", raw_json=True))
