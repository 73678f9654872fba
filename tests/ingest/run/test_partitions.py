"""`partition_by` of the mapping: tables that Delta knows as partitioned, through everything that happens to them."""

import json

import duckdb
import polars
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from tests.support.ingest import MAPPING, Folder, ingest, schemas, state_of, tables_of
from tests.support.ingest_archives import archive

from carrel.ingest.mapping import MappingInvalid, loads
from carrel.ingest.mapping.partitioning import PartitionsChanged
from carrel.ingest.mapping_checks import check_mapping
from carrel.ingest.operations.compaction import compact
from carrel.ingest.operations.ingestion import run
from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import IngestOptions, Setting, inline
from carrel.ingest.run.writing import MAX_OPEN
from carrel.ingest.schemas.library import Library
from carrel.ingest.store import open_storage
from carrel.synthetic import Knobs, write

PARTITIONED = MAPPING + "defaults: {partition_by: [assessmentid, assessmentrevision, year, month]}\n"
BY = ["assessmentid", "assessmentrevision", "year", "month"]
KNOBS = Knobs(
    seed=4, records=30, hz=2, seconds=1, odd_keys=0.5, reexports=0.4, duplicates=0.2, faults={"nan": 2, "bad_crc": 1}
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder / "archives", write(KNOBS, folder)


@pytest.fixture(scope="module")
def plain(study, tmp_path_factory):
    """The same archives, in tables that are not partitioned."""
    warehouse = tmp_path_factory.mktemp("plain")
    deliver(warehouse, study[0], MAPPING)
    return warehouse


@pytest.fixture
def parted(study, tmp_path):
    deliver(tmp_path / "parted", study[0], PARTITIONED)
    return tmp_path / "parted"


def deliver(warehouse, archives, mapping, options=None):
    names = sorted(path.stem for path in archives.glob("*.zip"))
    ingest(warehouse, Folder(archives, tuple(names[::2])), mapping=mapping, options=options)
    ingest(warehouse, Folder(archives), mapping=mapping, options=options)


def opened(warehouse):
    found = {path.name: DeltaTable(str(path)) for path in (warehouse / "tables").iterdir()}
    return {name: table for name, table in found.items() if table.file_uris()}


def parting_holds(warehouse):
    """Each file has rows of the one partition that the log says."""
    for table in opened(warehouse).values():
        assert table.metadata().partition_columns == BY
        root = table.table_uri.removeprefix("file://")
        for row in polars.DataFrame(table.get_add_actions(flatten=False)).to_dicts():
            body = polars.read_parquet(f"{root}/{row['path']}", hive_partitioning=False)
            assert body.select(BY).unique().to_dicts() == [row["partition"]]
    return True


def test_the_cells_are_the_same_as_without(plain, parted):
    assert state_of(parted) == state_of(plain)
    assert parting_holds(parted)
    assert max(len(table.file_uris()) for table in opened(parted).values()) > 4


def test_so_many_partitions_that_files_are_closed_early(study, plain, tmp_path, monkeypatch):
    monkeypatch.setattr("carrel.ingest.run.writing.MAX_OPEN", 3)
    assert MAX_OPEN > 3
    deliver(tmp_path, study[0], PARTITIONED, IngestOptions(batch_archives=9, flush_bytes=20_000))
    assert state_of(tmp_path) == state_of(plain)
    assert parting_holds(tmp_path)


def test_readers_see_the_columns_and_read_only_what_they_need(parted):
    for name, table in opened(parted).items():
        path = str(parted / "tables" / name)
        rows = table.to_pyarrow_table()
        year, assessment = rows["year"][0].as_py(), rows["assessmentid"][0].as_py()
        want = rows.filter(pc.and_(pc.equal(rows["year"], year), pc.equal(rows["assessmentid"], assessment))).num_rows
        chosen = table.to_pyarrow_table(filters=[("year", "=", year), ("assessmentid", "=", assessment)])
        assert chosen.num_rows == want
        lazy = polars.scan_delta(path).filter(polars.col("year") == year, polars.col("assessmentid") == assessment)
        assert lazy.collect().height == want
        connection = duckdb.connect()
        connection.register("t", table.to_pyarrow_dataset())
        sql = "select count(*) from t where year = ? and assessmentid = ?"
        assert connection.execute(sql, [year, assessment]).fetchall() == [(want,)]
        assert set(polars.read_delta(path).columns) == set(rows.column_names)


def test_compaction_keeps_partitions(parted):
    before = state_of(parted)
    assert compact(str(parted), vacuum_hours=0).tables
    assert state_of(parted) == before
    assert parting_holds(parted)


def test_withdrawal_keeps_partitions(study, parted):
    person = next(
        about["healthcode"] for path in sorted(study[0].glob("*.json")) if (about := json.loads(path.read_text()))
    )
    proof = withdraw(str(parted), healthcodes=[person])
    assert proof.rows
    assert proof.holding == ()
    assert parting_holds(parted)
    assert all(person not in table["healthcode"].to_pylist() for table in tables_of(parted).values())


def test_a_record_moves_to_another_partition_and_types_widen(tmp_path):
    folder, warehouse = tmp_path / "archives", tmp_path / "warehouse"
    archive(folder, "one", "r1", {"anything.json": {"a": 1}})
    archive(folder, "other", "r2", {"anything.json": {"a": 5}}, assessmentid="a/b=c %d é", assessmentrevision=None)
    ingest(warehouse, Folder(folder), mapping=PARTITIONED)
    archive(folder, "two", "r1", {"anything.json": {"a": 2.5, "l": [1]}}, exported=2, uploadedon="2023-12-31T00:00:00Z")
    ingest(warehouse, Folder(folder), mapping=PARTITIONED)
    rows = {row["recordid"]: row for row in tables_of(warehouse)["Anything_v1"].to_pylist()}
    assert {name: (row["a"], row["year"], row["assessmentid"]) for name, row in rows.items()} == {
        "r1": (2.5, 2023, "any"), "r2": (5.0, 2024, "a/b=c %d é"),
    }  # fmt: skip
    assert parting_holds(warehouse)
    assert opened(warehouse)["Anything_v1__l"].metadata().partition_columns == BY, "a table that came later"
    assert reconcile(open_storage(str(warehouse)), Folder(folder).list()).is_sound


def test_tables_keep_their_partitions(tmp_path):
    folder, warehouse = tmp_path / "archives", tmp_path / "warehouse"
    archive(folder, "one", "r1", {"anything.json": {"a": 1}})
    ingest(warehouse, Folder(folder), mapping=PARTITIONED)
    before = state_of(warehouse)
    archive(folder, "two", "r2", {"anything.json": {"a": 1}})
    with pytest.raises(PartitionsChanged, match=r"Anything_v1: \{partition_by: \[assessmentid, assessmentrevision,"):
        run(Setting(warehouse=str(warehouse), source=Folder(folder), schemas=schemas(MAPPING), pool=inline()))
    assert state_of(warehouse) == before


def test_check_says_it_beforehand():
    mapping = loads(
        "schemas: {x: X_v1}\ndatasets: {X_v1: {partition_by: [year, month, day]}}\n", base=loads("", base=None)
    )
    found = {each.code: each for each in check_mapping(mapping, Library(), {}, {"X_v1": ("year",)})}
    assert found["partitions_changed"].severity == "error"
    assert "another warehouse" in found["partitions_changed"].message
    assert "small files" in found["fine_partitions"].message


def test_a_column_twice_is_refused_with_its_place():
    with pytest.raises(MappingInvalid, match=r"line 1: defaults\.partition_by: a column is named twice"):
        loads("defaults: {partition_by: [year, year]}\n")
