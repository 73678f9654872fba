"""Withdrawals: nothing of who withdrew is left in any file, now or when their archives come again."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.ingest import Folder, ingest, quarantined, tables_of
from tests.support.ingest_tables import cells, of_truth

from carrel.ingest.commit import open_storage
from carrel.ingest.engine.copying import copy_dataset
from carrel.ingest.engine.reconciling import reconcile
from carrel.ingest.engine.withdrawing import withdraw
from carrel.ingest.generate import Knobs, write

KNOBS = Knobs(seed=8, records=20, participants=4, hz=2, seconds=1, faults={"nan": 3, "truncated_zip": 2}, reexports=0.3)


@pytest.fixture
def study(tmp_path):
    truth = write(KNOBS, tmp_path / "study")
    ingest(tmp_path / "warehouse", Folder(tmp_path / "study" / "archives"))
    return tmp_path / "study" / "archives", tmp_path / "warehouse", truth


def metadata(archives):
    return {path.stem: json.loads(path.read_text()) for path in archives.glob("*.json")}


def test_a_participant_leaves_every_file(study):
    archives, warehouse, truth = study
    about = metadata(archives)
    person = about[next(name for name in sorted(about) if truth["archives"][name]["disposition"] == "unreadable")]
    gone = {each["recordid"] for each in about.values() if each["healthcode"] == person["healthcode"]}
    copy_dataset(str(warehouse), "MotionRecord_v1")
    proof = withdraw(str(warehouse), healthcodes=[person["healthcode"]])
    assert (proof.holding, proof.records) == ((), len(gone))
    assert proof.rows > 0
    for code in [person["healthcode"], *gone]:
        assert not found_in(warehouse, code)
    for table in truth["tables"].values():
        table["rows"] = [row for row in table["rows"] if row["recordid"] not in gone]
    left = {name: table for name, table in of_truth(truth["tables"]).items() if table["rows"]}
    got = cells(tables_of(warehouse))
    assert {name: table["rows"] for name, table in got.items()} == {name: table["rows"] for name, table in left.items()}


def found_in(warehouse, code):
    """By other means than the proof's: every column of every file as text."""
    hits = []
    for path in warehouse.rglob("*"):
        if path.suffix == ".parquet":
            rows = pq.read_table(path)
            texts = "\n".join(str(column.to_pylist()) for column in rows.columns)
            hits += [path] if code in texts else []
        elif path.is_file() and code.encode() in path.read_bytes():
            hits.append(path)
    return hits


def test_archives_of_who_withdrew_are_never_taken_again(study, tmp_path):
    archives, warehouse, _ = study
    about = metadata(archives)
    name, person = sorted(about.items())[0]
    withdraw(str(warehouse), record_ids=[person["recordid"]])
    assert ingest(warehouse, Folder(archives)).run_id is None
    again = json.dumps({**person, "exportedon": "2030-01-01T00:00:00.000Z"})
    (archives / f"{name}.json").write_text(again)
    report = ingest(warehouse, Folder(archives))
    assert report.dispositions == {"withdrawn": 1}
    assert not found_in(warehouse, person["recordid"])
    assert reconcile(open_storage(str(warehouse)), Folder(archives).list()).is_sound


def test_a_proof_that_fails_says_where(study):
    archives, warehouse, _ = study
    person = next(iter(metadata(archives).values()))
    (warehouse / "notes.txt").write_text(f"call {person['healthcode']}")
    stray = pa.table({"who": [person["healthcode"]]})
    pq.write_table(stray, warehouse / "stray.parquet")
    proof = withdraw(str(warehouse), healthcodes=[person["healthcode"]])
    assert set(proof.holding) == {"notes.txt", "stray.parquet"}
    assert "STILL FOUND" in proof.text()


def test_somebody_unknown_can_withdraw_beforehand(study, tmp_path):
    archives, _, _ = study
    about = metadata(archives)
    code = next(iter(about.values()))["healthcode"]
    warehouse = tmp_path / "other"
    assert withdraw(str(warehouse), healthcodes=[code]).holding == ()
    report = ingest(warehouse, Folder(archives))
    hers = [name for name, each in about.items() if each["healthcode"] == code]
    assert report.dispositions["withdrawn"] == len(hers)
    assert not set(hers) & set(quarantined(warehouse))
