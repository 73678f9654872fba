"""A budget for columns: what would explode a table is quarantined, names the map, and stops nobody else."""

import json
import random
import resource

import pytest
from tests.support.ingest import MAPPING, Folder, deliver, dispositions_of, ingest, quarantine_of, state_of, tables_of

from carrel.ingest.run import IngestOptions
from carrel.ingest.tables.names import AFTER, BEFORE
from carrel.units.limits import MAX_COLUMNS, MAX_TABLES

MOST = 30
TIGHT = f"{MAPPING}datasets: {{Anything_v1: {{max_columns: {MOST}}}}}\n"


def columns(warehouse, table="Anything_v1"):
    return {name for name in tables_of(warehouse)[table].column_names if name not in (*BEFORE, *AFTER)}


def faults(warehouse):
    """archive name -> (keyword, pointer) of what is in quarantine of it, metadata aside"""
    return {
        row["archive_uri"].removeprefix("folder:").removesuffix(".zip"): (row["keyword"], row["pointer"])
        for row in quarantine_of(warehouse)
        if row["source_file"] == "anything.json"
    }


@pytest.fixture
def study(tmp_path):
    """Plain files; some whose object is a map, each below the budget and together far above; one that is alone."""
    archives = tmp_path / "archives"
    archives.mkdir()
    rng = random.Random(5)
    for number in range(12):
        deliver(archives, f"plain{number:02d}", f"p{number}", {"a": number, "b": {"c": "x"}, "l": [{"n": number}]})
    for number in range(12):
        days = {f"day{rng.randrange(10**9)}": {"steps": number, "calories": 1} for _ in range(9)}
        deliver(archives, f"map{number:02d}", f"m{number}", {"a": number, "b": {"days": days}})
    deliver(archives, "huge", "h", {"a": 1, "b": {"by-id": {f"k{number}": 1 for number in range(MOST + 5)}}})
    return archives


def test_the_explosion_is_quarantined_and_nothing_else(study, tmp_path):
    report = ingest(tmp_path / "w", Folder(study), mapping=TIGHT)
    assert report.failures == []
    found = faults(tmp_path / "w")
    assert found.pop("huge") == ("too_many_keys", "/b/by-id")
    taken = {name for name in (f"map{number:02d}" for number in range(12)) if name not in found}
    assert set(found) == {f"map{number:02d}" for number in range(12)} - taken
    assert set(found.values()) == {("too_many_columns", "/b/days")}
    assert len(taken) == 1
    records = set(tables_of(tmp_path / "w")["Anything_v1"].column("recordid").to_pylist())
    assert records == {*(f"p{number}" for number in range(12)), *(f"m{int(name[3:])}" for name in taken)}
    assert len(columns(tmp_path / "w")) <= MOST
    assert "Anything_v1" not in {name for name in (line for line in faults(tmp_path / "w")) if "plain" in name}


@pytest.mark.parametrize("batch", [1, 3, 25])
@pytest.mark.parametrize("seed", [1, 2])
def test_neither_order_nor_batches_nor_flushes_decide(study, tmp_path, batch, seed):
    names = sorted(path.stem for path in study.glob("*.zip"))
    ingest(tmp_path / "one", Folder(study), mapping=TIGHT)
    random.Random(seed).shuffle(names)
    options = IngestOptions(batch_archives=batch, flush_bytes=[50, 2_000, 10**7][seed])
    ingest(tmp_path / "other", Folder(study, tuple(names)), options=options, mapping=TIGHT)
    assert state_of(tmp_path / "other") == state_of(tmp_path / "one")


def test_later_runs_take_what_brings_no_more_columns_than_are_left(study, tmp_path):
    warehouse = tmp_path / "w"
    ingest(warehouse, Folder(study), mapping=TIGHT)
    before = columns(warehouse)
    deliver(study, "later", "later", {"a": 99, "b": {"c": "y"}})
    deliver(study, "more", "more", {"a": 1, "b": {"days": {f"new{number}": 1 for number in range(MOST - 5)}}})
    report = ingest(warehouse, Folder(study), mapping=TIGHT)
    assert sum(report.dispositions.values()) == 2
    assert faults(warehouse)["more"] == ("too_many_columns", "/b/days")
    assert "later" not in faults(warehouse)
    assert columns(warehouse) == before
    assert ingest(warehouse, Folder(study), mapping=TIGHT).run_id is None


def test_the_mapping_can_allow_more_and_a_replay_takes_them(study, tmp_path):
    warehouse = tmp_path / "w"
    roomy = TIGHT.replace(f"max_columns: {MOST}", "max_columns: 1000")
    ingest(warehouse, Folder(study), mapping=roomy)
    assert faults(warehouse) == {}
    assert len(columns(warehouse)) > 200
    assert set(dispositions_of(warehouse).values()) == {dispositions_of(warehouse)["plain00"]}


@pytest.mark.parametrize("policy", ["variant", "quarantine", "freeze"])
def test_every_policy_has_the_budget(study, tmp_path, policy):
    mapping = TIGHT.replace("max_columns:", f"policy: {policy}, max_columns:")
    ingest(tmp_path / "w", Folder(study), mapping=mapping)
    assert len(columns(tmp_path / "w")) <= MOST
    assert not [name for name in faults(tmp_path / "w") if name.startswith("plain")]
    assert len([name for name in faults(tmp_path / "w") if name.startswith("map")]) == 11


def test_tables_below_the_root_have_the_budget_too(tmp_path):
    archives = tmp_path / "archives"
    archives.mkdir()
    for number in range(8):
        inner = {f"k{number}-{key}": key for key in range(9)}
        deliver(archives, f"{number}", f"r{number}", {"l": [{"n": 1, "m": inner}], "only": number})
    ingest(tmp_path / "w", Folder(archives), mapping=TIGHT)
    assert len(columns(tmp_path / "w", "Anything_v1__l")) <= MOST
    assert len(faults(tmp_path / "w")) == 5
    assert {keyword for keyword, _ in faults(tmp_path / "w").values()} == {"too_many_columns"}


