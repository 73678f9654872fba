"""What the job server does besides answering: sends what waits in its outboxes, and asks controllers for news.

Runs in a thread of a web process, or as a process of its own (`carrel manage run_link`). Each piece of work has a
lease, so that of any number of processes one does it; what takes long runs in a thread of its own, so that a
controller that hangs holds up nothing but its own calls.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from django.db import close_old_connections, connection

from carrel.clients.rap import RapClient
from carrel.jobserver import settings
from carrel.jobserver.service import digests, housekeeping, leases, link, outbox, schedules
from carrel.jobserver.waking import forget, listen, wake

__all__ = ["run", "start_thread", "wake"]

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How long something that another process wrote waits to be sent."""
PAUSE_AFTER_FAULT = 5.0
BACKENDS_EVERY = 15.0
"""Seconds between two questions how the backends are."""
DIGESTS_EVERY = 60.0
HOUSEKEEPING_EVERY = 300.0
SCHEDULE_PAUSE = 60.0
"""Seconds after which a scheduled run whose repository could not be read is tried again."""
CALLS_AT_ONCE = 4
"""Requests and cancellations on their way to one controller at the same time."""


class Crew:
    """Threads that do one thing each; the same thing is never done twice at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._busy: dict[Hashable, threading.Thread] = {}

    def start(self, key: Hashable, work: Callable[[], object]) -> bool:
        """Do it in a thread; False when it is being done already."""
        self._busy = {busy: thread for busy, thread in self._busy.items() if thread.is_alive()}
        if key in self._busy:
            return False
        thread = threading.Thread(target=_guarded, args=(work,), name=f"{self._name}-{key}", daemon=True)
        self._busy[key] = thread
        thread.start()
        return True

    def count(self, kinds: tuple[str, ...]) -> int:
        """How many things of these kinds (first parts of keys) are being done."""
        return sum(
            thread.is_alive() and isinstance(key, tuple) and key[0] in kinds for key, thread in self._busy.items()
        )

    def wait(self, seconds: float) -> None:
        """Return once nothing is being done, or after this long."""
        deadline = time.monotonic() + seconds
        for thread in list(self._busy.values()):
            thread.join(max(deadline - time.monotonic(), 0))


def _guarded(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:
        logger.exception("A step of the link failed; it is tried again.")
    finally:
        connection.close()


@dataclass
class ControllerWork:
    """All that is done with one controller."""

    name: str
    client: RapClient
    poll_interval: float
    crew: Crew
    _polled: float = field(default=float("-inf"))
    _asked: float = field(default=float("-inf"))
    _after: int = 0

    @property
    def lease(self) -> str:
        return f"controller:{self.name}"

    def step(self) -> None:
        """Start what is due. Returns at once: everything that waits for the controller is in threads."""
        self._start("request", link.due_requests(self.name), link.send_request)
        self._start("cancellation", link.due_cancellations(self.name), link.send_cancellation)
        now = time.monotonic()
        if now - self._polled >= self.poll_interval and self.crew.start(("poll",), self.poll):
            self._polled = now
        if now - self._asked >= BACKENDS_EVERY and self.crew.start(
            ("backends",), partial(link.poll_backends, self.name, self.client)
        ):
            self._asked = now

    def _start(self, kind: str, keys: list[int], send: Callable[[int, RapClient], None]) -> None:
        for key in keys:
            if self.crew.count(("request", "cancellation")) >= CALLS_AT_ONCE:
                return
            self.crew.start((kind, key), partial(self.send, send, key))

    def send(self, send: Callable[[int, RapClient], None], key: int) -> None:
        """Send one thing, and have news of it at once instead of after the interval."""
        send(key, self.client)
        self._polled = float("-inf")
        wake()

    def poll(self) -> None:
        """Ask for news of as many requests as one round takes."""
        self._after = link.poll_requests(self.name, self.client, self._after)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class MessageWork:
    """Mail and webhook calls on their way out; the mail of the day is written when it is due."""

    lease = "messages"

    def __init__(self) -> None:
        self.crew = Crew("messages")
        self._looked = float("-inf")

    def step(self) -> None:
        """Start what is due: one mail at a time, and one call of each webhook."""
        for message in outbox.due_messages():
            # Receivers that hang leave a thread for mail, and mail one for them.
            if self.crew.count((message.channel,)) >= CALLS_AT_ONCE - 1:
                continue
            self.crew.start((message.channel, message.webhook_id), partial(outbox.send_message, message.pk))
        if time.monotonic() - self._looked >= DIGESTS_EVERY and self.crew.start(("digests",), digests.write_digests):
            self._looked = time.monotonic()

    def close(self) -> None:
        """Nothing stays open."""


class ScheduleWork:
    """Scheduled runs, when they are due."""

    lease = "schedules"

    def __init__(self) -> None:
        self.crew = Crew("schedules")
        self._not_before: dict[int, float] = {}

    def step(self) -> None:
        """Start what is due; what waits for a repository is tried again after a while."""
        now = time.monotonic()
        waiting = dict(self._not_before)
        # What was never tried comes first: any number of repositories that are away stand in no other's way.
        for key in schedules.due_schedules(without=waiting):
            if self.crew.count(("schedule",)) < CALLS_AT_ONCE:
                self.crew.start(("schedule", key), partial(self.run, key))
        for key, since in waiting.items():
            if since <= now and self.crew.count(("schedule",)) < CALLS_AT_ONCE - 1:
                self.crew.start(("schedule", key), partial(self.run, key))

    def run(self, key: int) -> None:
        """Run one; its requests are sent at once. What fails, for whatever reason, is tried again after a pause."""
        self._not_before[key] = time.monotonic() + SCHEDULE_PAUSE
        if schedules.run_schedule(key):
            del self._not_before[key]
        else:
            self._not_before[key] = time.monotonic() + SCHEDULE_PAUSE
        wake()

    def close(self) -> None:
        """Nothing stays open."""


class HousekeepingWork:
    """Reminders and the summary of usage."""

    lease = "housekeeping"

    def __init__(self) -> None:
        self.crew = Crew("housekeeping")
        self._looked = float("-inf")

    def step(self) -> None:
        """Look now and then whether something is due."""
        if time.monotonic() - self._looked >= HOUSEKEEPING_EVERY and self.crew.start(("all",), housekeeping.tidy_up):
            self._looked = time.monotonic()

    def close(self) -> None:
        """Nothing stays open."""


class Work(Protocol):
    """Something to do again and again: by one process at a time, which holds its lease."""

    crew: Crew

    @property
    def lease(self) -> str: ...

    def step(self) -> None:
        """Start what is due, and return at once."""

    def close(self) -> None:
        """Let go of what is open."""


def start_thread() -> threading.Thread:
    """Run the link in a thread of this process until it ends."""
    thread = threading.Thread(target=run, args=(threading.Event(),), name="link", daemon=True)
    thread.start()
    return thread


def run(stop: threading.Event) -> None:
    """Run until `stop` is set."""
    holder = secrets.token_hex(8)
    woken = threading.Event()
    listen(woken)
    works = works_of(settings.get())
    try:
        while not stop.is_set():
            close_old_connections()
            pause = LOOK_SECONDS
            for work in works:
                try:
                    if leases.hold(work.lease, holder):
                        work.step()
                except Exception:
                    logger.exception("The work %s failed; it is tried again.", work.lease)
                    connection.close()
                    pause = PAUSE_AFTER_FAULT
            woken.wait(pause)
            woken.clear()
    finally:
        forget(woken)
        _end(works, holder)


def works_of(own: settings.JobServerSettings) -> list[Work]:
    """Return all that there is to do: with each controller, with messages, with schedules, and housekeeping."""
    controllers = [
        ControllerWork(name, RapClient(address.rap_api_base_url, address.token), own.rap_api_poll_interval, Crew(name))
        for name, address in own.links.items()
        if address.rap_api_base_url
    ]
    return [*controllers, MessageWork(), ScheduleWork(), HousekeepingWork()]


def _end(works: list[Work], holder: str) -> None:
    for work in works:
        work.crew.wait(1.0)
        work.close()
        try:
            leases.release(work.lease, holder)
        except Exception:
            logger.warning("The lease of %s runs out by itself.", work.lease, exc_info=True)
    connection.close()
