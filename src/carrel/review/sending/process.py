"""What a review site does besides answering: uploads what is approved, tells the job server, keeps house.

Runs in a thread of a web process, or as a process of its own (`carrel manage review_uploads`). A lease sees to it that
of any number of processes one does it; what waits for the job server is in threads, so that the lease is renewed.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from django.db import close_old_connections, connection
from django.utils import timezone

from carrel.clients.releases import ReleasesClient
from carrel.review import settings
from carrel.review.sending.destinations import Destination, FolderDestination, JobServerDestination
from carrel.review.sending.housekeeping import EVERY_SECONDS, keep_house
from carrel.review.sending.notices import send_notices
from carrel.review.sending.uploads import due_requests, upload_request
from carrel.review.service import leases

logger = logging.getLogger(__name__)

LEASE = "sending"
PAUSE_AFTER_FAULT = 5.0
UPLOADS_AT_ONCE = 4
"""Requests whose files are on their way at the same time."""
LAST_SECONDS = 10.0
"""So long a process that ends waits for what is on its way; the rest is done again."""


class Sender:
    """Starts what is due, each thing in a thread of its own and never twice at once. A context manager."""

    def __init__(self) -> None:
        own = settings.get()
        self._open = ExitStack()
        self._busy: dict[str, threading.Thread] = {}
        self._client: ReleasesClient | None = None
        self._destination: Destination = FolderDestination()
        self._housekeeping_at = time.monotonic()
        if own.job_server_endpoint:
            self._client = self._open.enter_context(ReleasesClient(own.job_server_endpoint, own.token))
            self._destination = JobServerDestination(self._client)

    def step(self) -> None:
        """Start what is due, and return at once."""
        self._busy = {name: thread for name, thread in self._busy.items() if thread.is_alive()}
        for request_id in due_requests(timezone.now()):
            if len(self._busy.keys() - {"notices", "housekeeping"}) < UPLOADS_AT_ONCE:
                self._start(request_id, partial(upload_request, request_id, self._destination))
        if self._client is not None:
            self._start("notices", partial(send_notices, self._client))
        if time.monotonic() >= self._housekeeping_at:
            self._housekeeping_at = time.monotonic() + EVERY_SECONDS
            self._start("housekeeping", keep_house)

    def _start(self, name: str, work: Callable[[], None]) -> None:
        if name not in self._busy:
            thread = threading.Thread(target=_guarded, args=(work,), name=f"sending-{name}", daemon=True)
            self._busy[name] = thread
            thread.start()

    def close(self) -> None:
        """Wait a little for what is on its way, and close the connections."""
        deadline = time.monotonic() + LAST_SECONDS
        for thread in self._busy.values():
            thread.join(max(deadline - time.monotonic(), 0))
        self._open.close()


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        logger.exception("A step of sending failed; it is tried again.")
    finally:
        connection.close()


def start_thread() -> threading.Thread:
    """Send in a thread of this process until it ends."""
    thread = threading.Thread(target=run, args=(threading.Event(),), name="sending", daemon=True)
    thread.start()
    return thread


def run(stop: threading.Event) -> None:
    """Send until `stop` is set."""
    holder = secrets.token_hex(8)
    sender = Sender()
    try:
        while not stop.is_set():
            close_old_connections()
            pause = settings.get().review_upload_interval
            try:
                if leases.hold(LEASE, holder):
                    sender.step()
            except Exception:
                logger.exception("Sending failed; it is tried again.")
                connection.close()
                pause = PAUSE_AFTER_FAULT
            stop.wait(pause)
    finally:
        sender.close()
        try:
            leases.release(LEASE, holder)
        except Exception:
            logger.warning("The lease of sending runs out by itself.", exc_info=True)
        connection.close()
