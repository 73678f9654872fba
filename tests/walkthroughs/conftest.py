"""A newcomer's place: a clone of this very tree, an empty HOME, and Debian's own git and Python."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.browser import browser
from tests.support.docker import missing
from tests.support.shell import SYSTEM, Done, newcomers_environment, run_script
from tests.support.walkthrough import Page

from carrel.repos.snapshot import commit_folder

__all__ = ["browser"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Newcomer:
    """`repository` is what to clone, in place of an address; work is done in `folder`."""

    repository: Path
    folder: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    place = tmp_path_factory.mktemp("newcomer")
    commit_folder(ROOT, place / "repository.git")
    (place / "work").mkdir()
    return Newcomer(place / "repository.git", place / "work", newcomers_environment(place / "home"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Programs are this Python's, and toolchains are built for each module anew."""
    if shutil.which("bwrap") is None:
        missing("bwrap")
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TOOLCHAINS_DIR")}
    own = Path(sys.executable).parent
    caches = {"UV_CACHE_DIR": kept.get("UV_CACHE_DIR", str(Path.home() / ".cache/uv"))}
    return {**caches, **kept, "PATH": f"{own}:{SYSTEM}", "HOME": str(home), "EXECUTOR": "bubblewrap"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone has of examples and requirements."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("examples", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("output", "metadata", "__pycache__"))
    return folder


def succeeded(steps: list[Done]) -> list[Done]:
    assert [done for done in steps if done.code] == []
    return steps


@pytest.fixture(scope="module")
def built(place: Path, environment: dict[str, str]) -> list[Done]:
    (command,) = (text.strip() for text in Page.of("how-to/toolchains.md").in_language("") if "carrel" in text)
    return succeeded(run_script([command, command, "carrel toolchain list"], place, environment))
