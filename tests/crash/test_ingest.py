"""Kill the ingest at every step, run it again, and find what a run that was never killed finds."""

import json
import signal
from collections import Counter

import pytest
from tests.support.forked import Forker
from tests.support.ingest import expected, state_of
from tests.support.ingest_crash import deliver

from carrel.synthetic import Knobs, write

KNOBS = Knobs(
    seed=5, records=14, hz=2, seconds=1, odd_keys=0.5, reexports=0.4, duplicates=0.3,
    faults={"nan": 1, "truncated_zip": 1, "schema_invalid": 1},
)  # fmt: skip

STEPS = (
    "ingest.locked", "ingest.listed", "ingest.begun", "ingest.archive_read", "ingest.archive_taken", "ingest.flushed",
    "ingest.part_written", "ingest.batches_done", "ingest.part_rewritten", "ingest.file_rewritten", "ingest.deciding",
    "ingest.decided", "ingest.catalog_written", "ingest.table_committed", "ingest.swept", "ingest.done",
    "ingest.acknowledged", "ingest.raw_packed", "ingest.raw_published",
    "ingest.columns_added",
)  # fmt: skip


@pytest.fixture(scope="module")
def forker():
    with Forker("tests.support.ingest_crash") as running:
        yield running


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder / "archives", write(KNOBS, folder)


@pytest.fixture(scope="module")
def quiet(study, forker, tmp_path_factory):
    """(what two deliveries come to when nobody is killed, how often each step is passed)"""
    warehouse = tmp_path_factory.mktemp("quiet")
    points = warehouse / "points"
    assert forker.call("deliver", str(warehouse), str(study[0]), points=points) == 0
    return state_of(warehouse), Counter(points.read_text().split())


def test_no_step_was_forgotten(quiet):
    assert {step for step in quiet[1] if step.startswith("ingest.")} == set(STEPS)


def test_the_scenario_ends_as_the_truth_says(study, quiet):
    dispositions = {line[0].removeprefix("folder:").removesuffix(".zip"): line[3] for line in quiet[0]["ledger"]}
    assert dispositions == expected(study[1])[0]


@pytest.mark.parametrize(
    "place", ["first", pytest.param("middle", marks=pytest.mark.slow), pytest.param("last", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("step", STEPS)
def test_killed_and_run_again_is_as_never_killed(step, place, study, quiet, forker, tmp_path):
    state, passed = quiet
    count = {"first": 1, "middle": (passed[step] + 1) // 2, "last": passed[step]}[place]
    killed = forker.call("deliver", str(tmp_path), str(study[0]), kill_at=f"{step}:{count}")
    assert killed == -signal.SIGKILL
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
