"""A key twice in one object: the last value is taken, as readers of JSON do, and never in silence."""

import json
import zipfile

import pytest
from tests.support.ingest import MAPPING, Folder, deliver, ingest, quarantine_of, tables_of

from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.run import IngestOptions
from carrel.ingest.run.report import Report
from carrel.ingest.sources.folder import FolderSource
from carrel.ingest.store import open_storage
from carrel.ingest.store.ledger import Ledger


def deliver_text(folder, name, text):
    """As `deliver`, with the text of anything.json."""
    deliver(folder, name, name, {})
    with zipfile.ZipFile(folder / f"{name}.zip") as old:
        told = old.read("metadata.json")
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
        made.writestr("metadata.json", told)
        made.writestr("anything.json", text)


@pytest.fixture
def archives(tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    deliver(folder, "plain", "plain", {"a": 1, "o": {"b": ":"}})
    deliver_text(folder, "twice", '{"a":1,"o":{"b":"x","b":"SECRET"}}')
    return folder


def repeated(warehouse):
    lines = Ledger(open_storage(str(warehouse))).lines()
    return {line.entry.record_id: line.entry.repeated_keys for line in lines if line.entry.repeated_keys}


def of_data(warehouse):
    """(stage, keyword) of what is in quarantine, metadata.json of the archives aside."""
    return [(row["stage"], row["keyword"]) for row in quarantine_of(warehouse) if row["source_file"] != "metadata.json"]


def test_it_is_taken_and_told(archives, tmp_path):
    report = ingest(tmp_path / "w", Folder(archives))
    rows = {row["recordid"]: row["o_b"] for row in tables_of(tmp_path / "w")["Anything_v1"].to_pylist()}
    assert rows == {"plain": ":", "twice": "SECRET"}
    assert repeated(tmp_path / "w") == {"twice": ("anything.json#/o/b",)}
    assert report.repeated_keys == 1
    assert set(report.quarantined) == {"schema/required"}  # metadata.json of these archives
    assert "A key stands more than once in one object of 1 file: the last value was taken" in report.text()
    assert b"carrel_ingest_repeated_keys 1" in report.metrics(0.0)
    assert b"SECRET" not in report.to_json()
    assert b"o/b" not in report.to_json()
    assert Report.from_json(report.to_stored_json()).repeated_keys == 1


def test_reconcile_says_where(archives, tmp_path):
    ingest(tmp_path / "w", Folder(archives))
    found = reconcile(open_storage(str(tmp_path / "w")), Folder(archives).list())
    told = [(each.record_id, each.why.partition(": ")[0]) for each in found.findings if each.kind == "repeated_key"]
    assert told == [("twice", "anything.json#/o/b")]
    assert found.is_sound


def test_a_long_array_is_told_once_with_its_place(archives, tmp_path):
    elements = [f'{{"a":{number},"pad":"{"x" * 1_000}"}}' for number in range(5_000)]
    elements[4_321] = '{"a":1,"a":2}'
    elements[4_999] = '{"a":1,"a":2}'
    deliver_text(archives, "long", f"[{','.join(elements)}]")
    report = ingest(tmp_path / "w", Folder(archives), options=IngestOptions(stream_from=1_000_000))
    assert repeated(tmp_path / "w")["long"] == ("anything.json#/4321/a",)
    assert report.repeated_keys == 2


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ('{"a":1,"a":{' + ",".join(f'"k{number}":1' for number in range(40)) + "}}", "{max_columns: 9}"),
        ('{"a":"x","a":"y"}', "{policy: freeze}"),
        ('{"a":"x","a":"y"}', "{policy: quarantine}"),
    ],
)
def test_of_a_file_that_is_not_taken_quarantine_speaks_alone(archives, tmp_path, text, mapping):
    chosen = f"{MAPPING}datasets: {{Anything_v1: {mapping}}}\n"
    ingest(tmp_path / "w", Folder(archives, ("plain",)), mapping=chosen)
    deliver_text(archives, "bad", text)
    report = ingest(tmp_path / "w", Folder(archives, ("plain", "bad")), mapping=chosen)
    assert [stage for stage, _ in of_data(tmp_path / "w")] == ["types"]
    assert (report.repeated_keys, repeated(tmp_path / "w")) == (0, {})


def test_a_sidecar_that_names_two_records_is_nobodys(archives, tmp_path):
    about = json.loads((archives / "twice.json").read_text())
    (archives / "twice.json").write_text(json.dumps(about)[:-1] + ', "recordid": "other"}')
    ingest(tmp_path / "w", FolderSource(str(archives)))
    assert tables_of(tmp_path / "w")["Anything_v1"].column("recordid").to_pylist() == ["plain"]
    assert of_data(tmp_path / "w") == [("metadata", "sidecar")]
