"""Whatever an archive is, it is its own fault alone: the good one beside it is taken, and the run ends by itself."""

import io
import json
import os
import struct
import zipfile
from pathlib import Path

import pytest
from tests.support.ingest import MAPPING, ingest, ledger_of, quarantine_of, tables_of

from carrel.ingest.sources import source_of
from carrel.synthetic import zips
from carrel.synthetic.shapes import ANYTHING
from carrel.units.limits import MAX_ARCHIVE_BYTES

TOLD = json.dumps({"files": [{"filename": "anything.json", "jsonSchema": ANYTHING}]}).encode()
GOOD = [("metadata.json", TOLD), ("anything.json", b'{"a": 1}')]
METADATA_IGNORED = f"{MAPPING}ignored: {{metadata.json: it says where anything.json belongs}}\n"
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + b"\0" * 60


def about(record):
    return {
        "recordid": record, "assessmentid": "any", "assessmentrevision": "1", "appid": "mobile-toolbox",
        "healthcode": f"of {record}", "uploadedon": "2024-01-01T00:00:00.000Z",
    }  # fmt: skip


def put(folder, name, data, record=None, sidecar=".json"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (0, 0))  # what has just been written and is no whole zip would be left for later
    if record:
        path.with_suffix(sidecar).write_text(json.dumps(about(record)))


def with_metadata_inside(record, folder=""):
    inside = json.dumps({**about(record), **json.loads(TOLD)}).encode()
    return zips.archive([(f"{folder}metadata.json", inside), (f"{folder}anything.json", b'{"a": 1}')])


def take(folder, warehouse, pattern=""):
    return ingest(warehouse, source_of(str(folder / pattern)), mapping=METADATA_IGNORED)


def rows_of(warehouse):
    return sorted(tables_of(warehouse)["Anything_v1"].column("recordid").to_pylist())


def outcome(warehouse):
    """archive name -> (disposition, [(file, keyword)])"""
    told = {Path(line[0]).name: (line[3], []) for line in ledger_of(warehouse)}
    for row in quarantine_of(warehouse):
        told[Path(row["archive_uri"]).name][1].append((row["source_file"], row["keyword"]))
    return told


def test_archives_of_all_shapes_are_taken_alike(tmp_path):
    folder, warehouse = tmp_path / "a", tmp_path / "w"
    put(folder, "PLAIN.ZIP", zips.archive(GOOD), "plain", ".JSON")
    put(folder, "wrapped.zip", zips.archive([(f"wrapped/{path}", data) for path, data in GOOD]), "wrapped")
    beside = [("__MACOSX/._anything.json", APPLE_DOUBLE), (".DS_Store", b"Bud1"), ("r/._metadata.json", APPLE_DOUBLE)]
    put(folder, "mac.zip", zips.archive([*[(f"r/{path}", data) for path, data in GOOD], *beside]), "mac")
    put(folder, "inside.Zip", with_metadata_inside("inside"))
    put(folder, "both.zip", with_metadata_inside("both", "study/both/"))
    put(folder, "._mac.zip", APPLE_DOUBLE)
    put(folder, "__MACOSX/._wrapped.zip", APPLE_DOUBLE)
    report = take(folder, warehouse)
    assert report.dispositions == {"ingested": 5}
    assert rows_of(warehouse) == ["both", "inside", "mac", "plain", "wrapped"]
    (skipped,) = {line[7] for line in ledger_of(warehouse) if line[0].endswith("mac.zip")}
    assert set(skipped) >= {path for path, _ in beside}


def test_what_a_mac_left_in_a_bucket_is_no_record_and_no_fault(tmp_path):
    """There, and in Synapse, archives may have any name, so that the bytes tell."""
    folder, warehouse = tmp_path / "a", tmp_path / "w"
    put(folder, "anything-at-all", APPLE_DOUBLE)
    put(folder, "store", b"\0\0\0\x01Bud1" + b"\0" * 50)
    put(folder, "good", with_metadata_inside("good"))
    assert take(folder, warehouse, "*").dispositions == {"empty": 2, "ingested": 1}
    assert quarantine_of(warehouse) == []
    assert take(folder, warehouse, "*").run_id is None


