import json

import pytest
from click.testing import CliRunner

from carrel.cli.main import carrel

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
