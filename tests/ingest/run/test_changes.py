"""What happens to a warehouse over time: corrections, late and failed exports, new schemas, replays, compaction."""

import json
import zipfile
from dataclasses import replace

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.support.ingest import (
    MAPPING,
    Folder,
    dispositions_of,
    ingest,
    quarantined,
    schemas,
    state_of,
    tables_of,
)

from carrel.ingest.operations.compaction import compact
from carrel.ingest.operations.ingestion import run
from carrel.ingest.operations.inspection import query
from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.run import IngestOptions, Setting, inline
from carrel.ingest.store import catalog, open_storage
from carrel.ingest.store.ledger import Ledger, key_of
from carrel.synthetic.shapes import ANYTHING


@pytest.fixture
def archives(tmp_path):
    """Make an archive of one record: `archives(name, record, value, exported=...)`."""
    folder = tmp_path / "archives"
    folder.mkdir()

    def make(name, record="r1", value=None, exported=1, person="p1", data=None, files=None, **metadata):
        about = {
            "recordid": record,
            "assessmentid": "any",
            "assessmentrevision": "1",
            "appid": "mobile-toolbox",
            "healthcode": person,
            "uploadedon": "2024-01-01T00:00:00.000Z",
            "exportedon": f"2024-01-{exported:02d}T00:00:00.000Z" if exported else None,
            **metadata,
        }
        (folder / f"{name}.json").write_text(json.dumps({key: each for key, each in about.items() if each}))
        if data is not None:
            (folder / f"{name}.zip").write_bytes(data)
            return
        files = {"anything.json": value} if files is None else files
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
            told = [{"filename": file, "jsonSchema": ANYTHING} for file in files]
            made.writestr("metadata.json", json.dumps({"files": told}))
            for file, each in files.items():
                made.writestr(file, each if isinstance(each, str) else json.dumps(each))

    make.folder = folder
    return make


@pytest.fixture
def warehouse(tmp_path):
    return tmp_path / "warehouse"


MAPPED = MAPPING + "ignored: {metadata.json: not here}\n"


def take(warehouse, archives, *names, **more):
    return ingest(warehouse, Folder(archives.folder, names or None), mapping=more.pop("mapping", MAPPED), **more)


def values(warehouse, table="Anything_v1", column="a"):
    return sorted((row["recordid"], row[column]) for row in tables_of(warehouse)[table].to_pylist())


def test_a_later_export_replaces_the_rows_in_every_table(archives, warehouse):
    archives("one", "r1", {"a": 1, "l": [1, 2, 3]})
    archives("other", "r2", {"a": 5, "l": [9]}, exported=1)
    take(warehouse, archives)
    archives("two", "r1", {"a": 2, "l": [7]}, exported=2)
    report = take(warehouse, archives)
    assert values(warehouse) == [("r1", 2), ("r2", 5)]
    assert values(warehouse, "Anything_v1__l", "value") == [("r1", 7), ("r2", 9)]
    assert (report.replaced, dispositions_of(warehouse)["two"]) == (1, "ingested")


def test_a_table_that_the_later_export_does_not_have_loses_the_rows(archives, warehouse):
    archives("one", "r1", {"a": 1, "l": [1, 2]})
    take(warehouse, archives)
    archives("two", "r1", {"a": 2}, exported=2)
    take(warehouse, archives)
    assert values(warehouse) == [("r1", 2)]
    assert "Anything_v1__l" not in tables_of(warehouse)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
@pytest.mark.parametrize("runs", [1, 2])
def test_the_latest_export_stays_in_whatever_order_they_come(order, runs, archives, warehouse):
    archives("one", "r1", {"a": 1}, exported=1)
    archives("two", "r1", {"a": 2}, exported=2)
    for names in [order] if runs == 1 else [(name,) for name in order]:
        take(warehouse, archives, *names)
    assert values(warehouse) == [("r1", 2)]
    late = runs == 2 and order[0] == "two"
    assert dispositions_of(warehouse)["one"] == ("superseded" if late else "ingested")


