"""Kill the ingest while it keeps raw JSON, run it again, and find what a run that was never killed finds."""

import signal

import pytest
from tests.support.forked import Forker
from tests.support.ingest import state_of
from tests.support.raw_json_crash import archives, deliver

TIMES = {
    "ingest.raw_packed": (1, 2, 3),
    "ingest.raw_published": (7, 1, 4, 6, 8),
    "ingest.raw_deleted": (1, 2, 4),
    "ingest.decided": (2, 1, 3),
    "ingest.swept": (2, 1, 3),
    "ingest.forgotten": (1, 2),
}
"""step -> at which passing of it the process is killed, the most telling one first"""
KILLS = [
    pytest.param(f"{step}:{count}", marks=() if count == counts[0] else pytest.mark.slow)
    for step, counts in TIMES.items()
    for count in counts
]


@pytest.fixture(scope="module")
def forker():
    with Forker("tests.support.raw_json_crash") as running:
        yield running


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """(the archives, the warehouse as it is when nobody is killed)"""
    folder = tmp_path_factory.mktemp("quiet")
    archives(folder / "archives")
    deliver(folder / "warehouse", folder / "archives")
    return folder / "archives", state_of(folder / "warehouse")


def test_the_scenario_replaces_and_withdraws(quiet):
    names = {key.rpartition("/")[2]: value["a"] for key, value in quiet[1]["raw_json"].items()}
    assert names == {"record-0.ndjson": 10, "record-1.ndjson": 11}


@pytest.mark.parametrize("kill_at", KILLS)
def test_killed_and_run_again_is_as_never_killed(kill_at, quiet, forker, tmp_path):
    folder, state = quiet
    assert forker.call("deliver", str(tmp_path), str(folder), kill_at=kill_at) == -signal.SIGKILL
    deliver(tmp_path, folder)
    assert state_of(tmp_path) == state
    assert not [path for kind in ("scratch", "raw") for path in tmp_path.glob(f"_runs/*/{kind}/*")]
