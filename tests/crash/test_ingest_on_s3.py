"""Kill an ingest into S3 where it is decisive, run it again, and find what a folder holds that was not interrupted."""

import json
import signal
from collections import Counter

import pytest
from tests.support.forked import Forker
from tests.support.ingest import state_of
from tests.support.ingest_crash import deliver
from tests.support.s3 import environment, new_bucket, pass_time

from carrel.ingest.store import WarehouseBusy, open_storage
from carrel.synthetic import Knobs, write

KNOBS = Knobs(seed=7, records=8, hz=2, seconds=1, odd_keys=0.5, reexports=0.5, duplicates=0.3, faults={"nan": 1})


@pytest.fixture(scope="module")
def forker():
    with Forker("tests.support.ingest_crash") as running:
        yield running


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write(KNOBS, folder)
    return folder / "archives"


@pytest.fixture(scope="module")
def quiet(archives, forker, tmp_path_factory):
    """(what a folder holds after two deliveries that nobody interrupted, how often each step is passed)"""
    warehouse = tmp_path_factory.mktemp("quiet")
    points = warehouse / "points"
    assert forker.call("deliver", str(warehouse), str(archives), points=points) == 0
    return state_of(warehouse), Counter(points.read_text().split())


@pytest.fixture
def warehouse(s3):
    return f"s3://{new_bucket(s3)}/study"


PLACES = (
    ("ingest.part_written", "middle"), ("ingest.deciding", "last"), ("ingest.decided", "first"),
    ("ingest.table_committed", "middle"), ("ingest.table_committed", "before the ledger"),
)  # fmt: skip
MORE = (
    ("ingest.locked", "first"), ("ingest.batches_done", "last"), ("ingest.deciding", "first"),
    ("ingest.decided", "last"), ("ingest.catalog_written", "last"), ("ingest.raw_published", "middle"),
    ("ingest.table_committed", "first"), ("ingest.swept", "first"), ("ingest.done", "first"),
)  # fmt: skip


@pytest.mark.parametrize(("step", "place"), [*PLACES, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)])
def test_killed_and_run_again_is_as_never_killed(step, place, archives, quiet, forker, s3, warehouse):
    state, passed = quiet
    last = passed[step]
    count = {"first": 1, "middle": (last + 1) // 2, "last": last, "before the ledger": last - 1}[place]
    killed = forker.call(
        "deliver_elsewhere", warehouse, str(archives), environ=environment(s3), kill_at=f"{step}:{count}"
    )
    assert killed == -signal.SIGKILL
    storage = open_storage(warehouse)
    with pytest.raises(WarehouseBusy, match="if it is dead, its lease ends in"):
        deliver(warehouse, archives)
    pass_time(storage)
    deliver(warehouse, archives)
    assert state_of(warehouse) == state
    assert strays(storage) == set()


def strays(storage):
    """Data files that no version of their table ever named, and what a run leaves in its own folder."""
    keys = list(storage.keys(""))
    logs = [key for key in keys if "/_delta_log/" in key and key.endswith(".json")]
    lines = [json.loads(line) for log in logs for line in (storage.read(log) or b"").splitlines()]
    named = {line["add"]["path"] for line in lines if "add" in line}
    data = {key for key in keys if "/part-" in key and key.rpartition("/")[2] not in named}
    return data | {key for key in keys if "/scratch/" in key or "/raw/" in key}
