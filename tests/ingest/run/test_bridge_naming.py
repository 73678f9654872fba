"""`naming: bridge` of the mapping: tables under the contract's names and columns too, with no row stored twice."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable
from tests.support.ingest import MAPPING, Folder, deliver, ingest, state_of
from tests.support.s3 import new_bucket

from carrel.ingest.cli import ingest as command
from carrel.ingest.operations.compaction import compact
from carrel.ingest.operations.export import export_bridge
from carrel.ingest.operations.inspection import list_tables, query
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.store import open_storage
from carrel.synthetic import Knobs, write

BRIDGE = MAPPING + "defaults: {naming: bridge}\n"
KNOBS = Knobs(seed=4, records=24, hz=2, seconds=1, odd_keys=0.5, reexports=0.4, duplicates=0.2, odd_ids=0)
PARTITIONED = {"assessmentid", "year", "month", "day"}
TOLD_APART = {"stepPath": "stepPath_d54f3c"}
"""Beside an odd key steppath, which differs by case alone, and which SQL cannot tell from it."""
ROOT = Path(__file__).parents[3]
EVENTS = "dataset_sharedschema_v1_userInteractions_controlEvent"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write(KNOBS, folder)
    return folder / "archives"


def half_and_whole(warehouse, archives, *mappings):
    """A run of half of the archives, and one of all, each with its mapping."""
    names = sorted(path.stem for path in archives.glob("*.zip"))
    for mapping, chosen in zip(mappings, (names[::2], names), strict=True):
        ingest(warehouse, Folder(archives, tuple(chosen)), mapping=mapping)
    return warehouse


def named(warehouse):
    """Native table -> its name there."""
    return {each.name: each.bridge for each in list_tables(open_storage(str(warehouse))) if each.bridge}


def rows(warehouse, name):
    return query(str(warehouse), f'SELECT * FROM "{name}"').to_arrow_table()


def views_are_the_export(warehouse, folder):
    """Every folder of the export has a view of the same columns and cells; how many."""
    list(export_bridge(str(warehouse), str(folder)))
    there = sorted(path.name for path in (folder / "parquet").iterdir())
    assert set(there) <= set(named(warehouse).values())
    for name in there:
        files = ds.dataset(folder / "parquet" / name, partitioning="hive").to_table()
        if "steppath" in files.column_names:
            files = files.rename_columns([TOLD_APART.get(each, each) for each in files.column_names])
        view = rows(warehouse, name)
        assert set(view.column_names) == set(files.column_names), name
        texts = [
            sorted(json.dumps(_plain(row), sort_keys=True, default=str) for row in table.to_pylist())
            for table in (view, files)
        ]
        assert texts[0] == texts[1], name
    return len(there)


def _plain(row):
    return {key: str(value) if key in PARTITIONED else value for key, value in row.items()}


def test_views_are_the_export_through_runs_corrections_compaction_and_withdrawal(archives, tmp_path):
    warehouse = half_and_whole(tmp_path / "w", archives, BRIDGE, BRIDGE)
    assert views_are_the_export(warehouse, tmp_path / "one") > 10
    assert compact(str(warehouse), vacuum_hours=0).tables
    assert views_are_the_export(warehouse, tmp_path / "two") > 10
    person = json.loads(min(archives.glob("*.json")).read_text())["healthcode"]
    withdraw(str(warehouse), healthcodes=[person])
    assert views_are_the_export(warehouse, tmp_path / "three") > 5


def test_native_tables_are_the_same_with_and_without_and_nothing_is_stored_twice(archives, tmp_path):
    bridge = half_and_whole(tmp_path / "b", archives, BRIDGE, BRIDGE)
    native = half_and_whole(tmp_path / "n", archives, MAPPING, MAPPING)
    assert state_of(bridge) == state_of(native)
    files = [sorted(path.parent.name for path in each.glob("tables/*/*.parquet")) for each in (bridge, native)]
    assert files[0] == files[1]
    assert named(native) == {}
    assert not any(
        "carrel.bridge" in DeltaTable(str(each)).metadata().configuration for each in (native / "tables").iterdir()
    )


def test_naming_changes_with_the_next_run_which_needs_nothing_to_take(archives, tmp_path):
    warehouse = half_and_whole(tmp_path / "w", archives, MAPPING, BRIDGE)
    assert views_are_the_export(warehouse, tmp_path / "out") > 10
    before = state_of(warehouse)
    assert ingest(warehouse, Folder(archives), mapping=MAPPING).run_id
    assert named(warehouse) == {}
    assert ingest(warehouse, Folder(archives), mapping=MAPPING).run_id is None
    assert ingest(warehouse, Folder(archives), mapping=BRIDGE).run_id
    assert ingest(warehouse, Folder(archives), mapping=BRIDGE).run_id is None
    assert views_are_the_export(warehouse, tmp_path / "again") > 10
    assert state_of(warehouse) == before


def test_on_s3(archives, s3, tmp_path):
    warehouse = half_and_whole(f"s3://{new_bucket(s3)}/w", archives, MAPPING, BRIDGE)
    assert views_are_the_export(warehouse, tmp_path / "out") > 10
    assert ingest(warehouse, Folder(archives), mapping=MAPPING).run_id
    assert named(warehouse) == {}


def test_one_dataset_alone(archives, tmp_path):
    mapping = MAPPING + "datasets: {sharedSchema_v1: {naming: bridge}}\n"
    warehouse = half_and_whole(tmp_path / "w", archives, mapping, mapping)
    assert {name.partition("__")[0] for name in named(warehouse)} == {"sharedSchema_v1"}


def test_a_view_follows_new_columns_and_types(tmp_path):
    """`a.b` keeps the name that it has; `a_b`, of a later run, gets another."""
    (tmp_path / "in").mkdir()
    name, late, seen = "dataset_anything_v1", "a_b_648fa9", []
    for number, value in enumerate(({"a.b": 1}, {"a_b": 2}, {"a_b": "x", "c": [1]}), 1):
        deliver(tmp_path / "in", f"{number}", f"r{number}", value)
        ingest(tmp_path / "w", Folder(tmp_path / "in"), mapping=BRIDGE)
        seen.append(rows(tmp_path / "w", name))
        assert views_are_the_export(tmp_path / "w", tmp_path / f"out{number}")
    injected = {"recordid", *PARTITIONED}
    assert [set(each.column_names) - injected for each in seen] == [{"a_b"}, {"a_b", late}, {"a_b", late, "c"}]
    assert seen[2]["a_b"].drop_null().to_pylist() == [1]
    assert sorted(filter(None, seen[2][late].to_pylist())) == ["2", "x"]


SPEC_CASES = """
legacy:
  exampleassessment: {1: {flat.json: pytest_flat_table_v1, nested.json: pytest_nested_table_v1}}
