"""What is told of how long the tests took: the slowest, each folder's seconds, and the budget, which is no test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "durations.py"
SUITE = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" time="1500.0">
<testcase classname="tests.agent.test_walk" name="test_links" time="2.5"/>
<testcase classname="tests.crash.test_kill.TestAll" name="test_point[a]" time="70.25"><failure/></testcase>
<testcase classname="tests.agent.test_gate" name="test_ends" time="4.0"/>
</testsuite></testsuites>"""
AGAIN = """<testsuites><testsuite name="pytest" time="420.0">
<testcase classname="tests.controller.test_api" name="test_ends" time="3.0"/></testsuite></testsuites>"""


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    (tmp_path / "suite.xml").write_text(SUITE)
    (tmp_path / "postgresql.xml").write_text(AGAIN)
    return tmp_path


def told(*words: object, github: bool = False) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != "GITHUB_ACTIONS"}
    environment |= {"GITHUB_ACTIONS": "true"} if github else {}
    command = [sys.executable, SCRIPT, *map(str, words)]
    return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout.splitlines()


def test_the_slowest_come_first_and_folders_are_summed(reports: Path) -> None:
    lines = told(reports)
    assert lines[1:5] == [
        "   70.25 s  tests.crash.test_kill.TestAll::test_point[a] (suite)",
        "    4.00 s  tests.agent.test_gate::test_ends (suite)",
        "    3.00 s  tests.controller.test_api::test_ends (postgresql)",
        "    2.50 s  tests.agent.test_walk::test_links (suite)",
    ]
    assert lines[6:9] == ["      70 s  tests.crash", "       6 s  tests.agent", "       3 s  tests.controller"]


def test_a_budget_that_is_exceeded_is_told_and_fails_nothing(reports: Path) -> None:
    assert told(reports, 35)[-1] == "the tests took 32 min 0 s of a budget of 35 min, 3 min 0 s to spare"
    over = "OVER BUDGET: the tests took 32 min 0 s of a budget of 30 min, 2 min 0 s too many"
    assert told(reports)[-1] == over
    assert told(reports, github=True)[-1] == f"::warning title=Tests over budget::{over}"
    assert (reports / "slowest.txt").read_text().startswith(f"{over}\n   70.25 s")


def test_a_run_that_never_began_has_nothing_to_tell(tmp_path: Path) -> None:
    assert told(tmp_path / "missing") == ["there are no reports in " + str(tmp_path / "missing")]
