"""The sweep: runs the scheduler for what only time can trigger, and repairs what an event could not finish.

It holds no logic of its own: each backend gets the very same `scheduling.run` that events run. A second sweep beside
the first is harmless (the per-backend lock), and so is killing it at any instruction.
"""

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import close_old_connections, connection

from carrel.controller import clock, settings, ticks
from carrel.controller.models import Event, Job
from carrel.controller.outages import DATABASE_AWAY
from carrel.controller.service import maintenance, scheduling
from carrel.controller.service.loading import ACTIVE
from carrel.controller.service.locks import locked
from carrel.telemetry.faults import point

logger = logging.getLogger(__name__)

AT_LEAST_EVERY = timedelta(seconds=30)


@dataclass
class _Looked:
    """When a backend was last looked at, at which event, and when time alone makes something due there."""

    at: datetime
    event_id: int
    due: datetime | None


class Sweep:
    """Looks at every backend, again and again. Reads only, until something is due."""

    def __init__(self) -> None:
        self._looked: dict[str, _Looked] = {}
        self._ticked: datetime | None = None

    def once(self) -> None:
        """One look at each backend. What goes wrong with one is logged and does not stop the others."""
        self._tick()
        for backend in settings.get().backends:
            try:
                self._look_at(backend)
            except Exception:
                logger.exception("The sweep of backend %s failed; it is tried again.", backend)
                connection.close()

    def _tick(self) -> None:
        interval = timedelta(seconds=settings.get().tick_poll_interval)
        if self._ticked is not None and clock.now() - self._ticked < interval:
            return
        self._ticked = clock.now()
        try:
            ticks.tick()
        except Exception:
            logger.exception("No tick could be traced; jobs are not affected.")
            connection.close()

    def _look_at(self, backend: str) -> None:
        self._keep_regular_tasks(backend)
        now, event_id = clock.now(), _latest_event_id()
        looked = self._looked.get(backend)
        if looked and not _is_due(looked, now, event_id):
            return
        due = None
        if Job.objects.filter(backend=backend, state__in=ACTIVE).exists():
            with locked(backend):
                due = scheduling.run(backend)
                point("controller.sweep.ran")
        self._looked[backend] = _Looked(now, event_id, due)

    def _keep_regular_tasks(self, backend: str) -> None:
        try:
            maintenance.keep_regular_tasks(backend)
        except DATABASE_AWAY:
            raise
        except Exception:
            logger.exception("Regular tasks of backend %s failed; its jobs are not affected.", backend)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            close_old_connections()
            self.once()
            stop.wait(settings.get().job_loop_interval)
        connection.close()


def _is_due(looked: _Looked, now: datetime, event_id: int) -> bool:
    """Each change leaves an event, so that no new event means nothing has changed but the time."""
    return (
        event_id != looked.event_id
        or now - looked.at >= AT_LEAST_EVERY
        or (looked.due is not None and looked.due <= now)
    )


def _latest_event_id() -> int:
    return Event.objects.order_by("-id").values_list("id", flat=True).first() or 0


def start_thread() -> threading.Event:
    """Run the sweep in a thread of this process (`carrel up`, small installations). Set the result to end it."""
    stop = threading.Event()
    threading.Thread(target=Sweep().run, args=(stop,), name="sweep", daemon=True).start()
    return stop