def test_a_failed_later_export_takes_nothing_away(archives, warehouse):
    archives("good", "r1", {"a": 1}, exported=1)
    take(warehouse, archives)
    archives("bad", "r1", exported=2, data=b"no zip")
    archives("worse", "r1", files={"anything.json": "{"}, exported=3)
    take(warehouse, archives)
    assert values(warehouse) == [("r1", 1)]
    assert dispositions_of(warehouse) == {"good": "ingested", "bad": "unreadable", "worse": "quarantined"}


def test_quarantine_speaks_of_what_is_missing_now(archives, warehouse):
    archives("bad", "r1", {"a": 1}, exported=1, data=b"no zip")
    archives("elsewhere", "r2", data=b"no zip either")
    take(warehouse, archives)
    assert set(quarantined(warehouse)) == {"bad", "elsewhere"}
    archives("good", "r1", {"a": 1}, exported=2)
    take(warehouse, archives)
    assert set(quarantined(warehouse)) == {"elsewhere"}


def test_the_same_content_exported_again_is_unchanged(archives, warehouse):
    archives("one", "r1", {"a": 1}, exported=1)
    archives("two", "r1", {"a": 1}, exported=2)
    take(warehouse, archives)
    assert dispositions_of(warehouse) == {"one": "ingested", "two": "unchanged"}


def test_corrected_metadata_is_a_correction(archives, warehouse):
    archives("one", "r1", {"a": 1}, uploadedon=None)
    take(warehouse, archives)
    assert dispositions_of(warehouse) == {"one": "unreadable"}
    archives("one", "r1", {"a": 1})
    take(warehouse, archives)
    assert values(warehouse) == [("r1", 1)]
    assert quarantined(warehouse) == {}


def test_two_files_of_one_record_in_one_dataset_are_both_kept(archives, warehouse):
    archives("one", "r1", files={"anything.json": {"a": 1}, "left/anything.json": {"a": 2}})
    take(warehouse, archives)
    assert values(warehouse) == [("r1", 1), ("r1", 2)]


def test_rejecting_whole_records_is_the_contracts_way(archives, warehouse):
    archives("one", "r1", files={"anything.json": {"a": 1}, "left/anything.json": "{"})
    archives("two", "r2", {"a": 2})
    take(warehouse, archives, options=IngestOptions(reject_records=True))
    assert values(warehouse) == [("r2", 2)]
    assert dispositions_of(warehouse) == {"one": "quarantined", "two": "ingested"}


def test_widening_rewrites_what_is_there_and_is_recorded(archives, warehouse):
    archives("one", "r1", {"a": 1})
    take(warehouse, archives)
    archives("two", "r2", {"a": 2.5, "b": "new"})
    report = take(warehouse, archives)
    assert values(warehouse) == [("r1", 1.0), ("r2", 2.5)]
    assert len(report.changes) == 2
    entry = catalog.load(open_storage(str(warehouse)), "Anything_v1")
    assert {change.what.value for change in entry.changes} == {"new_table", "new_column", "widening"}
    assert {file.schema_arrow.field("a").type for file in files(warehouse)} == {pa.float64()}


def files(warehouse, table="Anything_v1"):
    return [pq.ParquetFile(path) for path in DeltaTable(str(warehouse / "tables" / table)).file_uris()]


def test_new_columns_rewrite_nothing(archives, warehouse):
    archives("one", "r1", {"a": 1})
    take(warehouse, archives)
    before = set(DeltaTable(str(warehouse / "tables" / "Anything_v1")).file_uris())
    archives("two", "r2", {"a": 2, "b": "new"})
    take(warehouse, archives)
    assert before < set(DeltaTable(str(warehouse / "tables" / "Anything_v1")).file_uris())


