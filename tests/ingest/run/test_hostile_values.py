"""Whatever a value, key, name or reference in an archive is, the file it stands in is quarantined alone."""

import json
import os
import zipfile
from pathlib import Path

import pytest
from tests.support.ingest import MAPPING, Folder, deliver, ingest, quarantine_of, raw_json_of, tables_of

from carrel.ingest.operations.export import export_bridge
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import IngestOptions
from carrel.ingest.sources import source_of
from carrel.synthetic.shapes import ANYTHING, TASK_DATA

ABOUT = {
    "recordid": "bad", "assessmentid": "any", "assessmentrevision": "1", "appid": "mobile-toolbox",
    "healthcode": "of bad", "uploadedon": "2024-01-01T00:00:00.000Z",
}  # fmt: skip
TOLD = [{"filename": "anything.json", "jsonSchema": ANYTHING}]
IGNORING = f"{MAPPING}ignored: {{metadata.json: it says where the others belong}}\n"
HALF = "\ud83d"
OVERFLOWING = ["1e400", "-1e400", "1" * 400, "Infinity", "NaN"]


def put(folder, about=ABOUT, told=TOLD, files=(("anything.json", '{"a": 1}'),), name="bad"):
    """An archive; `about` and `files` may hold what json.dumps spells and no text can."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(about if isinstance(about, str) else json.dumps(about))
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
        made.writestr("metadata.json", json.dumps({"files": told}))
        for path, text in files:
            made.writestr(path, text)


def taken_beside_good_ones(folder, warehouse, options=None):
    """[(archive, file, stage, keyword)] of what was quarantined; the good archives around it were taken."""
    for name in ("a good one", "z good one"):
        deliver(folder, name, name, {"a": 2})
    report = ingest(warehouse, source_of(str(folder)), mapping=IGNORING, options=options)
    assert report.failures == []
    records = tables_of(warehouse)["Anything_v1"].column("recordid").to_pylist()
    assert {"a good one", "z good one"} <= set(records)
    for row in quarantine_of(warehouse):
        assert row["message"]
    return [
        (Path(row["archive_uri"]).stem, row["source_file"], row["stage"], row["keyword"])
        for row in quarantine_of(warehouse)
    ]


@pytest.mark.parametrize("key", [*ABOUT, "clientinfo", "anything", f"half {HALF}"])
def test_half_a_character_in_metadata(tmp_path, key):
    put(tmp_path / "a", {**ABOUT, key: f"x{HALF}"})
    assert taken_beside_good_ones(tmp_path / "a", tmp_path / "w") == [("bad", None, "metadata", "encoding")]
    (row,) = quarantine_of(tmp_path / "w")
    assert row["recordid"] == (None if key == "recordid" else "bad")


@pytest.mark.parametrize("key", [*ABOUT, "anything"])
@pytest.mark.parametrize("number", OVERFLOWING)
def test_a_number_that_is_none_in_metadata(tmp_path, key, number):
    about = json.dumps({**ABOUT, key: "HERE"}).replace('"HERE"', number)
    put(tmp_path / "a", about)
    found = taken_beside_good_ones(tmp_path / "a", tmp_path / "w")
    ((name, file, stage, keyword),) = found
    assert (name, file, stage) == ("bad", None, "metadata")
    assert keyword in ("number", "format")


@pytest.mark.parametrize("told", [HALF, f"https://e.org/{HALF}", f"{ANYTHING}#{HALF}", "https://e.org/" + "x" * 3000])
def test_a_reference_to_a_schema_that_is_none(tmp_path, told):
    put(tmp_path / "a", told=[{"filename": "anything.json", "jsonSchema": told}])
    assert taken_beside_good_ones(tmp_path / "a", tmp_path / "w") == [("bad", "anything.json", "schema", "reference")]


def test_half_a_character_elsewhere_in_metadata_json_leaves_its_references_as_they_are(tmp_path):
    put(tmp_path / "a", told=[{"filename": HALF, "jsonSchema": ANYTHING}, *TOLD])
    assert taken_beside_good_ones(tmp_path / "a", tmp_path / "w") == []


VALUES = [
    f'{{"a": "{HALF}"}}'.encode("ascii", "backslashreplace").decode(),
    r'{"\ud83d": 1}',
    r'{"b": [{"c": {"\udc00": null}}]}',
    r'["\ud83d"]',
    *(f'{{"a": {number}}}' for number in OVERFLOWING),
    *(f"[[{number}]]" for number in OVERFLOWING),
]


@pytest.mark.parametrize("text", VALUES)
@pytest.mark.parametrize("options", [IngestOptions(), IngestOptions(stream_from=1), IngestOptions(raw_json=True)])
def test_a_value_that_is_none(tmp_path, text, options):
    put(tmp_path / "a", files=[("anything.json", text)])
    ((name, file, stage, keyword),) = taken_beside_good_ones(tmp_path / "a", tmp_path / "w", options)
    assert (name, file, stage) == ("bad", "anything.json", "json")
    assert keyword in ("encoding", "number", "nan")


@pytest.mark.parametrize("text", [r'{"taskName": "\ud83d", "steps": []}', r'{"\ud83d": 1}', '{"taskName": 1e400}'])
def test_a_value_that_is_none_in_a_file_that_is_validated(tmp_path, text):
    told = [{"filename": "taskData.json", "jsonSchema": TASK_DATA}]
    put(tmp_path / "a", told=told, files=[("taskData.json", text)])
    ((_, file, stage, _),) = taken_beside_good_ones(tmp_path / "a", tmp_path / "w")
    assert (file, stage) == ("taskData.json", "json")


def test_an_entry_without_a_name(tmp_path):
    put(tmp_path / "a", files=[("anything.json", '{"a": 1}'), (zipfile.ZipInfo(""), "zz"), ("///", "")])
    assert taken_beside_good_ones(tmp_path / "a", tmp_path / "w") == [("bad", "", "archive", "path")]


def test_a_file_whose_name_is_no_text_is_taken_by_its_escaped_name(tmp_path):
    put(tmp_path / "a")
    for suffix in ("zip", "json"):
        (tmp_path / "a" / f"bad.{suffix}").rename(os.fsdecode(os.fsencode(tmp_path / "a") + b"/b\xff%20.") + suffix)
    assert taken_beside_good_ones(tmp_path / "a", tmp_path / "w") == []
    rows = tables_of(tmp_path / "w")["Anything_v1"].to_pylist()
    assert [row["_archive_uri"].rpartition("/")[2] for row in rows if row["recordid"] == "bad"] == ["b%FF%2520.zip"]


LONG = "睡眠の質に関する毎日の質問票と運動機能検査の第三版改訂案"
NAMES = [
    LONG,
    "x" * 500,
    "\U0001f600" * 500,
    "..",
    ".",
    "/etc",
    "a/../b",
    "a\\b",
    "%2E",
    "con",
    "a.",
    " a ",
    "a=b",
    "é",
    "e\u0301",
]


@pytest.mark.parametrize("key", ["assessmentid", "recordid"])
def test_names_that_become_folders_never_keep_a_decided_run_from_being_carried_out(tmp_path, key):
    for number, name in enumerate(NAMES):
        about = {**ABOUT, "recordid": f"r{number}", key: name, "healthcode": f"of {number}"}
        put(
            tmp_path / "a",
            about,
            files=[("anything.json", '{"a": 1, "/": [{"é/\U0001f600": [2]}]}')],
            name=f"n{number}",
        )
    partitioned = f"{IGNORING}datasets: {{Anything_v1: {{partition_by: [assessmentid]}}}}\n"
    warehouse, raw = str(tmp_path / "w"), IngestOptions(raw_json=True)
    report = ingest(warehouse, source_of(str(tmp_path / "a")), mapping=partitioned, options=raw)
    assert report.dispositions == {"ingested": len(NAMES)}
    assert sorted(tables_of(warehouse)["Anything_v1"].column(key).to_pylist()) == sorted(NAMES)
    assert report.raw_json["written"] == len(NAMES)
    assert len(raw_json_of(warehouse)) == len(NAMES)
    assert ingest(warehouse, source_of(str(tmp_path / "a")), mapping=partitioned, options=raw).run_id is None
    exported = list(export_bridge(warehouse, str(tmp_path / "e"), raw_json=True))
    assert [each.rows for each in exported if each.dataset] == [3 * len(NAMES)]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "e", "w"]
    assert all(each.is_relative_to(tmp_path) for each in tmp_path.rglob("*"))
    gone = withdraw(warehouse, record_ids=["r0" if key == "assessmentid" else LONG])
    assert gone
    assert len(raw_json_of(warehouse)) == len(NAMES) - 1


def test_a_fault_that_nobody_thought_of_is_its_files_alone(tmp_path, monkeypatch):
    """Whatever is raised while one file is worked on."""
    from carrel.ingest.schemas import Checker

    check = Checker.check

    def raising(self, value, *about):
        if value == {"secret": 1}:
            raise KeyError("a secret")
        return check(self, value, *about)

    monkeypatch.setattr(Checker, "check", raising)
    put(tmp_path / "a", files=[("anything.json", '{"secret": 1}')])
    assert taken_beside_good_ones(tmp_path / "a", tmp_path / "w") == [("bad", "anything.json", "archive", "unforeseen")]
    (row,) = quarantine_of(tmp_path / "w")
    assert "secret" not in row["message"]
    assert "KeyError" in row["message"]


def test_metadata_of_any_source_is_looked_at(tmp_path):
    """Not only sidecars that a folder reads: what S3, Synapse or a message says comes as it is."""
    deliver(tmp_path, "good", "good", {"a": 1})
    deliver(tmp_path, "bad", f"bad {HALF}", {"a": 1})
    report = ingest(tmp_path / "w", Folder(tmp_path), mapping=IGNORING)
    assert report.dispositions == {"ingested": 1, "unreadable": 1}
