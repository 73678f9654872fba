"""A study in a real repository, and a workspace of the job server that follows it.

`study_site` is a fixture: mirrors in a folder of the test, repositories by path allowed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.repos.conftest import Repo, new_repo
from tests.support.jobserver import add_workspace

from carrel.jobserver import settings, studies, study_data
from carrel.jobserver.models import Project, Workspace

PROJECT = """\
version: '5'
run_on: [north, south]
actions:
  extract:
    run: sqlrunner:v1 sql/extract.sql --output output/extract.csv
    outputs: {highly_sensitive: {rows: output/extract.csv}}
  normalise:
    needs: [extract]
    run: python:v2 python analysis/normalise.py
    outputs: {highly_sensitive: {rows: output/normalised.csv}}
  incentives:
    run_on: [south]
    needs: [normalise]
    run: python:v2 python analysis/incentives.py
    outputs: {moderately_sensitive: {table: output/incentives.csv}}
  visits:
    needs: [normalise]
    run: python:v2 python analysis/visits.py
    outputs: {moderately_sensitive: {table: output/visits.csv}}
    resources: {memory: 8G}
"""
FILES = {
    "project.yaml": PROJECT,
    "sql/extract.sql": "select patient_id, plan from visits\n",
    "analysis/normalise.py": "print(1)\n",
    "analysis/incentives.py": "print(2)\n",
    "analysis/visits.py": "print(3)\n",
}


@pytest.fixture
def study_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for repositories; what the job server keeps of them is in it too, and forgotten afterwards."""
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    # A machine that runs many tests may take long for anything.
    monkeypatch.setattr(study_data, "CHECK_SECONDS", 60.0)
    monkeypatch.setattr(studies, "COMPARE_SECONDS", 60.0)
    monkeypatch.setattr(studies, "READ_SECONDS", 60.0)
    monkeypatch.setattr(studies, "LOOK_SECONDS", 60.0)
    monkeypatch.setenv("WORKDIR", str(tmp_path / "workdir"))
    settings.get.cache_clear()
    yield tmp_path
    settings.get.cache_clear()


def make_study(folder: Path, files: dict[str, str] | None = None, message: str = "Round counts to five") -> Repo:
    """A repository whose branch `main` holds these files."""
    repo = new_repo(folder)
    repo.commit(FILES if files is None else files, message)
    return repo


def follow_study(project: Project, repo: Repo, name: str = "", **fields: Any) -> Workspace:
    """A workspace of this repository's branch `main`."""
    return add_workspace(project, name, repo_url=repo.url, **fields)
