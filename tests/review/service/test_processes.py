"""Real processes: killed between any two steps of adding a file, and checkers at the same instant on PostgreSQL."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.forked import Forker
from tests.support.postgres import running_cluster

POINTS = [
    "review.copy.begin",
    "review.copy.written",
    "review.copy.in_place",
    "review.file.looked",
    "review.file.row",
]
ROUNDS = 12


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker("tests.support.review_scenario") as running:
        yield running


def environ_of(folder: Path, database: str) -> dict[str, str]:
    (folder / "medium" / "workspaces").mkdir(parents=True, exist_ok=True)
    return {
        "MEDIUM_PRIVACY_STORAGE_BASE": str(folder / "medium"),
        "WORKDIR": str(folder / "workdir"),
        "BACKEND": "north",
        "CARREL_DATABASE_URL": database,
    }


def test_killed_while_a_file_is_added(forker: Forker, tmp_path: Path) -> None:
    first = tmp_path / "first"
    assert forker.call("prepare", environ=environ_of(first, f"sqlite:///{first}/db.sqlite")) == 0
    points = tmp_path / "points"
    for number, point in enumerate([*POINTS, None]):
        folder = tmp_path / str(number)
        shutil.copytree(first, folder)
        environ = environ_of(folder, f"sqlite:///{folder}/db.sqlite")
        expected = -signal.SIGKILL if point else 0
        assert forker.call("add", environ=environ, kill_at=point, points=None if point else points) == expected
        assert forker.call("verify", environ=environ) == 0, point
    assert points.read_text().split() == POINTS


@pytest.mark.postgresql
def test_checkers_at_the_same_instant(forker: Forker, tmp_path: Path) -> None:
    with running_cluster() as cluster:
        cluster.execute("CREATE DATABASE review")
        environ = environ_of(tmp_path, cluster.url("review"))
        assert forker.call("race", environ=environ, rounds=ROUNDS) == 0