@pytest.mark.parametrize("policy", ["evolve", "variant", "quarantine", "freeze"])
def test_a_change_of_kind_goes_where_the_policy_says(policy, archives, warehouse):
    mapping = MAPPED + f"datasets: {{Anything_v1: {{policy: {policy}}}}}\n"
    archives("one", "r1", {"a": 1})
    take(warehouse, archives, mapping=mapping)
    archives("two", "r2", {"a": "text"})
    archives("three", "r3", {"a": 3})
    take(warehouse, archives, mapping=mapping)
    rows = {
        row["recordid"]: (row["a"], row.get("a_variant")) for row in tables_of(warehouse)["Anything_v1"].to_pylist()
    }
    if policy == "evolve":
        assert rows == {"r1": ("1", None), "r2": ("text", None), "r3": ("3", None)}
    elif policy == "variant":
        assert rows == {"r1": (1, None), "r2": (None, '"text"'), "r3": (3, None)}
    else:
        assert rows == {"r1": (1, None), "r3": (3, None)}
        assert dispositions_of(warehouse)["two"] == "quarantined"
        assert quarantined(warehouse) == {"two": [["anything.json", "types", "kind"]]}


def test_offenders_that_only_the_whole_run_shows_are_rejected_alike(archives, warehouse):
    """Each batch for itself would take its own kind."""
    mapping = MAPPED + "datasets: {Anything_v1: {policy: quarantine}}\n"
    for number in range(3):
        archives(f"n{number}", f"r{number}", {"a": number, "l": [1]})
    archives("t", "rt", {"a": "text", "l": [1]})
    results = []
    for batch in (1, 2, 100):
        one = warehouse / str(batch)
        take(one, archives, mapping=mapping, options=IngestOptions(batch_archives=batch))
        results.append(state_of(one))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("policy", ["quarantine", "freeze"])
@pytest.mark.parametrize("bad", [1, 2], ids=["corrected", "spoilt"])
def test_a_record_does_not_fall_with_another_export_of_it(archives, warehouse, policy, bad):
    """One of two exports of a record does not fit, and only the whole run shows it."""
    mapping = MAPPED + f"datasets: {{Anything_v1: {{policy: {policy}}}}}\n"
    for number in range(3):
        archives(f"n{number}", f"r{number}", {"a": number, "l": [1]})
    archives("bad", "rx", {"a": "text", "l": [1]}, exported=bad)
    archives("good", "rx", {"a": 7, "l": [1, 2]}, exported=3 - bad)
    states = []
    for batch in (1, 2, 100):
        one = warehouse / str(batch)
        take(one, archives, mapping=mapping, options=IngestOptions(batch_archives=batch, raw_json=True))
        assert ("rx", 7) in values(one)
        assert dispositions_of(one)["bad"] == "quarantined"
        assert dispositions_of(one)["good"] == "ingested"
        assert reconcile(open_storage(str(one)), list(Folder(archives.folder).list())).is_sound
        states.append(state_of(one))
    assert states[0] == states[1] == states[2]


def test_one_file_that_only_the_whole_run_refuses_rejects_its_record(archives, warehouse):
    mapping = MAPPED + "datasets: {Anything_v1: {policy: quarantine}}\n"
    for number in range(3):
        archives(f"n{number}", f"r{number}", {"a": number})
    archives("bad", "rx", files={"anything.json": {"a": 1}, "left/anything.json": {"a": "text"}})
    for batch in (1, 100):
        one = warehouse / str(batch)
        take(one, archives, mapping=mapping, options=IngestOptions(batch_archives=batch, reject_records=True))
        assert values(one) == [("r0", 0), ("r1", 1), ("r2", 2)]
        assert dispositions_of(one)["bad"] == "quarantined"


def test_a_replay_after_a_repair_takes_what_was_held(archives, warehouse):
    archives("one", "r1", {"a": 1})
    unknown = MAPPED.replace(ANYTHING, "https://example.org/other.json")
    archives("two", "r2", files={"anything.json": "{", "left/anything.json": {"a": 2}})
    take(warehouse, archives, mapping=unknown)
    assert dispositions_of(warehouse) == {"one": "empty", "two": "empty"}
    assert take(warehouse, archives).run_id is None
    setting = Setting(
        warehouse=str(warehouse),
        source=Folder(archives.folder),
        schemas=schemas(MAPPED),
        pool=inline(),
        replay=lambda ref: True,
    )
    run(setting)
    assert values(warehouse) == [("r1", 1), ("r2", 2)]
    assert dispositions_of(warehouse) == {"one": "ingested", "two": "partial"}
    before = state_of(warehouse)
    run(setting)
    assert state_of(warehouse) == before
    run(replace(setting, schemas=schemas(unknown)))
    assert tables_of(warehouse) == {}
    assert quarantined(warehouse) == {}


