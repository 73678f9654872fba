import json

import pytest
from click.testing import CliRunner

from carrel.cli.main import carrel
from carrel.messages.catalogue import (
    Catalogue,
    CatalogueColumn,
    CatalogueDatabase,
    CatalogueTable,
    DataSet,
    dump_catalogue,
)

GOOD = """version: '5'
actions:
  a:
    run: python:v2 python a.py
    outputs: {highly_sensitive: {a: output/a.csv}}
"""
BAD = GOOD.replace("output/a.csv", "/output/a.csv") + "    needs: [b]\n"
OLD = GOOD.replace("'5'", "'2'")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*args):
    return CliRunner().invoke(carrel, ["check", *args])


def test_a_good_file(here):
    (here / "project.yaml").write_text(GOOD)
    result = check()
    assert (result.exit_code, result.output) == (0, "No problems found.\n")


def test_every_error_is_one_line_with_its_place(here):
    (here / "project.yaml").write_text(BAD)
    result = check()
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert any(line.startswith("project.yaml:5:") and "is an absolute path" in line for line in lines)
    assert any(line.startswith("project.yaml:6:") and "unknown action in its `needs` list: b" in line for line in lines)


def test_a_warning_alone_is_no_failure(here):
    (here / "project.yaml").write_text(OLD)
    result = check()
    assert result.exit_code == 0
    assert "warning: " in result.output


def test_several_files_by_name_as_a_hook_gives_them(here):
    (here / "sub").mkdir()
    (here / "project.yaml").write_text(GOOD)
    (here / "sub/project.yaml").write_text(BAD)
    result = check("project.yaml", "sub/project.yaml")
    assert result.exit_code == 1
    assert {line.partition(":")[0] for line in result.output.splitlines()} == {"sub/project.yaml"}


def test_what_is_wrong_in_the_side_file_is_found(here):
    (here / "project.yaml").write_text(GOOD)
    (here / "backends.yaml").write_text("actions: {zzz: {run_on: [tpp]}}\n")
    result = check()
    assert result.exit_code == 1
    assert result.output.startswith("backends.yaml:1:")


def test_formats_for_programs(here):
    (here / "project.yaml").write_text(BAD)
    found = json.loads(check("--format", "json").output)
    assert {problem["severity"] for problem in found} == {"error"}
    assert {problem["line"] for problem in found} == {5, 6}
    annotations = check("--format", "github").output.splitlines()
    assert all(line.startswith("::error file=project.yaml,line=") for line in annotations)
    assert len(annotations) == len(found)


def test_a_missing_file_is_a_sentence(here):
    result = check("nothing.yaml")
    assert "nothing.yaml cannot be read" in str(result.exception)


def test_the_schema_is_json(here):
    assert json.loads(CliRunner().invoke(carrel, ["schema"]).output)["$schema"]


def test_the_graph_of_a_study(here):
    (here / "project.yaml").write_text(GOOD)
    assert CliRunner().invoke(carrel, ["graph"]).output == 'flowchart TD\n    a0["a"]\n'
    assert CliRunner().invoke(carrel, ["graph", "--format", "svg", "-o", "g.svg"]).exit_code == 0
    assert (here / "g.svg").read_text().startswith("<svg ")
    assert CliRunner().invoke(carrel, ["graph", "--format", "dot"]).output.startswith("digraph study {")


def test_the_plan_of_a_study_that_never_ran(here):
    (here / "project.yaml").write_text(GOOD)
    assert "a  will run: " in CliRunner().invoke(carrel, ["plan"]).output
    assert json.loads(CliRunner().invoke(carrel, ["plan", "a", "--json"]).output)[0]["does"] == "run"
    unknown = CliRunner().invoke(carrel, ["plan", "zzz"])
    assert unknown.exit_code == 1


SQL_STUDY = """version: '5'
actions:
  extract:
    run: sqlrunner:v1 a.sql --output output/a.csv
    outputs: {highly_sensitive: {a: output/a.csv}}
  table:
    run: python:v2 python b.py
    needs: [extract]
    outputs: {moderately_sensitive: {b: output/b.csv}}
"""


