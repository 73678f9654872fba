"""Kill the ingest at every step, run it again, and find what a run that was never killed finds."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.ingest import expected, state_of
from tests.support.ingest_crash import deliver

from carrel.synthetic import Knobs, write

KNOBS = Knobs(
    seed=5, records=14, hz=2, seconds=1, odd_keys=0.5, reexports=0.4, duplicates=0.3,
    faults={"nan": 1, "truncated_zip": 1, "schema_invalid": 1},
)  # fmt: skip
ROOT = Path(__file__).parents[2]

STEPS = (
    "ingest.locked", "ingest.listed", "ingest.begun", "ingest.archive_read", "ingest.archive_taken", "ingest.flushed",
    "ingest.part_written", "ingest.batches_done", "ingest.part_rewritten", "ingest.file_rewritten", "ingest.deciding",
    "ingest.decided", "ingest.catalog_written", "ingest.table_committed", "ingest.swept", "ingest.done",
    "ingest.acknowledged", "ingest.raw_packed", "ingest.raw_published",
    "ingest.columns_added",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder / "archives", write(KNOBS, folder)


@pytest.fixture(scope="module")
def quiet(study, tmp_path_factory):
    """(what two deliveries come to when nobody is killed, how often each step is passed)"""
    warehouse = tmp_path_factory.mktemp("quiet")
    points = warehouse / "points"
    assert scenario(warehouse, study[0], points=points) == 0
    return state_of(warehouse), Counter(points.read_text().split())


def scenario(warehouse, archives, points=None, kill_at=None):
    command = [sys.executable, "-m", "tests.support.ingest_crash", str(warehouse), str(archives)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    environment |= {"CARREL_FAULT": kill_at} if kill_at else {}
    command += [str(points)] if points else []
    return subprocess.run(command, env=environment, cwd=ROOT, check=False, timeout=120).returncode


def test_no_step_was_forgotten(quiet):
    assert {step for step in quiet[1] if step.startswith("ingest.")} == set(STEPS)


def test_the_scenario_ends_as_the_truth_says(study, quiet):
    dispositions = {line[0].removeprefix("folder:").removesuffix(".zip"): line[3] for line in quiet[0]["ledger"]}
    assert dispositions == expected(study[1])[0]


@pytest.mark.parametrize(
    "place", ["first", pytest.param("middle", marks=pytest.mark.slow), pytest.param("last", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("step", STEPS)
def test_killed_and_run_again_is_as_never_killed(step, place, study, quiet, tmp_path):
    state, passed = quiet
    count = {"first": 1, "middle": (passed[step] + 1) // 2, "last": passed[step]}[place]
    assert scenario(tmp_path, study[0], kill_at=f"{step}:{count}") == -signal.SIGKILL
    deliver(tmp_path, study[0])
    assert state_of(tmp_path) == state
    assert strays(tmp_path) == set()


def strays(warehouse):
    """Data files that no version of their table ever named."""
    found = set()
    for log in warehouse.glob("**/_delta_log"):
        lines = [json.loads(line) for file in log.glob("*.json") for line in file.read_text().splitlines()]
        named = {line["add"]["path"] for line in lines if "add" in line}
        found |= {str(file) for file in log.parent.glob("*.parquet") if file.name not in named}
    return found | {str(path) for kind in ("scratch", "raw") for path in warehouse.glob(f"_runs/*/{kind}/*")}
