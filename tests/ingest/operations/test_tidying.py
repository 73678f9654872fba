"""Runs that bring little, again and again: tables stay a few files, and what a run costs does not grow."""

import json
import random
import shutil
from itertools import pairwise

import pytest
from deltalake import DeltaTable
from tests.support.ingest import Folder, deliver, ingest, quarantined, state_of, tables_of

from carrel.ingest.operations import compaction
from carrel.ingest.operations.compaction import LOOK_EVERY, MANY, crowded_groups
from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.operations.status import read_status
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.store import QUARANTINE, ActiveFile, active_files, open_storage, open_table, table_names
from carrel.ingest.store import plan as plans

RUNS = 60


def put(archives, number):
    """One more archive: each tenth a correction, each seventh one whose file cannot be read."""
    record = f"record-{number - 5 if number % 10 == 9 else number:03d}"
    deliver(archives, f"{number:03d}", record, {"a": number, "l": [number, number + 1]}, day=1 + number // 5)
    if number % 7 == 6:
        (archives / f"{number:03d}.zip").write_bytes(b"no zip %d" % number)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """(archives, warehouse, live files of each table after each run)"""
    folder = tmp_path_factory.mktemp("grown")
    archives, warehouse = folder / "archives", folder / "warehouse"
    archives.mkdir()
    files = []
    for number in range(RUNS):
        put(archives, number)
        ingest(warehouse, Folder(archives, (f"{number:03d}",)))
        files.append(live(warehouse))
    return archives, warehouse, files


def live(warehouse):
    storage = open_storage(str(warehouse))
    found = {name: open_table(storage, name) for name in [*table_names(storage), QUARANTINE]}
    return {name: active_files(table) for name, table in found.items() if table}


def test_live_files_stay_few_and_some_runs_merged_them(grown):
    _, _, files = grown
    most = {name: max(len(each[name]) for each in files if name in each) for name in files[-1]}
    assert set(most) == {"Anything_v1", "Anything_v1__l", QUARANTINE, *(name for name in most if "Metadata" in name)}
    assert max(most.values()) < MANY + 2 * LOOK_EVERY
    assert max(len(each) for each in files[-1].values()) < MANY + 2 * LOOK_EVERY


def test_what_many_runs_made_is_what_one_run_makes(grown, tmp_path):
    archives, warehouse, _ = grown
    ingest(tmp_path, Folder(archives))
    many, one = state_of(warehouse), state_of(tmp_path)
    assert many["tables"] == one["tables"]
    assert many["catalog"] == one["catalog"]
    assert quarantined(warehouse) == quarantined(tmp_path)
    assert reconcile(open_storage(str(warehouse)), Folder(archives).list()).is_sound


def test_merges_say_that_no_data_changed_and_every_version_can_be_read(grown):
    _, warehouse, _ = grown
    place = warehouse / "tables" / "Anything_v1"
    merges = 0
    for log in sorted((place / "_delta_log").glob("*.json")):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        changes = [each for line in lines for kind, each in line.items() if kind in ("add", "remove")]
        merges += bool(changes) and not any(each["dataChange"] for each in changes)
    assert merges >= RUNS // (MANY + LOOK_EVERY)
    current = DeltaTable(str(place))
    rows = [DeltaTable(str(place), version).to_pyarrow_table().num_rows for version in range(current.version() + 1)]
    assert all(after - before in (0, 1) for before, after in pairwise(rows))


def test_a_withdrawal_takes_the_rows_out_of_merged_files_too(grown, tmp_path):
    warehouse = tmp_path / "w"
    shutil.copytree(grown[1], warehouse)
    before = tables_of(warehouse)["Anything_v1"].num_rows
    proof = withdraw(str(warehouse), record_ids=["record-001"])
    assert proof.holding == ()
    assert tables_of(warehouse)["Anything_v1"].num_rows == before - 1


def test_a_year_of_runs_each_minute_keeps_few_files_and_spends_a_bounded_time():
    """10,000 archives a day: what each run adds is of any size, and files pack together well or badly."""
    rng = random.Random(7)
    small: list[ActiveFile] = []
    most = largest = written = brought = 0
    for run in range(365 * 1440):
        size = rng.choice((2_000, 20_000, 20_000, 90_000))
        brought += size
        small.append(ActiveFile(str(run), size, 7))
        if run % LOOK_EVERY:
            continue
        groups = crowded_groups(small)
        merged = {file.path for group in groups for file in group}
        spent = [sum(file.size for file in group) for group in groups]
        small = [file for file in small if file.path not in merged]
        small += [ActiveFile(f"{run}-{size}", int(size * rng.choice((0.4, 0.9))), 0) for size in spent]
        small = [file for file in small if file.size < 32_000_000]
        written, largest, most = written + sum(spent), max(largest, sum(spent)), max(most, len(small))
    assert most < 4 * MANY + 2 * LOOK_EVERY
    assert largest < 200_000_000
    assert written < 5 * brought


def test_partitions_are_kept_apart():
    files = [ActiveFile(f"{number}", 1_000, 1, (str(number % 2),)) for number in range(2 * MANY - 1)]
    (group,) = crowded_groups(files)
    assert {file.partition for file in group} == {("0",)}
    assert len(group) == MANY


def test_files_of_a_size_that_is_large_enough_are_left():
    assert crowded_groups([ActiveFile(str(number), 40_000_000, 1) for number in range(100)]) == []
    (group,) = crowded_groups([ActiveFile(str(number), 30_000_000, 1) for number in range(10)])
    assert len(group) == 3


@pytest.fixture
def crowd(tmp_path):
    """(archives, warehouse) one run before small files are merged."""
    archives, warehouse = tmp_path / "archives", tmp_path / "warehouse"
    archives.mkdir()
    number = 0
    while number < MANY or (number + 1) % LOOK_EVERY:
        put(archives, number)
        ingest(warehouse, Folder(archives, (f"{number:03d}",)))
        number += 1
    put(archives, number)
    return archives, warehouse


def test_what_was_merged_long_ago_is_deleted(crowd, monkeypatch):
    archives, warehouse = crowd
    monkeypatch.setattr(compaction, "KEEP_HOURS", 0)
    ingest(warehouse, Folder(archives))
    for name, files in live(warehouse).items():
        place = warehouse / (name if name == QUARANTINE else f"tables/{name}")
        if len(files) < MANY // 2:
            assert {path.name for path in place.glob("*.parquet")} == {file.path for file in files}
    assert len(list((warehouse / "tables" / "Anything_v1").glob("*.parquet"))) == 1


def test_the_status_is_that_of_the_run_that_took_archives(crowd):
    archives, warehouse = crowd
    report = ingest(warehouse, Folder(archives))
    status = read_status(open_storage(str(warehouse)))
    assert status.run == int(report.run_id.removeprefix("r")) + 1
    assert status.last_run["run_id"] == report.run_id


def test_a_merge_that_cannot_be_done_is_not_the_runs_fault(crowd, monkeypatch, caplog):
    archives, warehouse = crowd

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compaction, "_merge", full)
    report = ingest(warehouse, Folder(archives))
    assert sum(report.dispositions.values()) == 1
    assert "No space left" in caplog.text
    assert json.loads((warehouse / "_runs" / "state.json").read_text())["state"] == "abandoned"
    assert not list(warehouse.glob("_runs/*/scratch"))


