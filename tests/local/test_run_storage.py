"""Where a study's results go is the researcher's: another disk, a folder that is kept from changes, odd modes.

Whatever it is, a run works or says why not, and the next run and `carrel clean` are not affected.
"""

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
    assert "permission denied" in first.stdout.lower()
    assert "output" in first.stdout
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "succeeded" not in study.ok("status")
    assert study.leftovers() == []
    study.ok("run", "a")


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