def changed(data, at, value):
    made = bytearray(data)
    start = data.index(b"PK\x01\x02") + at
    made[start : start + len(value)] = value
    return bytes(made)


def stored(entries, method):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as opened:
        for path, data in entries:
            opened.writestr(path, data)
    return made.getvalue()


def of_many_entries():
    names = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, *[0] * 7, 6, *[0] * 6) + b"a.json" for _ in range(10**5)
    )
    return names + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 10**5 % 65536, 10**5 % 65536, len(names), 0, 0)


HOSTILE = {
    "garbage": (b"\xff\x00 no zip at all", "zip"),
    "empty": (b"", "zip"),
    "truncated": (zips.truncate(zips.archive(GOOD)), "zip"),
    "encrypted": (zips.mark_encrypted(zips.archive(GOOD)), "encrypted"),
    "bomb": (zips.bomb("anything.json"), "bomb"),
    "many": (of_many_entries(), "too_many_entries"),
    "more than a thousand": (zips.archive([(f"{number}.json", b"{}") for number in range(1_001)]), "too_many_entries"),
    "false utf-8": (zips.archive([("é.json", b"{}")]).replace("é".encode(), b"\xff\xfe"), "path"),
    "wrong size": (changed(zips.archive([("anything.json", b'{"a": 1}')]), 24, struct.pack("<L", 4 * 10**9)), "bomb"),
}
"""name -> (an archive that is refused whole, why)"""
FILES = {
    "climbs": ("../anything.json", "path"),
    "absolute": ("/anything.json", "path"),
    "backslash": ("..\\anything.json", "path"),
    "escape": ("\x1b[2Jx.json", "path"),
    "long": ("x" * 65_000, "path"),
}
"""name -> (a path beside a good file, why it is refused)"""


def test_each_hostile_archive_is_quarantined_alone(tmp_path):
    folder, warehouse = tmp_path / "a", tmp_path / "w"
    for name, (data, _) in HOSTILE.items():
        put(folder, f"{name}.zip", data, name)
    for name, (path, _) in FILES.items():
        put(folder, f"{name}.zip", zips.archive([*GOOD, (path, b"{}")]), name)
    put(folder, "method.zip", stored(GOOD, zipfile.ZIP_BZIP2), "method")
    put(folder, "twice.zip", zips.archive([*GOOD, ("b.json", b"1"), ("b.json", b"2")]), "twice")
    put(folder, "nested.zip", zips.archive([*GOOD, ("more.zip", zips.archive(GOOD))]), "nested")
    put(folder, "good.zip", zips.archive(GOOD), "good")
    report = take(folder, warehouse)
    assert report.failures == []
    told = outcome(warehouse)
    expected = {f"{name.replace(' ', '%20')}.zip": ("unreadable", [(None, why)]) for name, (_, why) in HOSTILE.items()}
    assert {name: told[name] for name in expected} == expected
    for name, (_, why) in FILES.items():
        disposition, ((shown, keyword),) = told[f"{name}.zip"]
        assert (disposition, keyword) == ("partial", why)
        assert len(shown) < 300
        assert shown.isprintable()
    assert told["method.zip"] == ("quarantined", [("anything.json", "method"), ("metadata.json", "method")])
    assert told["twice.zip"] == ("partial", [("b.json", "duplicate_name")])
    assert told["nested.zip"] == told["good.zip"] == ("ingested", [])
    assert rows_of(warehouse) == sorted([*FILES, "good", "nested", "twice"])


@pytest.mark.parametrize("inside", [False, True])
def test_an_archive_without_end_is_not_fetched(inside, tmp_path):
    folder, warehouse = tmp_path / "a", tmp_path / "w"
    put(folder, "good.zip", zips.archive(GOOD), "good")
    put(folder, "huge.zip", b"", None if inside else "huge")
    with (folder / "huge.zip").open("r+b") as file:
        file.truncate(MAX_ARCHIVE_BYTES + 22)
        file.seek(MAX_ARCHIVE_BYTES)
        file.write(zips.archive([])[-22:])
    os.utime(folder / "huge.zip", (0, 0))
    take(folder, warehouse)
    assert outcome(warehouse) == {"good.zip": ("ingested", []), "huge.zip": ("unreadable", [(None, "too_large")])}
