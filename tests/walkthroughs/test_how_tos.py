"""How-tos whose commands need no clone: run as they stand there, with this Carrel and the example study."""

from pathlib import Path

import pytest
from tests.support.shell import Done, commands_of, run_script

from .conftest import succeeded

pytestmark = [pytest.mark.slow, pytest.mark.bubblewrap, pytest.mark.timeout(900)]


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
