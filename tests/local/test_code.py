"""When what a job may see of a study has changed, and what earlier runs made of it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.repos.hostile import IDENTITY

from carrel.local.code import Hashes, find_former_outputs, read_version
from carrel.local.errors import LocalError
from carrel.local.study import Study
from carrel.outputs.study_files import find_study_files, hidden_from_jobs
from carrel.project import load_pipeline

HIDDEN = hidden_from_jobs(["output/*.csv"])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("1")
    (tmp_path / "run.sh").write_text("x")
    (tmp_path / "cur.py").symlink_to("a.py")
    (tmp_path / "lookup\u30001.csv").write_text("1")
    (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_text("1")
    (tmp_path / "hard.py").hardlink_to(tmp_path / "a.py")
    (tmp_path / "output/a.csv").write_text("1")
    return tmp_path


def point_elsewhere(folder: Path) -> None:
    (folder / "cur.py").unlink()
    (folder / "cur.py").symlink_to("b.py")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda f: (f / "a.py").write_text("2"), False),
        (lambda f: (f / "new.py").touch(), False),
        (lambda f: (f / "a.py").rename(f / "c.py"), False),
        (point_elsewhere, False),
        (lambda f: (f / "hard.py").write_text("2"), False),
        (lambda f: (f / "lookup\u30001.csv").write_text("2"), False),
        (lambda f: (f / os.fsdecode(b"caf\xe9.csv")).write_text("2"), False),
        (lambda f: (f / "run.sh").chmod(0o755), False),
        (lambda f: (f / "gone").symlink_to("nowhere"), False),
        (lambda f: (f / "run.sh").chmod(0o600), True),
        (lambda f: (f / "output/a.csv").write_text("2"), True),
        (lambda f: (f / "a.py").touch(), True),
        (lambda f: (f / "empty").mkdir(), True),
    ],
)
def test_the_hash_of_the_code(folder, change, same):
    hashes = Hashes()
    before = hashes.hash_code(folder, find_study_files(folder, HIDDEN))
    change(folder)
    after = find_study_files(folder, HIDDEN)
    assert (hashes.hash_code(folder, after) == before) is same
    assert Hashes().hash_code(folder, after) == hashes.hash_code(folder, after)


def test_a_folder_that_is_no_repository_has_no_version(tmp_path):
    assert read_version(tmp_path).commit == ""


def made_before(folder: Path, *paths: str) -> None:
    (folder / "metadata").mkdir()
    (folder / "metadata/manifest.json").write_text(json.dumps({"outputs": {path: {} for path in paths}}))
    for path in paths:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("x")


PIPELINE = load_pipeline(
    "version: 5\nactions: {a: {run: 'python:v2 a.py', outputs: {highly_sensitive: {x: output/new.csv}}}}"
)


def test_outputs_of_earlier_runs_that_no_action_makes_now(tmp_path):
    made_before(tmp_path, "output/old.csv", "output/new.csv", "output/gone.csv", "output/[odd]*.csv")
    (tmp_path / "output/gone.csv").unlink()
    assert find_former_outputs(Study(tmp_path), PIPELINE) == ["output/[odd]*.csv", "output/old.csv"]


def test_an_output_that_was_committed_since_is_code(tmp_path):
    made_before(tmp_path, "output/old.csv", "output/kept.csv")
    for args in (["init", "-q"], ["add", "output/kept.csv"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *args], cwd=tmp_path, env={**os.environ, **IDENTITY}, check=True)
    assert find_former_outputs(Study(tmp_path), PIPELINE) == ["output/old.csv"]


def test_a_manifest_that_cannot_be_read_hides_nothing_by_silence(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/manifest.json").write_text("{")
    with pytest.raises(LocalError, match=r"is damaged: move metadata/manifest\.json away"):
        find_former_outputs(Study(tmp_path), PIPELINE)