def test_a_damaged_file_keeps_no_other_table_from_being_merged(crowd, caplog):
    archives, warehouse = crowd
    damaged = warehouse / "tables" / "Anything_v1" / live(warehouse)["Anything_v1"][0].path
    damaged.write_bytes(b"PAR1 and then nothing")
    put(archives, 40)
    report = ingest(warehouse, Folder(archives, ("040",)))
    assert report.run_id
    assert "small files of Anything_v1 were not merged" in caplog.text
    files = {name: len(each) for name, each in live(warehouse).items()}
    assert files["Anything_v1"] > MANY > MANY // 2 > files["Anything_v1__l"]


def test_folders_of_old_runs_go_and_proofs_of_withdrawals_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "KEPT_RUNS", 4)
    archives, warehouse = tmp_path / "archives", tmp_path / "warehouse"
    archives.mkdir()
    for number in range(12):
        put(archives, number)
        ingest(warehouse, Folder(archives, (f"{number:03d}",)))
        if number == 2:
            withdraw(str(warehouse), record_ids=["record-001"])
    runs = sorted(path.name for path in (warehouse / "_runs").iterdir() if path.is_dir())
    last = json.loads((warehouse / "_runs" / "state.json").read_text())["number"]
    assert runs == ["r00000004", *(f"r{number:08d}" for number in range(last - 3, last + 1))]
    assert "That was done before" in withdraw(str(warehouse), record_ids=["record-001"]).text()
