"""The ledger's small files become one, so that a run's cost does not grow with the number of runs before it."""

import pyarrow as pa
import pytest
from tests.support.ingest import Folder, ingest, state_of

from carrel.ingest.store import LEDGER, active_files, open_storage, open_table
from carrel.ingest.store.ledger import SCHEMA, Ledger
from carrel.synthetic import Knobs, write

KNOBS = Knobs(seed=5, records=9, hz=1, seconds=1, reexports=0.4, duplicates=0.3)


@pytest.fixture
def study(tmp_path):
    write(KNOBS, tmp_path / "study")
    return tmp_path / "study" / "archives"


def _in_single_runs(warehouse, folder):
    for name in sorted(each.stem for each in folder.glob("*.zip")):
        ingest(warehouse, Folder(folder, (name,)))


def _ledger_files(warehouse):
    return active_files(open_table(open_storage(str(warehouse)), LEDGER))


def test_many_small_files_are_merged_and_no_line_is_lost(study, tmp_path, monkeypatch):
    _in_single_runs(tmp_path / "plain", study)
    monkeypatch.setattr("carrel.ingest.run.building._MANY", 3)
    _in_single_runs(tmp_path / "merged", study)

    assert len(_ledger_files(tmp_path / "plain")) == len(list(study.glob("*.zip")))
    assert len(_ledger_files(tmp_path / "merged")) <= 3
    assert state_of(tmp_path / "merged") == state_of(tmp_path / "plain")


def test_a_merged_file_is_in_the_order_that_lookups_are_pruned_by(study, tmp_path, monkeypatch):
    monkeypatch.setattr("carrel.ingest.run.building._MANY", 2)
    _in_single_runs(tmp_path, study)
    keys = [(line.record_key, line.archive_key) for line in Ledger(open_storage(str(tmp_path))).lines()]
    largest = max(_ledger_files(tmp_path), key=lambda file: file.rows).rows
    assert largest > 1
    assert any(keys[at : at + largest] == sorted(keys[at : at + largest]) for at in range(len(keys) - largest + 1))


def test_a_file_that_has_grown_large_is_left_alone(study, tmp_path, monkeypatch):
    monkeypatch.setattr("carrel.ingest.run.building._MANY", 2)
    monkeypatch.setattr("carrel.ingest.run.building._SMALL", 3)
    _in_single_runs(tmp_path, study)
    sizes = sorted(file.rows for file in _ledger_files(tmp_path))
    assert sum(sizes) == len(list(study.glob("*.zip")))
    assert sum(size < 3 for size in sizes) <= 2
    assert max(sizes) <= 4


def test_files_of_an_earlier_version_are_merged_with_those_of_this_one(study, tmp_path, monkeypatch):
    _in_single_runs(tmp_path / "plain", study)
    names = sorted(each.stem for each in study.glob("*.zip"))
    earlier = pa.schema([each for each in SCHEMA if each.name != "repeated_keys"])
    with monkeypatch.context() as then:
        then.setattr("carrel.ingest.store.ledger.lines.SCHEMA", earlier)
        for name in names[:-2]:
            ingest(tmp_path / "old", Folder(study, (name,)))
    monkeypatch.setattr("carrel.ingest.run.building._MANY", 3)
    for name in names[-2:]:
        ingest(tmp_path / "old", Folder(study, (name,)))

    assert len(_ledger_files(tmp_path / "old")) <= 3
    assert state_of(tmp_path / "old") == state_of(tmp_path / "plain")
    assert ingest(tmp_path / "old", Folder(study)).run_id is None
