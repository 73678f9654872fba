"""`carrel ingest export`: the whole of a warehouse, or nothing that looks like it."""

import json
import signal

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.support.forked import Forker
from tests.support.ingest import Folder, ingest, raw_json_of, tables_of

from carrel.ingest.cli import ingest as command
from carrel.ingest.operations.export import FolderInUse, NoRawJson, NoSuchDataset, export_bridge
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import IngestOptions
from carrel.ingest.store import WarehouseBusy, coordinator_lock, open_storage
from carrel.ingest.tables import read_bridge
from carrel.ingest.tables.spilled_partitions import Bounds
from carrel.synthetic import Knobs, write

KNOBS = Knobs(seed=12, records=25, hz=3, seconds=1, odd_keys=0.4, reexports=0.3, faults={"nan": 2})


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write(KNOBS, folder)
    return folder / "archives"


@pytest.fixture
def warehouse(archives, tmp_path):
    names = sorted(path.stem for path in archives.glob("*.zip"))
    ingest(tmp_path / "warehouse", Folder(archives, tuple(names[::2])), options=IngestOptions(raw_json=True))
    ingest(tmp_path / "warehouse", Folder(archives))
    return tmp_path / "warehouse"


def export(warehouse, folder, **more):
    return list(export_bridge(str(warehouse), str(folder), **more))


def holds_everything(folder, warehouse):
    """Every row of every table, with its cells under the contract's names."""
    for name, rows in tables_of(warehouse).items():
        if "__" in name:
            continue
        read = read_bridge(str(folder / "parquet"), f"dataset_{name.lower()}")
        assert sorted(read["recordid"].to_pylist()) == sorted(rows["recordid"].to_pylist())
        places = {(row["recordid"], row["year"], row["month"], row["day"]) for row in read.to_pylist()}
        dates = zip(*(rows[column].to_pylist() for column in ("recordid", "year", "month", "day")), strict=True)
        assert places == {(record, *map(str, date)) for record, *date in dates}
    motion = tables_of(warehouse)["MotionRecord_v1"]
    read = read_bridge(str(folder / "parquet"), "dataset_motionrecord_v1")
    columns = ["recordid", "timestamp", "sensorType", "x", "y", "z"]
    assert sorted(map(str, read.select(columns).to_pylist())) == sorted(map(str, motion.select(columns).to_pylist()))
    return True


