"""Delivers reports to the controller, in order, in batches, for as long as it takes.

What others wait for (how an attempt ended) goes at once. A stage on the way there waits a moment for what may follow:
the next one takes its place, and those of many jobs go together. So a short job costs one request, not seven.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

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
    """An update that waits to be sent; `on_answer` is called with the HTTP status of its answer."""

    update: TaskUpdate
    on_answer: Callable[[int], None] | None
    due: float
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
        """Begin to send: the controller has answered once, so that it is known how to speak to it."""
        with self._changed:
            self._open = True
            self._changed.notify()

    def add(self, update: TaskUpdate, on_answer: Callable[[int], None] | None = None) -> None:
        """Queue an update; it takes the place of earlier stages of the same task."""
        with self._changed:
            due = time.monotonic() + (0 if update.complete or update.publish else LINGER_SECONDS)
            remaining = []
            for queued in self._queue:
                if queued.update.task_id == update.task_id and not queued.update.complete:
                    due = min(due, queued.due)  # a stage says nothing once a later one, or how it all ended, has come
                else:
                    remaining.append(queued)
            self._queue = [*remaining, QueuedUpdate(update, on_answer, due)]
            self._changed.notify()

    def stop(self, timeout: float) -> None:
        """Deliver what is queued, if the controller takes it within `timeout` seconds, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self.is_alive():
            self.join(timeout)

    def run(self) -> None:
        """Send batch after batch until stopped; what is not taken is sent again."""
        failures = 0
        while (batch := self._next_batch()) is not None:
            try:
                outcomes = self._client.send([queued.update for queued in batch])
            except ControllerUnavailable as error:
                failures = self._pause(failures, error)
                continue
            except Exception:
                logger.exception("Reports could not be sent")
                failures = self._pause(failures, None)
                continue
            failures = 0
            self._settle(batch, outcomes)

    def _next_batch(self) -> list[QueuedUpdate] | None:
        with self._changed:
            while not self._stopping:
                if not (self._open and self._queue):
                    self._changed.wait()
                elif (seconds := min(queued.due for queued in self._queue) - time.monotonic()) > 0:
                    self._changed.wait(seconds)
                else:
                    break
            if self._stopping and not (self._open and self._queue):
                return None
            return self._queue[:BATCH]

    def _pause(self, failures: int, error: Exception | None) -> int:
        if failures == 0 and error:
            logger.warning("%s; %d report(s) wait", error, len(self._queue))
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, PAUSES[min(failures, len(PAUSES) - 1)])
            if self._stopping and failures:
                self._queue.clear()
        return failures + 1

    def _settle(self, batch: list[QueuedUpdate], outcomes: list[UpdateOutcome]) -> None:
        sent = {id(queued) for queued in batch}
        with self._changed:
            self._queue = [queued for queued in self._queue if id(queued) not in sent]
        status = {outcome.task_id: outcome.status for outcome in outcomes}
        for queued in batch:
            if queued.on_answer:
                queued.on_answer(status.get(queued.update.task_id, 500))
