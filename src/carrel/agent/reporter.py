"""Delivers reports to the controller, in order, in batches, for as long as it takes.

What others wait for (how an attempt ended) goes at once. A stage on the way there waits a moment for what may follow:
the next one takes its place, and those of many jobs go together. So a short job costs one request, not seven.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from carrel.agent.client import ControllerUnavailable, TaskClient
from carrel.messages.tasks import TaskUpdate, UpdateOutcome

logger = logging.getLogger(__name__)
PAUSES = (0.2, 1.0, 3.0, 10.0, 30.0)
"""Seconds between tries while the controller is away."""
BATCH = 200
LINGER_SECONDS = 0.1
"""How long a stage may wait for company."""


@dataclass(frozen=True, slots=True)
class QueuedUpdate:
    """An update, and who is to be told what became of it (its HTTP status)."""

    update: TaskUpdate
    told: Callable[[int], None] | None = None
    due: float = field(default_factory=time.monotonic)
    """When to send it, by the monotonic clock; what is sent at all takes with it what is not yet due."""


class Reporter(threading.Thread):
    """A queue with one thread behind it. What is lost in a crash is derived again from the disk."""

    def __init__(self, client: TaskClient) -> None:
        super().__init__(name="reporter", daemon=True)
        self._client = client
        self._queue: list[QueuedUpdate] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._open = False

    def open(self) -> None:
        """The controller has answered once, so that it is known how to speak to it."""
        with self._changed:
            self._open = True
            self._changed.notify()

    def add(self, update: TaskUpdate, told: Callable[[int], None] | None = None) -> None:
        with self._changed:
            idle = [report for report in self._queue if _made_idle_by(report.update, update)]
            self._queue = [report for report in self._queue if not _made_idle_by(report.update, update)]
            due = time.monotonic() + (0 if update.complete or update.publish else LINGER_SECONDS)
            self._queue.append(QueuedUpdate(update, told, min([due, *(report.due for report in idle)])))
            self._changed.notify()

    def stop(self, timeout: float) -> None:
        """Deliver what is queued, if the controller takes it within `timeout` seconds, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self.is_alive():
            self.join(timeout)

    def run(self) -> None:
        failures = 0
        while (batch := self._next_batch()) is not None:
            try:
                outcomes = self._client.send([report.update for report in batch])
            except ControllerUnavailable as error:
                failures = self._pause(failures, error)
                continue
            except Exception:
                logger.exception("Reports could not be sent")
                failures = self._pause(failures, None)
                continue
            failures = 0
            self._delivered(batch, outcomes)

    def _next_batch(self) -> list[QueuedUpdate] | None:
        with self._changed:
            while not self._stopping and (wait := self._seconds_to_wait()) != 0:
                self._changed.wait(wait)
            if self._stopping and not (self._open and self._queue):
                return None
            return self._queue[:BATCH]

    def _seconds_to_wait(self) -> float | None:
        """Until there is something to send; None: until something changes."""
        if not (self._open and self._queue):
            return None
        return max(0.0, min(report.due for report in self._queue) - time.monotonic())

    def _pause(self, failures: int, error: Exception | None) -> int:
        if failures == 0 and error:
            logger.warning("%s; %d report(s) wait", error, len(self._queue))
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, PAUSES[min(failures, len(PAUSES) - 1)])
            if self._stopping and failures:
                self._queue.clear()
        return failures + 1

    def _delivered(self, batch: list[QueuedUpdate], outcomes: list[UpdateOutcome]) -> None:
        sent = {id(report) for report in batch}
        with self._changed:
            self._queue = [report for report in self._queue if id(report) not in sent]
        status = {outcome.task_id: outcome.status for outcome in outcomes}
        for report in batch:
            if report.told:
                report.told(status.get(report.update.task_id, 500))


def _made_idle_by(old: TaskUpdate, new: TaskUpdate) -> bool:
    """A stage says nothing once a later one, or how it all ended, has come."""
    return old.task_id == new.task_id and not old.complete