def test_a_long_array_that_brings_new_keys_with_every_block_is_refused(tmp_path):
    archives = tmp_path / "archives"
    archives.mkdir()
    deliver(archives, "good", "good", [{"a": 1}])
    deliver(archives, "long", "long", [{"pad": "x" * 100_000, f"k{number}": 1} for number in range(60)])
    ingest(tmp_path / "w", Folder(archives), options=IngestOptions(stream_from=1_000_000), mapping=TIGHT)
    assert {name: each[0] for name, each in faults(tmp_path / "w").items()} == {"long": "too_many_keys"}
    assert tables_of(tmp_path / "w")["Anything_v1"].column("recordid").to_pylist() == ["good"]


def test_by_default_a_table_has_two_thousand_columns(tmp_path):
    archives = tmp_path / "archives"
    archives.mkdir()
    for number in range(6):
        deliver(archives, f"{number}", f"r{number}", {f"k{number}_{key}": key for key in range(900)})
    ingest(tmp_path / "w", Folder(archives))
    assert len(columns(tmp_path / "w")) <= MAX_COLUMNS
    assert len(faults(tmp_path / "w")) == 4
    catalog = json.loads((tmp_path / "w" / "catalog" / "Anything_v1.json").read_text())
    assert len(catalog["tables"]["Anything_v1"]["columns"]) == 1_800


FEW = 12
FEW_TABLES = f"{MAPPING}datasets: {{Anything_v1: {{max_tables: {FEW}}}}}\n"


@pytest.fixture
def arrays(tmp_path):
    """Plain files with one array; maps of arrays, each below the budget and together far above; one that is alone."""
    archives = tmp_path / "arrays"
    archives.mkdir()
    rng = random.Random(7)
    for number in range(10):
        deliver(archives, f"plain{number:02d}", f"p{number}", {"a": number, "l": [{"n": number}]})
    for number in range(10):
        days = {f"day{rng.randrange(10**9)}": [1, 2] for _ in range(6)}
        deliver(archives, f"map{number:02d}", f"m{number}", {"a": number, "b": {"days": days}})
    deliver(archives, "huge", "h", {"a": 1, "l": [{"by-id": {f"k{number}": [[1]] for number in range(FEW)}}]})
    return archives


def data_tables(warehouse):
    return {name for name in tables_of(warehouse) if name.startswith("Anything_v1")}


@pytest.mark.parametrize("batch", [1, 4, 25])
@pytest.mark.parametrize("policy", ["evolve", "variant", "quarantine", "freeze"])
def test_a_dataset_has_a_budget_for_tables(arrays, tmp_path, batch, policy):
    mapping = FEW_TABLES.replace("max_tables:", f"policy: {policy}, max_tables:")
    report = ingest(tmp_path / "w", Folder(arrays), options=IngestOptions(batch_archives=batch), mapping=mapping)
    assert report.failures == []
    found = faults(tmp_path / "w")
    assert found.pop("huge") == ("too_many_tables", "/by-id")
    assert set(found.values()) == {("too_many_tables", "/b/days")}
    assert len(found) == 9
    assert not [name for name in found if name.startswith("plain")]
    assert len(data_tables(tmp_path / "w")) <= FEW
    ingest(tmp_path / "whole", Folder(arrays), mapping=mapping)
    assert state_of(tmp_path / "w") == state_of(tmp_path / "whole")


def test_later_runs_open_no_more_tables_than_are_left(arrays, tmp_path):
    warehouse = tmp_path / "w"
    ingest(warehouse, Folder(arrays), mapping=FEW_TABLES)
    before = data_tables(warehouse)
    deliver(arrays, "later", "later", {"a": 99, "l": [{"n": 1}]})
    deliver(arrays, "more", "more", {"b": {"days": {f"new{number}": [1] for number in range(FEW - 3)}}})
    ingest(warehouse, Folder(arrays), mapping=FEW_TABLES)
    assert faults(warehouse)["more"] == ("too_many_tables", "/b/days")
    assert "later" not in faults(warehouse)
    assert data_tables(warehouse) == before


def test_a_long_array_that_opens_new_tables_with_every_block_is_refused(tmp_path):
    archives = tmp_path / "archives"
    archives.mkdir()
    deliver(archives, "good", "good", [{"a": 1}])
    deliver(archives, "long", "long", [{"pad": "x" * 100_000, f"k{number}": [1]} for number in range(60)])
    ingest(tmp_path / "w", Folder(archives), options=IngestOptions(stream_from=1_000_000), mapping=FEW_TABLES)
    assert {name: each[0] for name, each in faults(tmp_path / "w").items()} == {"long": "too_many_tables"}
    assert data_tables(tmp_path / "w") == {"Anything_v1"}


def test_maps_of_arrays_open_no_more_files_than_a_process_may(tmp_path):
    """Each archive is within the budget; together they would open 1,200 files at once."""
    archives = tmp_path / "archives"
    archives.mkdir()
    for number in range(3):
        deliver(archives, f"{number}", f"r{number}", {f"k{number}_{key}": [key] for key in range(400)})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1_024), hard))
    try:
        report = ingest(tmp_path / "w", Folder(archives))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert report.failures == []
    assert len(data_tables(tmp_path / "w")) == 401
    assert {keyword for keyword, _ in faults(tmp_path / "w").values()} == {"too_many_tables"}
    assert len(faults(tmp_path / "w")) == 2
    assert MAX_TABLES == 500
