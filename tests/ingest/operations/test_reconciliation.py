"""Reconciliation: a reason for each archive that is not simply in the tables, and tables that somebody changed."""

import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from deltalake import DeltaTable, write_deltalake
from tests.support.ingest import MAPPING, Folder, expected, ingest, schemas, state_of

from carrel.ingest.operations.compaction import compact
from carrel.ingest.operations.ingestion import run
from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import Setting, inline
from carrel.ingest.sources import Unavailable
from carrel.ingest.store import open_storage
from carrel.synthetic import FAULTS, Knobs, write
from carrel.warehouse.layout import STATE

KNOBS = Knobs(
    seed=3,
    records=60,
    participants=8,
    hz=2,
    seconds=1,
    reexports=0.2,
    duplicates=0.1,
    faults=dict.fromkeys(FAULTS, 1),
)


@dataclass(frozen=True)
class Flaky(Folder):
    """A folder of which some archives cannot be fetched."""

    broken: frozenset[str] = frozenset()

    @contextmanager
    def open(self, ref):
        if name_of(ref.uri) in self.broken:
            raise Unavailable(f"{ref.uri} does not answer")
        with super().open(ref) as fetched:
            yield fetched


def name_of(uri):
    return uri.removeprefix("folder:").removesuffix(".zip")


def told(warehouse, archives):
    return reconcile(open_storage(str(warehouse)), list(Folder(archives).list()))