def left_in(folder):
    """All but the .gitignore, which keeps the export out of somebody's repository."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".gitignore")


@pytest.mark.parametrize("bounds", [Bounds(), Bounds(2_000, 3)], ids=["at once", "little by little"])
def test_an_export_holds_everything_and_is_finished(warehouse, tmp_path, bounds):
    done = export(warehouse, tmp_path / "out", raw_json=True, bounds=bounds)
    assert holds_everything(tmp_path / "out", warehouse)
    assert left_in(tmp_path / "out") == ["_SUCCESS", "parquet", "raw_json"]
    copied = {path: json.loads(path.read_text()) for path in (tmp_path / "out" / "raw_json").rglob("*.ndjson")}
    assert {str(path.relative_to(tmp_path / "out" / "raw_json")): each for path, each in copied.items()} == raw_json_of(
        warehouse
    )
    assert sum(each.files for each in done) == len(list((tmp_path / "out").rglob("*.parquet"))) + len(copied)


def test_every_partition_is_one_file(warehouse, tmp_path):
    export(warehouse, tmp_path / "out")
    folders = [path.parent for path in (tmp_path / "out").rglob("*.parquet")]
    assert len(folders) == len(set(folders)) > 20


def test_another_reader_joins_children_to_parents(warehouse, tmp_path):
    export(warehouse, tmp_path / "out")
    start = f"{tmp_path}/out/parquet/dataset_sharedschema_v1"
    tables = {"parent": start, "child": f"{start}_steps"}
    reads = {name: f"read_parquet('{path}/**/*.parquet', hive_partitioning=true)" for name, path in tables.items()}
    sql = f"select count(*) from {reads['child']} c join {reads['parent']} p using (recordid) where p.steps = c.id"
    assert duckdb.sql(sql).fetchall() == [(tables_of(warehouse)["sharedSchema_v1__steps"].num_rows,)]


def test_rows_that_were_withdrawn_are_in_no_later_export(archives, warehouse, tmp_path):
    export(warehouse, tmp_path / "out", raw_json=True)
    person = json.loads(next(iter(sorted(archives.glob("*.json")))).read_text())
    withdraw(str(warehouse), healthcodes=[person["healthcode"]])
    with pytest.raises(FolderInUse, match="withdrawn"):
        export(warehouse, tmp_path / "out")
    export(warehouse, tmp_path / "later", raw_json=True)
    assert holds_everything(tmp_path / "later", warehouse)
    texts = [str(pq.read_table(path).to_pylist()) for path in (tmp_path / "later").rglob("*.parquet")]
    texts += [path.read_text() for path in (tmp_path / "later").rglob("*.ndjson")]
    assert not any(person["healthcode"] in each or person["recordid"] in each for each in texts)


@pytest.mark.parametrize("there", ["parquet/t/part.parquet", "_SUCCESS", "notes.txt"])
def test_a_folder_that_holds_anything_is_left_alone(warehouse, tmp_path, there):
    path = tmp_path / "out" / there
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(FolderInUse):
        export(warehouse, tmp_path / "out")
    assert path.read_text() == "mine"
    with pytest.raises(FolderInUse, match="is a file"):
        export(warehouse, path)


def test_what_another_warehouse_began_is_left_alone(warehouse, tmp_path):
    begun = export_bridge(str(warehouse), str(tmp_path / "out"))
    next(begun)
    begun.close()
    ingest(tmp_path / "other", Folder(tmp_path, ()))
    with pytest.raises(FolderInUse):
        export(tmp_path / "other", tmp_path / "out")
    export(warehouse, tmp_path / "out")
    assert holds_everything(tmp_path / "out", warehouse)


def test_nobody_else_works_on_the_warehouse_meanwhile(warehouse, tmp_path):
    going = export_bridge(str(warehouse), str(tmp_path / "out"))
    next(going)
    with pytest.raises(WarehouseBusy), coordinator_lock(open_storage(str(warehouse))):
        pass
    going.close()


def test_raw_json_that_is_not_there_is_said(archives, tmp_path):
    ingest(tmp_path / "warehouse", Folder(archives))
    with pytest.raises(NoRawJson, match="replay SOURCE --all --raw-json"):
        export(tmp_path / "warehouse", tmp_path / "out", raw_json=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(NoSuchDataset, match="Nothing_v1"):
        export(tmp_path / "warehouse", tmp_path / "out", datasets=["Nothing_v1"])


def test_records_without_raw_json_are_counted(archives, tmp_path):
    warehouse = tmp_path / "warehouse"
    names = sorted(path.stem for path in archives.glob("*.zip"))
    ingest(warehouse, Folder(archives, tuple(names[:5])))
    ingest(warehouse, Folder(archives), options=IngestOptions(raw_json=True))
    done = CliRunner().invoke(command, ["export", str(tmp_path / "out"), "--warehouse", str(warehouse), "--raw-json"])
    assert done.exit_code == 3
    assert "records without raw JSON" in done.output
    next(iter((warehouse / "raw_json").rglob("*.ndjson"))).unlink()
    done = CliRunner().invoke(command, ["export", str(tmp_path / "more"), "--warehouse", str(warehouse), "--raw-json"])
    assert done.exit_code == 1
    assert "somebody deleted it" in done.output
    assert not (tmp_path / "more" / "_SUCCESS").exists()


def test_one_dataset_and_padded_dates(warehouse, tmp_path):
    export(warehouse, tmp_path / "out", datasets=["MotionRecord_v1"], dates="padded", raw_json=True)
    assert left_in(tmp_path / "out" / "parquet") == ["dataset_motionrecord_v1"]
    assert left_in(tmp_path / "out" / "raw_json") == ["dataset=MotionRecord_v1"]
    months = set(read_bridge(str(tmp_path / "out" / "parquet"), "dataset_motionrecord_v1")["month"].to_pylist())
    assert all(len(month) == 2 for month in months)


KILLS = ["export_put:1", "export_put:9", "export_put:60", "export_finishing:1", "export_shown:1", "export_shown:2"]


@pytest.fixture(scope="module")
def forker():
    with Forker("tests.support.ingest_operations") as running:
        yield running


@pytest.mark.parametrize("kill_at", KILLS)
def test_a_killed_export_never_looks_finished_and_is_done_again(warehouse, forker, tmp_path, kill_at):
    out = tmp_path / "out"
    killed = forker.call("export_all", str(warehouse), str(out), kill_at=f"ingest.{kill_at}")
    assert killed == -signal.SIGKILL
    assert "_SUCCESS" not in left_in(out)
    assert "_unfinished" in left_in(out)
    if "put" in kill_at:
        assert "parquet" not in left_in(out)
    export(warehouse, out, raw_json=True)
    assert holds_everything(out, warehouse)
    assert left_in(out) == ["_SUCCESS", "parquet", "raw_json"]
