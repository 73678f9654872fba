"""What changed since an action succeeded: its code, or the data that it read."""

from datetime import UTC, datetime

import pytest
from tests.jobserver.runs.test_matrix import PIPELINE, state

from carrel.jobserver.runs.changes import changes_of, code_change, data_change, is_after, paths_of_commands

NORTH = PIPELINE.for_backend("north")
PATHS = paths_of_commands(NORTH)


def change(action: str, paths: set[str] | None, **fields):
    row = state("north", action, run_command=NORTH.actions[action].run_command, **fields)
    return code_change(NORTH.actions[action], row, paths, PATHS)


def test_paths_of_commands():
    assert {"extract.sql", "normalise.py", "figure.py"} <= PATHS


@pytest.mark.parametrize("paths", [set(), {"figure.py"}, {"project.yaml", "README.md", "docs/a.md", ".gitignore"}])
def test_what_changes_nothing_for_an_action(paths):
    assert change("normalise", paths) is None


def test_its_own_script_and_what_any_may_import():
    found = change("normalise", {"normalise.py", "lib/tables.py", "figure.py"})
    assert found.words == "code changed"
    assert found.title == "Changed since it succeeded at commit aaaaaaa: lib/tables.py, normalise.py."
    many = change("normalise", {f"lib/{number}.py" for number in range(5)})
    assert many.title.endswith("lib/0.py, lib/1.py, lib/2.py and 2 more.")


def test_codelists_are_for_what_reads_a_database():
    assert change("normalise", {"codelists/org-asthma.csv"}) is None
    assert change("extract", {"codelists/org-asthma.csv"}).words == "code changed"


def test_its_command():
    row = state("north", "normalise", run_command="python:v2 python old.py")
    assert code_change(NORTH.actions["normalise"], row, set(), PATHS).title.startswith("Its command changed")
    reusable = state("north", "normalise", run_command="r:v2 Rscript run.R python normalise.py")
    assert code_change(NORTH.actions["normalise"], reusable, set(), PATHS) is None


def test_code_that_is_too_old_to_compare():
    assert change("normalise", None).words == "older code"


@pytest.mark.parametrize(
    ("moment", "after"),
    [
        ("2026-05-04", True),
        ("2026-05-03", False),
        ("2026-05-03T09:00:01Z", True),
        ("2026-05-03T09:00:00Z", False),
        ("2026-05-02", False),
    ],
)
def test_a_day_counts_from_the_next_and_a_second_at_once(moment, after):
    assert is_after(moment, datetime(2026, 5, 3, 9, 0, tzinfo=UTC)) is after


def test_data():
    row = state("north", "extract")
    assert data_change(row, {}) is None
    assert data_change(row, {"visits": "2026-05-03"}) is None
    assert data_change(row, {"visits": "2026-05-04", "plans": "2026-06-01"}).title == (
        "Changed since it read them: plans, visits."
    )


def test_only_what_succeeded_is_compared_and_only_on_its_own_backend():
    states = {
        ("north", "extract"): state("north", "extract", run_command=NORTH.actions["extract"].run_command),
        ("south", "extract"): state("south", "extract", run_command=NORTH.actions["extract"].run_command),
        ("north", "figure"): state("north", "figure", "failed"),
        ("west", "gone"): state("west", "gone"),
    }
    pipelines = {slug: PIPELINE.for_backend(slug) for slug in ("north", "south")}
    changes = changes_of(
        pipelines,
        states,
        changed_paths={"a" * 40: {"figure.py"}},
        changed_tables={("north", "extract"): {"visits": "2026-05-04"}},
    )
    assert {cell: change.words for cell, change in changes.items()} == {("north", "extract"): "data changed"}
