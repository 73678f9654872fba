"""A newcomer's place: a clone of this very tree, an empty HOME, and Debian's own git and Python."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.shell import newcomers_environment

from carrel.repos.snapshot import commit_folder

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
