"""Workers that die: their batches are done again, and what kills every worker is left out, by name."""

import os
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import pytest
from tests.support.ingest import Deadly, Folder, ingest, quarantined, state_of

from carrel.ingest.run import IngestOptions, inline, processes
from carrel.ingest.sources import SourceProblem
from carrel.ingest.store import WarehouseBusy, coordinator_lock, open_storage
from carrel.ingest.values import Fault
from carrel.synthetic import Knobs, write


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write(Knobs(records=8, hz=1, seconds=1), folder)
    return folder / "archives"


def test_a_worker_killed_mid_run_is_replaced_and_its_batch_done(archives, tmp_path):
    source = Deadly(archives, victim="000003", marker=tmp_path / "killed")
    report = ingest(tmp_path / "w", source, processes(2), IngestOptions(batch_archives=2))
    assert (tmp_path / "killed").exists()
    assert report.exit_code == 0
    ingest(tmp_path / "quiet", Folder(archives))
    assert state_of(tmp_path / "w") == state_of(tmp_path / "quiet")


def test_an_archive_that_kills_every_worker_stops_nothing_else(archives, tmp_path):
    report = ingest(tmp_path / "w", Deadly(archives, victim="000003"), processes(1), IngestOptions(batch_archives=4))
    assert report.exit_code == 4
    assert len(report.failures) == 1
    assert sum(report.dispositions.values()) == 7
    again = ingest(tmp_path / "w", Folder(archives))
    assert (again.known, sum(again.dispositions.values())) == (7, 1)


def test_one_coordinator_at_a_time(archives, tmp_path):
    with coordinator_lock(open_storage(str(tmp_path))), pytest.raises(WarehouseBusy):
        ingest(tmp_path, Folder(archives), inline())
    assert ingest(tmp_path, Folder(archives), inline()).exit_code == 0


@dataclass(frozen=True)
class Troubled(Folder):
    """A source that also holds something that is no archive."""

    def problems(self):
        return (SourceProblem("queue:message-1", Fault("source", "message", "the message is not JSON")),)


def test_what_is_no_archive_goes_to_quarantine_once(archives, tmp_path):
    report = ingest(tmp_path, Troubled(archives))
    assert report.quarantined == {"source/message": 1}
    assert report.dispositions["unreadable"] == 1
    assert ingest(tmp_path, Troubled(archives)).run_id is None
    assert quarantined(tmp_path) == {"queue:message-1": [[None, "source", "message"]]}


def test_workers_have_the_coordinators_environment(archives, tmp_path, monkeypatch):
    # The server that they are forked from may have begun before.
    ingest(tmp_path / "w", Folder(archives), processes(1))
    monkeypatch.setenv("CARREL_TEST_OF_WORKERS", "said later")
    with processes(1).make() as executor:
        assert executor.submit(os.getenv, "CARREL_TEST_OF_WORKERS").result() == "said later"


def test_a_batch_that_is_being_sent_to_a_dead_worker_holds_nobody_up():
    # More than a pipe takes, so that it is still being written when the worker dies.
    with processes(1).make() as executor:
        sent = [executor.submit(len, b" " * 5_000_000) for _ in range(3)]
        executor.submit(os._exit, 1)
        sent += [executor.submit(len, b" " * 5_000_000) for _ in range(3)]
        assert any(isinstance(each.exception(), BrokenProcessPool) for each in sent)
