"""What ingest makes in somebody's repository is not for git: a hurried `git add -A` takes no row of anybody."""

import json
import subprocess
from contextlib import chdir

import pytest
from click.testing import CliRunner

from carrel.ingest.cli import ingest

STEPS = (
    "generate study --records 6 --hz 2",
    "schemas add study/schemas",
    "run study/archives --workers 0 --raw-json",
    "archive MotionRecord_v1",
    "compact",
    "export handed/over --raw-json",
    "withdraw --healthcode participant-0000 --yes",
    "reconcile study/archives",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    settings = {"WAREHOUSE": "data/warehouse", "INGEST_SCHEMAS": "schemas", "INGEST_MAPPING": "study/mapping.yaml"}
    for name, place in settings.items():
        monkeypatch.setenv(f"CARREL_{name}", place)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    with chdir(tmp_path):
        for step in STEPS:
            done = CliRunner().invoke(ingest, step.split())
            assert done.exit_code in (0, 3), done.output
    return tmp_path


def test_git_takes_neither_warehouse_nor_exports(folder):
    subprocess.run(["git", "-C", folder, "add", "-A"], check=True)
    listed = subprocess.run(["git", "-C", folder, "ls-files"], check=True, capture_output=True, text=True).stdout
    assert {path.split("/")[0] for path in listed.splitlines()} == {"schemas", "study"}
    assert (folder / "handed/over/_SUCCESS").exists()
    assert json.loads((folder / "study/truth.json").read_text())["tables"]


def test_an_export_that_was_killed_is_begun_anew(folder):
    """Its .gitignore is not taken for somebody's file."""
    again = folder / "again"
    (again / "_unfinished").mkdir(parents=True)
    (again / "_unfinished/_STARTED").write_text(str(folder / "data/warehouse"))
    (again / ".gitignore").write_text((folder / "handed/over/.gitignore").read_text())
    with chdir(folder):
        done = CliRunner().invoke(ingest, ["export", "again"])
    assert done.exit_code == 0, done.output
