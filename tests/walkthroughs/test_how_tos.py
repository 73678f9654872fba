"""How-tos whose commands need no clone: run as they stand there, with this Carrel and the example study."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.support.docker import missing
from tests.support.shell import SYSTEM, Done, commands_of, run_script
from tests.support.walkthrough import Page

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.bubblewrap, pytest.mark.timeout(900)]


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


def test_building_a_toolchain_twice_takes_it_once(built: list[Done]) -> None:
    assert "python:v2  sha256:" in built[-1].printed


def test_a_study_for_several_backends(built: list[Done], place: Path, environment: dict[str, str]) -> None:
    commands = commands_of("how-to/several-backends.md")
    assert len(commands) == 3
    study = place / "examples/health-insurance"
    steps = succeeded(run_script(commands, study, environment))
    assert "incentives" not in steps[1].printed
    assert "incentives" in steps[2].printed
    assert (study / "output/.gitignore").exists()


def test_describing_data(place: Path, environment: dict[str, str]) -> None:
    """The example's own warehouse, described and looked at; `python` is this one, which has ingest."""
    study = place / "examples/mobile-assessments"
    steps = succeeded(run_script(commands_of("how-to/describe-your-data.md"), study, environment))
    printed = {step.command.partition(" --")[0]: step.printed for step in steps}
    assert "warning" not in printed["carrel catalogue build"]
    assert "responseTime" in steps[3].printed
    assert "TaskData_v1__steps" in steps[4].printed
    assert "extract: north; perhaps south (not checked: the backend has no catalogue)" in printed["carrel check"]
    assert len((study / "dummy/motion.csv").read_text().splitlines()) == 51