defaults: {naming: bridge}
"""


@pytest.fixture(scope="module")
def worked_cases(tmp_path_factory):
    """J1 and J2 of the contract: records one, two, three."""
    import zipfile

    folder = tmp_path_factory.mktemp("cases")
    days = {"one": "01", "two": "01", "three": "02"}
    for name, day in days.items():
        about = {
            "recordid": name, "assessmentid": "exampleassessment", "assessmentrevision": "1", "appid": "mobile-toolbox",
            "uploadedon": f"2022-09-{day}T10:00:00.000Z", "exportedon": f"2022-09-{day}T11:00:00.000Z",
        }  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(about))
        inner = {"filename": name, "timestamp": name}
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
            told = [{"filename": each} for each in ("flat.json", "nested.json")]
            made.writestr("metadata.json", json.dumps({"files": told}))
            made.writestr("flat.json", json.dumps({"recordid": name}))
            nested = {"recordid": name, "arrayofobjectsfield": [inner], "objectfield": inner}
            made.writestr("nested.json", json.dumps(nested))
    warehouse = folder / "warehouse"
    ingest(warehouse, Folder(folder), mapping=SPEC_CASES)
    return warehouse


def sql(warehouse, text):
    """What `carrel ingest sql --csv` answers, as (columns, rows)."""
    done = CliRunner().invoke(command, ["sql", text, "--csv", "--warehouse", str(warehouse)])
    assert done.exit_code == 0, done.output
    lines = [line.replace('"', "").split(",") for line in done.output.splitlines()]
    return lines[0], lines[1:]


def test_case_j1_through_sql(worked_cases):
    columns, found = sql(worked_cases, "SELECT * FROM dataset_pytest_flat_table_v1 ORDER BY recordid")
    assert set(columns) == {"recordid"} | PARTITIONED
    assert len(columns) == 5
    assert [row[columns.index("recordid")] for row in found] == ["one", "three", "two"]


def test_case_j2_through_sql(worked_cases):
    name = "dataset_pytest_nested_table_v1"
    columns, found = sql(worked_cases, f"SELECT * FROM {name} ORDER BY recordid")
    fields = {"recordid", "arrayofobjectsfield", "objectfield_filename", "objectfield_timestamp"}
    assert (len(found), set(columns)) == (3, fields | PARTITIONED)
    columns, found = sql(worked_cases, f"SELECT * FROM {name}_arrayofobjectsfield ORDER BY recordid")
    assert set(columns) == {"id", "index", "filename", "timestamp", "recordid"} | PARTITIONED
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    assert all(row["filename"] == row["timestamp"] == row["recordid"] for row in rows)
    assert [(row["assessmentid"], row["year"], row["month"], row["day"]) for row in rows] == [
        ("exampleassessment", "2022", "9", day) for day in ("1", "2", "1")
    ]
    joined = f"SELECT count(*) FROM {name} p JOIN {name}_arrayofobjectsfield c ON c.id = p.arrayofobjectsfield"
    assert sql(worked_cases, joined)[1] == [["3"]]


def test_the_commands_show_the_names_of_task_data(tmp_path):
    """The names of section 2, with the dotted quirk that consumers read."""
    (tmp_path / "in").mkdir()
    task = {"userInteractions": [{"controlEvent": ["touchDown", "touchUp"], "value": "x"}]}
    deliver(tmp_path / "in", "1", "r1", task)
    for mapping in (MAPPING, BRIDGE):
        ingest(tmp_path / "w", Folder(tmp_path / "in"), mapping=mapping.replace("Anything_v1", "sharedSchema_v1"))

    def told(*words, code=0):
        done = CliRunner().invoke(command, [*words, "--warehouse", str(tmp_path / "w")])
        assert done.exit_code == code, done.output
        return done.output

    assert EVENTS in told("tables")
    listed = {each["name"]: each["bridge"] for each in json.loads(told("tables", "--json"))}
    assert listed["sharedSchema_v1__userInteractions__controlEvent"] == EVENTS
    columns = {each["column"]: each["type"] for each in json.loads(told("tables", EVENTS, "--json"))}
    assert columns == {
        "id": "long", "index": "long", "userInteractions.val.controlEvent.val": "string", "recordid": "string",
        **dict.fromkeys(PARTITIONED, "string"),
    }  # fmt: skip
    assert "older than its name" in told("tables", EVENTS, "--version", "0", code=1)
    assert "has no version 99" in told("tables", EVENTS, "--version", "99", code=1)
    asked = f'SELECT "index", "userInteractions.val.controlEvent.val" FROM {EVENTS.upper()} ORDER BY 1'
    assert sql(tmp_path / "w", asked)[1] == [["0", "touchDown"], ["1", "touchUp"]]
    above = EVENTS.removesuffix("_controlEvent")
    joined = f"SELECT count(*) FROM {EVENTS} e JOIN {above} a ON a.controlEvent = e.id WHERE a.recordid = e.recordid"
    assert sql(tmp_path / "w", joined)[1] == [["2"]]


@pytest.mark.parametrize("text", ["no json", "[]x", '{"name": "x"}', '{"name": "x", "select": "1; SELECT 2"}'])
def test_a_view_that_carrel_did_not_write_is_never_run(tmp_path, text):
    (tmp_path / "in").mkdir()
    deliver(tmp_path / "in", "1", "r1", {"a": 1})
    ingest(tmp_path / "w", Folder(tmp_path / "in"), mapping=BRIDGE)
    table = DeltaTable(str(tmp_path / "w" / "tables" / "Anything_v1"))
    table.alter.set_table_properties({"carrel.bridge": text}, raise_if_not_exists=False)
    for words in (["sql", "SELECT 1"], ["tables"]):
        done = CliRunner().invoke(command, [*words, "--warehouse", str(tmp_path / "w")])
        assert done.exit_code == 1, done.output
        assert "property carrel.bridge of table Anything_v1 is not what Carrel writes" in done.output


@pytest.mark.parametrize("place", ["ingest.setting_view:1", "ingest.setting_view:3", "ingest.catalog_written:1"])
def test_killed_between_rows_and_names_the_next_run_gives_the_names(archives, tmp_path, place):
    code = (
        "import sys; from tests.ingest.run.test_bridge_naming import *; "
        "ingest(sys.argv[1], Folder(Path(sys.argv[2])), mapping=BRIDGE)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "CARREL_FAULT": place}
    words = [sys.executable, "-c", code, str(tmp_path / "w"), str(archives)]
    killed = subprocess.run(words, env=environment, cwd=ROOT, check=False, timeout=120).returncode
    assert killed == -signal.SIGKILL
    ingest(tmp_path / "w", Folder(archives), mapping=BRIDGE)
    assert views_are_the_export(tmp_path / "w", tmp_path / "out") > 10
