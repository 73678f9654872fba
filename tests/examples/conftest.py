"""What the tests of example studies share: the toolchain's Python, and a study run with it action by action."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from carrel.project import load_pipeline

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def toolchain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has what requirements/python-v2.txt says, and nothing else."""
    folder = tmp_path_factory.mktemp("toolchain") / "python-v2"
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    requirements = ROOT / "requirements" / "python-v2.txt"
    sync = [*uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(requirements)]
    done = subprocess.run(sync, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"the packages of the toolchain cannot be had here: {done.stderr[-300:]}")
    return python


def run_study(study: Path, folder: Path, backend: str, toolchain: Path, database: str = "") -> None:
    """All actions of the backend, in the file's order, as processes with just what a job gets."""
    for name in ("analysis", "dummy"):
        (folder / name).symlink_to(study / name)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "OPENSAFELY_BACKEND": backend, "PYTHONDONTWRITEBYTECODE": "1"}
    programs = {
        "python:v2": [str(toolchain), "-W", "error"],
        "sqlrunner:v1": [sys.executable, "-m", "carrel.sqlrunner"],
    }
    pipeline = load_pipeline((study / "project.yaml").read_text()).for_backend(backend)
    for action in pipeline.actions.values():
        image, *args = action.run.parts
        args = args[1:] if args[0] == "python" else args
        secret = {"DATABASE_URL": database} if action.is_database_action and database else {}
        done = subprocess.run([*programs[image], *args], cwd=folder, env=env | secret, capture_output=True, text=True)
        assert done.returncode == 0, (action.action_id, done.stderr)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
