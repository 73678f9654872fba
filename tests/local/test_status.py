"""Status and stale detection, after real runs."""

import json
import subprocess

import pytest
from tests.support.local import Study
from tests.support.waiting import until

pytestmark = pytest.mark.bubblewrap


@pytest.fixture
def done(study: Study):
    study.writes("a").writes("b", needs="a")
    study.ok("run", "run_all")
    return study


def stale(study: Study) -> dict[str, list[str]]:
    return {each["action"]: each["stale"] for each in json.loads(study.ok("status", "--json"))}


def test_what_has_just_run_is_up_to_date(done: Study):
    assert stale(done) == {"a": [], "b": []}
    lines = done.ok("status").splitlines()
    assert lines[0].split() == ["ACTION", "STATE", "FINISHED", "COMMIT", "UP", "TO", "DATE"]
    assert lines[1].startswith("a       succeeded")
    assert lines[1].endswith("yes")


def test_changed_code_is_noticed_and_changed_outputs_are_not_code(done: Study):
    (done.folder / "a.py").write_text("print(2)")
    assert stale(done) == {"a": ["code changed"], "b": ["code changed"]}


def test_a_changed_input_is_noticed_by_what_needs_it(done: Study):
    (done.folder / "output/a.csv").write_text("other")
    assert stale(done) == {"a": [], "b": ["inputs changed"]}


def test_a_missing_output_is_noticed(done: Study):
    (done.folder / "output/b.csv").unlink()
    assert stale(done)["b"] == ["outputs missing"]


def test_a_changed_command_and_image_are_noticed(done: Study, toolchains):
    text = done.read("project.yaml")
    (done.folder / "project.yaml").write_text(text.replace("python:v2 python b.py", "python:v3 python b.py"))
    assert stale(done)["b"] == ["code changed", "command changed", "image changed"]


def test_an_action_that_never_ran(study: Study):
    study.writes("a")
    assert "a       never ran" in study.ok("status")
    refused = study.carrel("logs", "a")
    assert (refused.returncode, refused.stderr) == (1, "a has not run here yet: there is no metadata/a.log\n")
    assert study.carrel("logs", "zzz").returncode == 1


def test_the_commit_is_recorded(study: Study):
    study.writes("a")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], cwd=study.folder, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=study.folder, check=True, capture_output=True, text=True)
    study.ok("run", "a")
    assert (study.record("a")["commit"], study.record("a")["dirty"]) == (head.stdout.strip(), False)
    (study.folder / "a.py").write_text(study.read("a.py") + "\n")
    study.ok("run", "a")
    assert study.record("a")["dirty"] is True
    assert f"{head.stdout[:7]} + changes" in study.ok("status")


def test_a_damaged_record_counts_as_never_run(done: Study):
    (done.folder / "metadata/jobs/a.json").write_text("{")
    assert "a  will run: has not run here before" in done.ok("plan")


def test_a_failed_action_is_never_called_up_to_date(study: Study):
    study.action("a", "raise SystemExit(1)", "highly_sensitive: {a: output/a.csv}")
    assert study.carrel("run", "a").returncode == 1
    assert stale(study) == {"a": ["failed"]}


def test_what_debug_kept_is_not_running(study: Study):
    study.writes("a").action("b", "raise SystemExit(3)", "highly_sensitive: {b: output/b.csv}")
    study.ok("run", "a", "--debug")
    assert study.leftovers()
    assert "running" not in study.ok("status")
    assert study.carrel("run", "b", "--debug").returncode == 1
    assert "running" not in study.ok("status")


def test_what_a_kill_left_is_not_running(study: Study):
    study.action("a", "import time; open('up', 'w'); time.sleep(1000)", "highly_sensitive: {a: output/a.csv}")
    run = study.start("run", "a")
    until(lambda: "running" in study.ok("status"), "its start")
    run.kill()
    run.communicate()
    assert "running" not in study.ok("status")