def test_compaction_and_reconciliation(archives, warehouse):
    for number in range(6):
        archives(f"n{number}", f"r{number}", {"a": number, "l": [number] * number})
        take(warehouse, archives)
    before = state_of(warehouse)
    made = compact(str(warehouse), vacuum_hours=0)
    assert made.tables["Anything_v1"] == (6, 1)
    assert made.deleted
    assert state_of(warehouse) == before
    archives("again", "r3", {"a": 33}, exported=3)
    take(warehouse, archives)
    assert ("r3", 33) in values(warehouse)
    storage = open_storage(str(warehouse))
    archives("late", "r9", {"a": 9})
    found = reconcile(storage, list(Folder(archives.folder).list()))
    assert [(each.kind, each.archive_uri) for each in found.findings] == [("waiting", "folder:late.zip")]
    assert not found.is_sound
    take(warehouse, archives)
    assert reconcile(storage, list(Folder(archives.folder).list())).is_sound


def test_tables_are_read_without_carrel(archives, warehouse):
    archives("one", "r1", {"a": 1, "s": {"t": "x"}, "big": 2**63})
    archives("two", "r2", {"a": 2, "b": True})
    take(warehouse, archives, options=IngestOptions(batch_archives=1))
    path = str(warehouse / "tables" / "Anything_v1")
    table = DeltaTable(path)
    assert polars.read_delta(path).height == 2
    assert polars.read_delta(path).sort("a")["a"].to_list() == [1, 2]
    found = duckdb.sql(f"select sum(a), max(big) from read_parquet({table.file_uris()!r}, union_by_name=true)")
    assert found.fetchall() == [(3, 2**63)]
    assert query(str(warehouse), "select count(*) from Anything_v1 join ledger using (recordid)").fetchall() == [(2,)]
    assert DeltaTable(path, version=0).to_pyarrow_table().num_rows == 2


def test_the_plain_append_path_reads_no_data(archives, warehouse, monkeypatch):
    archives("one", "r1", {"a": 1})
    take(warehouse, archives)
    for path in warehouse.glob("tables/*/*.parquet"):
        path.chmod(0)
    monkeypatch.setattr("carrel.ingest.store.data_files.pq.ParquetFile", None)
    archives("two", "r2", {"a": 2})
    assert take(warehouse, archives).rows == {"Anything_v1": 1}


def test_ledger_lookups_are_of_one_version(archives, warehouse):
    archives("one", "r1", {"a": 1})
    take(warehouse, archives)
    storage = open_storage(str(warehouse))
    first = Ledger(storage)
    archives("two", "r2", {"a": 1})
    take(warehouse, archives)
    assert len(first.lines()) == 1
    assert len(Ledger(storage, first.version).lines()) == 1
    assert len(Ledger(storage).of_records([key_of("r2")])[key_of("r2")]) == 1


def test_filters_on_any_column_find_their_rows(archives, warehouse):
    """deltalake's Arrow reader leaves rows out when a table's log has bounds for some columns only."""
    archives("one", "r1", {"a": 1}, person="p1")
    take(warehouse, archives)
    archives("two", "r2", {"a": 2, "b": "new"}, person="p2")
    take(warehouse, archives)
    for column, value in [("healthcode", "p1"), ("a", 1), ("_source_file", "anything.json"), ("recordid", "r1")]:
        found = query(str(warehouse), f"select recordid from Anything_v1 where {column} = '{value}' order by 1")
        assert ("r1",) in found.fetchall(), column
    found = DeltaTable(str(warehouse / "tables" / "Anything_v1")).to_pyarrow_table(filters=[("b", "=", "new")])
    assert found.num_rows == 1


def test_the_log_of_a_table_names_nobody(archives, warehouse):
    archives("one", "a-record-id", {"a": 1}, person="a-person")
    take(warehouse, archives)
    logs = [path.read_text() for path in warehouse.glob("**/_delta_log/*.json")]
    assert logs
    assert not any("a-record-id" in text or "a-person" in text for text in logs)