def kinds(found):
    return sorted({each.kind for each in found.findings})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Every fault, taken in one run but for two archives that did not answer."""
    place = tmp_path_factory.mktemp("whole")
    truth = write(KNOBS, place / "study")
    archives = place / "study" / "archives"
    good = [name for name, each in sorted(truth["archives"].items()) if each["disposition"] == "ingested"]
    alone = [name for name in good if not _has_relatives(name, truth)]
    ingest(place / "warehouse", Flaky(archives, broken=frozenset(alone[:2])))
    return place, truth, alone


def _has_relatives(name, truth):
    record = truth["archives"][name]["recordid"]
    return sum(each["recordid"] == record for each in truth["archives"].values()) > 1


@pytest.fixture
def study(whole, tmp_path):
    place, truth, alone = whole
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    return tmp_path / "study" / "archives", tmp_path / "warehouse", truth, alone


def test_each_archive_of_the_source_has_its_reason(study):
    archives, warehouse, truth, alone = study
    dispositions, quarantined = expected(truth)
    failed, rewritten, late, gone = alone[:2], alone[2], alone[3], alone[4]
    people = {path.stem: json.loads(path.read_text())["healthcode"] for path in archives.glob("*.json")}
    busy = {people[name] for name in (*failed, rewritten, late, gone)}
    person = next(each for each in sorted(people.values()) if each not in busy)
    withdraw(str(warehouse), healthcodes=[person])
    about = json.loads((archives / f"{rewritten}.json").read_text())
    (archives / f"{rewritten}.json").write_text(json.dumps({**about, "exportedon": "2031-01-01T00:00:00.000Z"}))
    for ending in ("zip", "json"):
        shutil.copy(archives / f"{late}.{ending}", archives / f"later.{ending}")
        (archives / f"{gone}.{ending}").unlink()
    found = told(warehouse, archives)
    reasons = {}
    for each in found.findings:
        reasons[name_of(each.archive_uri), each.kind] = each.why
    withdrawn = {name for name, each in people.items() if each == person}
    for name in [*failed, rewritten, "later"]:
        assert "`carrel ingest run` takes it" in reasons.pop((name, "waiting"))
    assert "does not list it" in reasons.pop((gone, "gone"))
    for name in withdrawn:
        reasons.pop((name, "withdrawn"))
    for name, disposition in dispositions.items():
        if name in withdrawn or disposition in ("ingested", "unchanged"):
            continue
        why = reasons.pop((name, disposition))
        for source_file, stage, keyword in quarantined.get(name, ()):
            assert f"({stage}/{keyword}, quarantine " in why
            assert why.count(source_file or "the archive")
        if disposition == "superseded":
            assert "later export" in why
        if disposition == "empty":
            assert "no file of it is mapped to a dataset: " in why
    assert reasons == {}, "no other archive needs an explanation"


def test_why_an_archive_waits(study):
    archives, warehouse, _, alone = study
    about = json.loads((archives / f"{alone[2]}.json").read_text())
    (archives / f"{alone[2]}.json").write_text(json.dumps({**about, "exportedon": "2031-01-01T00:00:00.000Z"}))
    shutil.copy(archives / f"{alone[3]}.zip", archives / "later.zip")
    shutil.copy(archives / f"{alone[3]}.json", archives / "later.json")
    waiting = {
        name_of(each.archive_uri): each.why for each in told(warehouse, archives).findings if each.kind == "waiting"
    }
    assert {name: why.partition(":")[0] for name, why in waiting.items()} == {
        alone[0]: "could not be fetched by run r00000001",
        alone[1]: "could not be fetched by run r00000001",
        alone[2]: "was rewritten at the source since it was taken",
        "later": "was never looked at",
    }
    ingest(warehouse, Folder(archives))
    assert told(warehouse, archives).is_sound


def test_rows_are_held_to_the_ledger_in_every_table(study):
    archives, warehouse, truth, _ = study
    ingest(warehouse, Folder(archives))
    found = told(warehouse, archives)
    rows = {name: len(table["rows"]) for name, table in truth["tables"].items() if table["rows"]}
    assert {name: counts for name, counts in found.tables.items() if counts != (0, 0)} == {
        name: (count, count) for name, count in rows.items()
    }
    assert found.is_sound


@pytest.fixture
def full(study):
    archives, warehouse, _, _ = study
    ingest(warehouse, Folder(archives))
    return archives, warehouse


def replay_all(warehouse, archives):
    return run(
        Setting(
            warehouse=str(warehouse),
            source=Folder(archives),
            schemas=schemas(MAPPING),
            pool=inline(),
            replay=lambda ref: True,
        )
    )


@pytest.mark.parametrize("table", ["MotionRecord_v1", "sharedSchema_v1__steps"])
def test_rows_that_somebody_deleted_are_missed_and_come_back(full, table):
    archives, warehouse = full
    before = state_of(warehouse)
    delta = DeltaTable(str(warehouse / "tables" / table))
    record = delta.to_pyarrow_table(columns=["recordid"]).column(0)[0].as_py()
    had = delta.to_pyarrow_table(columns=["recordid"]).column(0).to_pylist().count(record)
    delta.delete(f"recordid = '{record}'")
    found = told(warehouse, archives)
    assert not found.is_sound
    (finding,) = [each for each in found.findings if each.kind.startswith("rows")]
    assert (finding.kind, finding.record_id) == ("rows_missing", record)
    assert finding.why == f"{table} has 0 of its rows, the ledger says {had}"
    wanted, have = found.tables[table]
    assert wanted - have == had
    replay_all(warehouse, archives)
    assert told(warehouse, archives).is_sound
    assert state_of(warehouse)["tables"] == before["tables"]


def test_a_table_that_others_wrote_to_can_be_compacted_and_withdrawn_from(full):
    archives, warehouse = full
    path = str(warehouse / "tables" / "MotionRecord_v1")
    records = sorted(set(DeltaTable(path).to_pyarrow_table(columns=["recordid"]).column(0).to_pylist()))
    DeltaTable(path).delete(f"recordid = '{records[0]}'")
    about = {each["recordid"]: each["healthcode"] for each in map(json.loads, map(_text, archives.glob("*.json")))}
    proof = withdraw(str(warehouse), healthcodes=[about[records[1]]])
    assert proof.rows > 0
    # deltalake writes bounds of record ids into the table's log; the proof says so, and Carrel does not write any.
    assert {path.rpartition("/")[0] for path in proof.holding} <= {"tables/MotionRecord_v1/_delta_log"}
    compact(str(warehouse))
    left = set(DeltaTable(path).to_pyarrow_table(columns=["recordid"]).column(0).to_pylist())
    assert left == {each for each in records[1:] if about[each] != about[records[1]]}


def _text(path):
    return path.read_text()


def test_rows_that_somebody_added_are_seen(full):
    archives, warehouse = full
    before = state_of(warehouse)
    path = str(warehouse / "tables" / "WeatherResult_v1")
    write_deltalake(path, DeltaTable(path).to_pyarrow_table().slice(0, 1), mode="append")
    found = told(warehouse, archives)
    (finding,) = [each for each in found.findings if each.kind.startswith("rows")]
    assert (finding.kind, finding.why) == ("rows_extra", "WeatherResult_v1 has 2 of its rows, the ledger says 1")
    assert not found.is_sound
    replay_all(warehouse, archives)
    assert told(warehouse, archives).is_sound
    assert state_of(warehouse)["tables"] == before["tables"]


def test_a_table_that_somebody_deleted_is_missed_and_comes_back(full):
    archives, warehouse = full
    before = state_of(warehouse)
    shutil.rmtree(warehouse / "tables" / "WeatherResult_v1")
    found = told(warehouse, archives)
    assert "rows_missing" in kinds(found)
    wanted, have = found.tables["WeatherResult_v1"]
    assert wanted > have == 0
    replay_all(warehouse, archives)
    assert told(warehouse, archives).is_sound
    assert state_of(warehouse)["tables"] == before["tables"]


@pytest.mark.parametrize("harm", ["deleted", "cut off"])
def test_a_file_that_somebody_harmed_is_named(full, harm):
    archives, warehouse = full
    table = warehouse / "tables" / "MotionRecord_v1"
    file = table / sorted(DeltaTable(str(table)).file_uris())[0].rpartition("/")[2]
    if harm == "deleted":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-20])
    found = told(warehouse, archives)
    (damage,) = [each for each in found.findings if each.kind == "damaged"]
    assert file.name in damage.why
    assert "restore it from a backup" in damage.why
    missing = {each.record_id for each in found.findings if each.kind == "rows_missing"}
    assert missing, "the records whose rows are lost are named"
    assert not found.is_sound


def test_a_log_that_cannot_be_read_is_damage(full):
    archives, warehouse = full
    for path in (warehouse / "tables" / "MotionRecord_v1" / "_delta_log").iterdir():
        path.write_text("{")
    found = told(warehouse, archives)
    assert "table MotionRecord_v1: its log cannot be read" in next(e.why for e in found.findings if e.kind == "damaged")


def test_quarantine_lines_that_somebody_deleted_are_not_explained_away(full):
    archives, warehouse = full
    held = [each for each in told(warehouse, archives).findings if each.kind == "partial"]
    name = re.search("quarantine ([0-9a-f]{16})", held[0].why)[1]
    DeltaTable(str(warehouse / "_quarantine")).delete(f"id = '{name}'")
    found = told(warehouse, archives)
    (finding,) = [each for each in found.findings if each.kind == "unexplained"]
    assert (finding.archive_uri, found.is_sound) == (held[0].archive_uri, False)
    replay_all(warehouse, archives)
    assert told(warehouse, archives).is_sound


def test_a_run_that_is_open_is_said(full):
    archives, warehouse = full
    assert told(warehouse, archives).open_run is None
    storage = open_storage(str(warehouse))
    state = json.loads(storage.read(STATE))
    storage.write(STATE, json.dumps({**state, "state": "open"}).encode())
    assert told(warehouse, archives).open_run == f"r{state['number']:08d}"


def test_nothing_was_taken_yet(tmp_path):
    write(replace(KNOBS, records=2, faults={}), tmp_path)
    found = told(tmp_path / "warehouse", tmp_path / "archives")
    assert kinds(found) == ["waiting"]
    assert not (tmp_path / "warehouse").exists(), "looking changes nothing"