def catalogue_file(path, backend, *columns):
    listed = tuple(CatalogueColumn(name=column) for column in columns)
    data_set = DataSet(name="all", tables=(CatalogueTable(name="tests", columns=listed),))
    database = CatalogueDatabase(dialect="duckdb", data_sets=(data_set,))
    path.write_bytes(dump_catalogue(Catalogue(backend=backend, built="2026-12-01", databases=(database,))))


@pytest.fixture
def study(here):
    (here / "project.yaml").write_text(SQL_STUDY)
    (here / "a.sql").write_text("SELECT patient_id, sgss_status FROM tests")
    (here / "data").mkdir()
    catalogue_file(here / "data/north.json", "north", "patient_id", "sgss_status")
    catalogue_file(here / "data/south.json", "south", "patient_id")
    return here


def test_with_catalogues_it_says_where_each_action_can_run(study):
    result = check("--catalogue", "data/north.json", "--catalogue", "data/south.json")
    assert result.exit_code == 0
    assert result.output == (
        "project.yaml:4:10: warning: Action extract cannot run on south: south has no `sgss_status` in `tests`\n"
        "Where each action can run, by the catalogues of north, south:\n"
        "  extract: north; not south (south has no `sgss_status` in `tests`)\n"
        "  table: north; not south (needs `extract`, which cannot run on south)\n"
    )


def test_an_action_that_can_run_nowhere_is_an_error(study):
    result = check("--catalogue", "data/south.json")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == "project.yaml:4:10: Action extract can run nowhere: south has no `sgss_status` in `tests`"
    assert lines[1] == "project.yaml:7:10: Action table can run nowhere: needs `extract`, which cannot run on south"


def test_what_is_not_checked_is_no_failure(study):
    (study / "a.sql").unlink()
    result = check("--catalogue", "data/south.json")
    assert result.exit_code == 0
    assert result.output.startswith("No problems found.\n")
    assert "extract: perhaps south (not checked: a.sql is no text file of the study)" in result.output


def test_where_actions_run_as_json(study):
    told = json.loads(check("--catalogue", "data", "--format", "json").output)
    assert [problem["rule"] for problem in told["problems"]] == ["data-missing"]
    assert told["where_actions_run"][0] == {
        "action": "extract",
        "runs_on": ["north"],
        "not_checked": {},
        "cannot_run": {"south": "south has no `sgss_status` in `tests`"},
    }


@pytest.mark.parametrize("found_by", ["setting", "site"])
def test_catalogues_are_found_without_being_named(study, monkeypatch, found_by):
    if found_by == "setting":
        monkeypatch.setenv("CATALOGUES_DIR", "data")
    else:
        (study / ".carrel").mkdir()
        (study / "data").rename(study / ".carrel/catalogues")
    assert "Action extract cannot run on south" in check().output


def test_the_command_of_catalogues_says_the_same(study):
    result = CliRunner().invoke(carrel, ["catalogue", "check", ".", "--catalogue", "data"])
    assert result.output == check("--catalogue", "data").output
    assert CliRunner().invoke(carrel, ["catalogue", "check", "project.yaml", "--catalogue", "data"]).exit_code == 0


def test_backends_that_the_study_names_and_nobody_describes(study):
    (study / "project.yaml").write_text(SQL_STUDY.replace("actions:", "run_on: [north, east]\nactions:", 1))
    result = check("--catalogue", "data")
    assert "Backend `north`" not in result.output
    assert "Backend `east` is not one we have heard of" in result.output
    assert "extract: north; perhaps east (not checked: the backend has no catalogue)" in result.output


def test_one_command_for_each_backend(study):
    one = "sqlrunner:v1 a.sql --output output/a.csv"
    (study / "project.yaml").write_text(SQL_STUDY.replace(f"run: {one}", f"run: {{north: {one}, south: {one} }}"))
    assert "project.yaml:4:67: warning: Action extract cannot run on south" in check("--catalogue", "data").output


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda data: (data / "south.json").write_text("{}"), "data/south.json: backend: Field required"),
        (lambda data: catalogue_file(data / "again.json", "north"), "the backend north has a catalogue already"),
        (lambda data: [path.unlink() for path in data.iterdir()], "data: the folder holds no catalogue"),
    ],
)
def test_catalogues_that_cannot_be_used(study, make, said):
    make(study / "data")
    result = check("--catalogue", "data")
    assert (result.exit_code, said in result.output) == (1, True), result.output
