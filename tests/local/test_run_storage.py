"""Where a study's results go is the researcher's: another disk, a folder that is kept from changes, odd modes.

Whatever it is, a run works or says why not, and the next run and `carrel clean` are not affected.
"""

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.disks import small_disk
from tests.support.local import CARREL, Study
from tests.support.users import as_ordinary_user

pytestmark = pytest.mark.bubblewrap


def _as_user(study: Study, *args: str) -> "subprocess.CompletedProcess[str]":
    command = [*as_ordinary_user(), str(CARREL), *args]
    return subprocess.run(
        command, cwd=study.folder, env=study.env, capture_output=True, text=True, timeout=60, check=False
    )


def test_results_on_another_disk(study: Study, tmp_path: Path):
    study.writes("a")
    other = tmp_path / "scratch"
    (study.folder / "output").symlink_to(other)
    with small_disk(other, "2m"):
        study.ok("run", "a")
        study.ok("run", "a")
        assert [path.name for path in other.iterdir()] == ["a.csv"]
        study.ok("clean")
    assert study.leftovers() == []


def test_results_on_a_disk_that_is_gone(study: Study, tmp_path: Path):
    study.writes("a")
    (study.folder / "output").symlink_to(tmp_path / "unmounted" / "scratch")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "a symbolic link that leads nowhere stands where its folder must be" in done.stdout
    study.ok("clean")
    assert study.leftovers() == []


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_that_may_not_be_written(study: Study, mode: int):
    study.writes("a")
    (study.folder / "output").mkdir()
    (study.folder / "output").chmod(mode)
    try:
        first, second, clean = (_as_user(study, *words) for words in (["run", "a"], ["run", "a"], ["clean"]))
    finally:
        (study.folder / "output").chmod(0o700)
    assert first.returncode == second.returncode == 1
    said = "output/ cannot be written by you (permission denied)" if mode else "my study/output: permission denied"
    assert said in first.stdout
    assert ".gitignore" not in first.stdout
    assert "Errno" not in first.stdout
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "succeeded" not in study.ok("status")
    assert study.leftovers() == []
    study.ok("run", "a")


@pytest.mark.parametrize("command", [["run", "a"], ["clean"]])
def test_a_study_that_may_not_be_written(study: Study, command: list[str]):
    study.writes("a")
    study.folder.chmod(0o500)
    try:
        done = _as_user(study, *command)
    finally:
        study.folder.chmod(0o700)
    assert done.returncode != 0
    assert "metadata cannot be written by you (permission denied)" in done.stdout + done.stderr
    assert "Errno" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "reason"), [("x" * 250 + ".csv", "longer than 251 bytes"), ("a\u200bb.csv", "not UTF-8")]
)
def test_the_reason_why_the_only_output_can_be_none_is_shown(study: Study, name: str, reason: str):
    code = f"import os; os.mkdir('output'); open('output/{name}', 'w').write('n')"
    study.action("a", code, "moderately_sensitive: {a: output/*.csv}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "can never be outputs" in done.stdout
    assert reason in done.stdout.replace("\n", " ")


@pytest.mark.parametrize("mode", [0o500, 0o000, 0o300])
def test_folders_that_a_job_left_without_rights_are_removed(study: Study, mode: int):
    code = f"""
        import os
        os.makedirs('output')
        open('output/a.csv', 'w').write('n\\n1\\n')
        os.makedirs('cache/mod')
        open('cache/mod/x', 'w').write('1')
        os.chmod('cache/mod', {mode})
        os.chmod('cache', {mode})
    """
    study.action("a", code, "highly_sensitive: {a: output/a.csv}")
    for _ in range(2):
        done = _as_user(study, "run", "a")
        assert done.returncode == 0, done.stdout + done.stderr
        assert study.leftovers() == []
    assert (study.folder / "output/a.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("damage", ["{", '{"committed_ns": 1, "operations": [{"root": 9, "remove": "x"}]}', "folder"])
@pytest.mark.parametrize("command", [["run", "a"], ["clean"]])
def test_no_journal_keeps_a_study_from_running(study: Study, damage: str, command: list[str]):
    study.writes("a")
    journal = study.folder / ".staging" / "old" / "journal.json"
    journal.parent.mkdir(parents=True)
    (study.folder / ".staging" / "t.csv").write_text("published by an old version\n")
    if damage == "folder":
        journal.mkdir()
    else:
        journal.write_text(damage)
    study.ok(*command)
    assert [path.name for path in (study.folder / ".staging").iterdir()] == ["t.csv"]


def test_an_output_that_the_job_made_unreadable_is_read(study: Study):
    code = """
        import os
        os.makedirs('output/closed')
        for path in ('output/a.csv', 'output/closed/a.csv'):
            open(path, 'w').write('n\\n1\\n')
            os.chmod(path, 0)
        os.chmod('output/closed', 0)
    """
    study.action("a", code, "highly_sensitive: {a: output/a.csv, b: output/closed/a.csv}")
    done = _as_user(study, "run", "a")
    assert done.returncode == 0, done.stdout + done.stderr
    assert study.read("output/a.csv") == study.read("output/closed/a.csv") == "n\n1\n"
    assert study.leftovers() == []


def test_an_input_is_no_output_of_the_action_that_was_given_it(study: Study):
    study.writes("make")
    code = "open('output/table.csv', 'w').write('n\\n10\\n')\nimport os; os.utime('output/make.csv')"
    study.action("use", code, "moderately_sensitive: {t: output/*.csv}", needs="make")
    study.ok("run", "use")
    assert study.record("use")["outputs"] == {"output/table.csv": "moderately_sensitive"}
    outputs = json.loads(study.read("metadata/manifest.json"))["outputs"]
    assert (outputs["output/make.csv"]["level"], outputs["output/make.csv"]["action"]) == ("highly_sensitive", "make")
    assert "did not change" in study.read("metadata/use.log")


@pytest.mark.parametrize("folder", [".git", ".staging", ".carrel", "metadata"])
def test_no_output_is_written_into_folders_that_are_not_the_studys(study: Study, folder: str):
    code = f"import os; os.makedirs('{folder}'); open('{folder}/manifest.json', 'w').write('mine')"
    study.action("a", code, "highly_sensitive: {a: '*/manifest.json'}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "No outputs found matching patterns" in done.stdout
    assert not (study.folder / folder / "manifest.json").exists() or study.read(f"{folder}/manifest.json") != "mine"
    assert study.leftovers() == []


def test_too_many_outputs_fail_the_action_with_its_log(study: Study):
    code = """
        import os
        os.makedirs('output')
        for number in range(10_001):
            open(f'output/{number}.csv', 'w').close()
        print('made them')
    """
    study.action("a", code, "highly_sensitive: {a: output/*.csv}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "at most 10000 can be stored" in done.stdout
    assert "made them" in study.read("metadata/a.log")
    assert study.leftovers() == []
