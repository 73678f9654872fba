"""The contract's names, columns and folders (ingest.md section 2), with its two worked cases."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.ingest_tables import flats, lineage

from carrel.ingest.archives import record_of
from carrel.ingest.tables import (
    Bridge,
    Flattener,
    Policy,
    part_files,
    raw_json_key,
    raw_json_line,
    read_bridge,
)
from carrel.ingest.tables.bridge_layout import FILE_BYTES
from carrel.ingest.tables.spilled_partitions import DEFAULT, Bounds
from carrel.ingest.values import Lineage


def bridge_tables(schema, tables, dates="plain"):
    bridge = Bridge(schema, dates)
    return {there: bridge.table(name, tables[name]) for name, there in bridge.names.items() if name in tables}


def write_bridge(folder, tables, bounds=DEFAULT, block_rows=None, file_bytes=FILE_BYTES):
    """As the export does; how many files."""
    scratch = folder / "scratch"
    scratch.mkdir()
    count = 0
    for name, table in tables.items():

        def blocks(columns, table=table):
            for start in range(0, table.num_rows, block_rows or table.num_rows):
                part = table.slice(start, block_rows or table.num_rows)
                yield part if columns is None else part.select(columns)

        for made in part_files(name, blocks, scratch, bounds, file_bytes):
            (folder / made.key).parent.mkdir(parents=True, exist_ok=True)
            made.path.replace(folder / made.key)
            count += 1
    scratch.rmdir()
    return count


PARTITIONED = {"assessmentid", "year", "month", "day"}
DAYS = {"one": "01", "two": "01", "three": "02"}


def case(dataset, values):
    """Records one, two, three as the worked cases have them, through tables, folders and back."""
    flattener = Flattener(dataset, {})
    for number, (record_id, value) in enumerate(values.items(), 1):
        text = f"2022-09-{DAYS[record_id]}T10:00:00.000Z"
        record = record_of({"recordid": record_id, "assessmentid": "exampleassessment", "uploadedon": text})
        flattener.add(
            Lineage(
                record=record,
                source_file=f"data_{number}.json",
                archive_uri=f"{number}.zip",
                archive_etag="etag",
                schema_id=None,
                run_id="run",
            ),
            value,
        )
    flat = flattener.finish()
    return bridge_tables(flat.schema, flat.tables, dates="padded")


def bridged(value, dataset="sharedSchema_v1"):
    flattener = Flattener(dataset, {})
    flattener.add(lineage("r1"), value)
    flat = flattener.finish()
    return bridge_tables(flat.schema, flat.tables)


def test_case_j1_flat(tmp_path):
    tables = case("pytest_flat_table", {name: {"recordid": name} for name in DAYS})
    assert set(tables) == {"dataset_pytest_flat_table"}
    assert write_bridge(tmp_path, tables) > 0
    read = read_bridge(str(tmp_path), "dataset_pytest_flat_table")
    assert (read.num_rows, set(read.column_names)) == (3, {"recordid"} | PARTITIONED)
    assert sorted(read.column("recordid").to_pylist()) == ["one", "three", "two"]


def test_case_j2_nested(tmp_path):
    inner = {name: {"filename": name, "timestamp": name} for name in DAYS}
    values = {
        name: {"recordid": name, "arrayofobjectsfield": [inner[name]], "objectfield": inner[name]} for name in DAYS
    }
    root_name, child_name = "dataset_pytest_nested_table", "dataset_pytest_nested_table_arrayofobjectsfield"
    tables = case("pytest_nested_table", values)
    assert set(tables) == {root_name, child_name}
    write_bridge(tmp_path, tables)
    root, child = read_bridge(str(tmp_path), root_name), read_bridge(str(tmp_path), child_name)
    fields = {"recordid", "arrayofobjectsfield", "objectfield_filename", "objectfield_timestamp"}
    assert (root.num_rows, set(root.column_names)) == (3, fields | PARTITIONED)
    assert set(child.column_names) == {"id", "index", "filename", "timestamp", "recordid"} | PARTITIONED
    rows = sorted(child.to_pylist(), key=lambda row: row["recordid"])
    assert [row["recordid"] for row in rows] == ["one", "three", "two"]
    assert all(row["filename"] == row["timestamp"] == row["recordid"] for row in rows)
    assert [(row["assessmentid"], row["year"], row["month"], row["day"]) for row in rows] == [
        ("exampleassessment", "2022", "09", day) for day in ("01", "02", "01")
    ]
    parents = {row["recordid"]: row["arrayofobjectsfield"] for row in root.to_pylist()}
    assert {row["recordid"]: row["id"] for row in rows} == parents


def test_folders_and_files_are_the_contracts(tmp_path):
    tables = bridged({"a": 1, "b": [1]})
    assert write_bridge(tmp_path, tables) == 2
    (part,) = (tmp_path / "dataset_sharedschema_v1").rglob("*.parquet")
    place = part.relative_to(tmp_path).parent
    assert str(place) == "dataset_sharedschema_v1/assessmentid=walk/year=2024/month=3/day=9"
    assert part.name.startswith("part-00000-")
    assert part.name.endswith(".c000.snappy.parquet")
    body = pq.ParquetFile(part)
    assert set(body.schema_arrow.names) == {"a", "b", "recordid"}
    assert body.metadata.row_group(0).column(0).compression == "SNAPPY"


PARTED = pa.table(
    {
        "x": pa.array(range(2_000)),
        "assessmentid": [None if row % 7 == 0 else f"a{row % 7}" for row in range(2_000)],
        "year": ["2024"] * 2_000,
        "month": [str(row % 12) for row in range(2_000)],
        "day": [str(1 + row % 3) if row % 12 else "1" for row in range(2_000)],
    }
)
"""Rows of one partition lie apart; partitions are of very different sizes."""


@pytest.mark.parametrize(
    ("bounds", "block_rows"),
    [(DEFAULT, 1), (DEFAULT, 2_000), (Bounds(1, 5), 700), (Bounds(20_000, 2), 100)],
)
def test_each_partition_is_one_file_however_little_memory_there_is(tmp_path, bounds, block_rows):
    count = write_bridge(tmp_path, {"t": PARTED}, bounds, block_rows)
    assert count == PARTED.group_by(list(PARTITIONED)).aggregate([]).num_rows > 80
    assert not list(tmp_path.rglob("*.arrow"))
    for part in (tmp_path / "t").rglob("*.parquet"):
        body = pq.read_table(part, partitioning=None)
        assert body.column("x").to_pylist() == sorted(body.column("x").to_pylist()), "rows keep their order"
    read = read_bridge(str(tmp_path), "t").select(PARTED.column_names).sort_by("x")
    assert read.to_pylist() == PARTED.to_pylist()


def test_a_large_partition_is_split_into_files(tmp_path):
    one = pa.table({"x": pa.array(range(400_000)), **{name: ["1"] * 400_000 for name in sorted(PARTITIONED)}})
    assert write_bridge(tmp_path, {"t": one}, Bounds(group_bytes=1), 1_000, file_bytes=10_000) == 4
    names = sorted(path.name[:10] for path in (tmp_path / "t").rglob("*.parquet"))
    assert names == [f"part-0000{number}" for number in range(4)]
    assert read_bridge(str(tmp_path), "t").column("x").to_pylist() == list(range(400_000))


def test_strange_assessments_are_escaped_in_folders(tmp_path):
    flattener = Flattener("D_v1", {})
    strange = lineage("r1")
    strange = replace(strange, record=replace(strange.record, assessment_id="a/b=c d"))
    nobody = lineage("r2")
    nobody = replace(nobody, record=replace(nobody.record, assessment_id=None))
    for each in (strange, nobody):
        flattener.add(each, {"x": 1})
    flat = flattener.finish()
    write_bridge(tmp_path, bridge_tables(flat.schema, flat.tables))
    read = read_bridge(str(tmp_path), "dataset_d_v1")
    assert set(read.column("assessmentid").to_pylist()) == {"a/b=c d", None}


def test_a_key_that_is_the_empty_text_has_its_native_name():
    rows = flats("D_v1", {}, [(lineage("r1"), {"": 1, "a": 2})], 1)[0]
    made = Bridge(rows.schema).table("D_v1", rows.tables["D_v1"])
    assert {"_", "a"} <= set(made.column_names)
    assert "" not in made.column_names


def test_published_names_of_task_data():
    """The names of section 2, points 4 and 5, with the dotted quirk that consumers read."""
    tables = bridged(
        {
            "steps": [{"identifier": "s"}],
            "taskStatus": ["completed"],
            "userInteractions": [{"controlEvent": ["touchDown", "touchUp"], "value": "x", "timestamp": 1}],
            "scores": {"finalTheta": 0.5},
        }
    )
    name = "dataset_sharedschema_v1"
    assert set(tables) == {
        name,
        f"{name}_steps",
        f"{name}_taskStatus",
        f"{name}_userInteractions",
        f"{name}_userInteractions_controlEvent",
    }
    events = tables[f"{name}_userInteractions_controlEvent"]
    assert (
        set(events.column_names) == {"id", "index", "userInteractions.val.controlEvent.val", "recordid"} | PARTITIONED
    )
    assert events.column("userInteractions.val.controlEvent.val").to_pylist() == ["touchDown", "touchUp"]
    assert events.column("index").to_pylist() == [0, 1]
    assert "taskStatus_val" in tables[f"{name}_taskStatus"].column_names
    above = tables[f"{name}_userInteractions"]
    assert set(above.column_names) == {
        "id", "index", "controlEvent", "value", "timestamp", "recordid", *PARTITIONED,
    }  # fmt: skip
    assert set(events.column("id").to_pylist()) == set(above.column("controlEvent").to_pylist())
    assert above.column("id").to_pylist() == tables[name].column("userInteractions").to_pylist()
    assert "scores_finalTheta" in tables[name].column_names


def test_names_that_are_taken_stay_dotted():
    tables = bridged({"samples": [{"id": "mine", "index": "i", "year": 1, "recordid": "r", "x": 2}]})
    child = tables["dataset_sharedschema_v1_samples"]
    dotted = {f"samples.val.{name}" for name in ("id", "index", "year", "recordid")}
    assert set(child.column_names) == {"id", "index", "x", "recordid", *dotted, *PARTITIONED}
    assert child.column("samples.val.id").to_pylist() == ["mine"]
    assert child.column("recordid").to_pylist() == ["r1"]


def test_names_that_are_taken_in_the_root():
    root = bridged({"a.b": 1, "a": {"b": 2}, "a_b": 3, "year": "overwritten"})["dataset_sharedschema_v1"]
    assert len(root.column_names) == len(set(root.column_names)) == 8
    values = {root.column(name)[0].as_py() for name in root.column_names if "b" in name}
    assert {1, 2, 3} <= values
    assert root.column("year").to_pylist() == ["2024"]


def test_arrays_inside_structs_work():
    """Bugs (a) and (b) of the contract: its jobs die here."""
    tables = bridged({"scores": {"items": [1, 2]}, "steps": [{"interactions": {"items": ["x"]}}]})
    name = "dataset_sharedschema_v1"
    assert set(tables) == {name, f"{name}_scores_items", f"{name}_steps", f"{name}_steps_interactions_items"}
    assert tables[f"{name}_scores_items"].column("scores_items_val").to_pylist() == [1, 2]
    inner = tables[f"{name}_steps_interactions_items"]
    assert inner.column("steps.val.interactions.items.val").to_pylist() == ["x"]
    assert tables[f"{name}_steps"].column("interactions_items").to_pylist() == inner.column("id").to_pylist()


def test_arrays_of_arrays_work():
    tables = bridged({"m": [[1, 2], [3]]})
    name = "dataset_sharedschema_v1"
    assert set(tables) == {name, f"{name}_m", f"{name}_m_val"}
    assert tables[f"{name}_m_val"].column("m.val.val").to_pylist() == [1, 2, 3]
    assert set(tables[f"{name}_m"].column("m_val").to_pylist()) == set(tables[f"{name}_m_val"].column("id").to_pylist())


def test_null_arrays_have_no_key_and_deep_ones_are_text():
    flattener = Flattener("D_v1", {}, Policy.VARIANT, max_table_depth=2)
    flattener.add(lineage("r1"), {"a": [{"b": [1]}, {"b": None}], "v": 1})
    flattener.add(lineage("r2"), {"a": None, "v": "x"})
    flat = flattener.finish()
    tables = bridge_tables(flat.schema, flat.tables)
    assert tables["dataset_d_v1"].column("a").null_count == 1
    assert tables["dataset_d_v1_a"].column("b_json").to_pylist() == ["[1]", None]
    assert tables["dataset_d_v1"].column("v_variant").to_pylist() == [None, '"x"']


def test_an_object_row_after_a_list_keeps_its_record():
    tables = bridged([{"x": 1}, {"x": 2}])
    assert tables["dataset_sharedschema_v1"].column("recordid").to_pylist() == ["r1", "r1"]
    assert "id" not in tables["dataset_sharedschema_v1"].column_names


WHEN = datetime(2022, 9, 1, 23, 30, tzinfo=UTC)


def record(record_id="abc", **metadata):
    return replace(lineage(record_id).record, uploaded_on=WHEN, metadata=metadata)


def test_raw_json_of_an_object_and_of_a_list():
    added = {"assessmentid": "walk", "year": 2022, "month": 9, "day": 1, "recordid": "abc"}
    line = raw_json_line("sharedSchema_v1", record(), {"a": "é\n", "year": "mine"})
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"a": "é\n", **added}
    line = raw_json_line("MotionRecord_v1", record(), [{"x": 1}, {}])
    assert json.loads(line) == [{"x": 1, **added}, added]


def test_raw_json_of_archive_metadata_has_the_records_metadata():
    line = raw_json_line(
        "ArchiveMetadata_v1", record(recordid="abc", appname="other"), {"appname": "mine", "files": []}
    )
    assert json.loads(line) == {
        "appname": "other", "files": [], "year": 2022, "month": 9, "day": 1, "recordid": "abc",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("record_id", "name"), [("abc", "abc"), ("_abc", "0_abc"), (".abc", "0.abc"), ("-abc", "-abc")]
)
def test_raw_json_keys(record_id, name):
    key = raw_json_key("ns/app/study/raw_json", "D_v1", record(record_id))
    assert key == f"ns/app/study/raw_json/dataset=D_v1/assessmentid=walk/year=2022/month=9/day=1/{name}.ndjson"


def test_raw_json_keeps_several_files_of_one_record_apart():
    keys = {raw_json_key("p", "D_v1", record(), file) for file in (None, "left_motion.json", "in/right_motion.json")}
    assert {key.rpartition("/")[2] for key in keys} == {
        "abc.ndjson", "abc.left_motion.json.ndjson", "abc.in%2Fright_motion.json.ndjson",
    }  # fmt: skip
