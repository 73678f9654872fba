"""What the reporter sends, in which company and order."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from carrel.agent.reporter import Reporter
from carrel.messages.tasks import TaskUpdate, UpdateOutcome

DEADLINE = 10.0


class Client:
    """Takes every batch, and remembers it."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, str]]] = []
        self.arrived = threading.Condition()

    def send(self, updates: Sequence[TaskUpdate]) -> list[UpdateOutcome]:
        with self.arrived:
            self.batches.append([(update.task_id, update.stage) for update in updates])
            self.arrived.notify_all()
        return [UpdateOutcome(task_id=update.task_id, status=200) for update in updates]

    def wait_for(self, count: int) -> list[list[tuple[str, str]]]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.batches) >= count, DEADLINE)
            return list(self.batches)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def reporter(client: Client) -> Iterator[Reporter]:
    started = Reporter(client)
    started.start()
    yield started
    started.stop(DEADLINE)


def _update(task: str, stage: str, *, complete: bool = False) -> TaskUpdate:
    return TaskUpdate(task_id=task, stage=stage, complete=complete, timestamp_ns=1)


def test_a_stage_takes_the_place_of_those_before_it(client: Client, reporter: Reporter) -> None:
    for stage in ("preparing", "prepared", "executing"):
        reporter.add(_update("a-001", stage))
    reporter.open()
    assert client.wait_for(1) == [[("a-001", "executing")]]


def test_an_end_takes_everybodys_stages_with_it_and_its_own_place(client: Client, reporter: Reporter) -> None:
    told = threading.Event()
    for task in ("a-001", "b-001"):
        reporter.add(_update(task, "executing"))
    reporter.add(_update("a-001", "finalized", complete=True), lambda status: told.set())
    reporter.open()
    assert client.wait_for(1)[0] == [("b-001", "executing"), ("a-001", "finalized")]
    assert told.wait(DEADLINE)


def test_no_end_is_ever_left_out(client: Client, reporter: Reporter) -> None:
    statuses: list[int] = []
    for _ in range(2):
        reporter.add(_update("a-001", "finalized", complete=True), statuses.append)
    reporter.open()
    assert client.wait_for(1)[0] == [("a-001", "finalized")] * 2
    reporter.stop(DEADLINE)
    assert statuses == [200, 200]


def test_what_is_queued_at_the_end_is_still_delivered(client: Client, reporter: Reporter) -> None:
    reporter.open()
    reporter.add(_update("a-001", "executing"))
    reporter.stop(DEADLINE)
    assert client.batches == [[("a-001", "executing")]]
