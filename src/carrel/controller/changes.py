"""Who waits for a change, and who wakes them: across threads at once, across processes within a twentieth of a second.

A long poll of an agent waits here. In one process a condition variable wakes it. A change made by another process
is seen by one watcher thread per process, which lives only while somebody waits: on SQLite it reads `PRAGMA
data_version` (a page-cache look-up, no disk), on PostgreSQL it LISTENs.
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db import connection, transaction

logger = logging.getLogger(__name__)
T = TypeVar("T")

CHANNEL = "carrel_changes"
LOOK_EVERY = 0.05
RECONNECT_AFTER = 1.0


class Hub:
    """A generation number that grows with each change, and threads waiting for it to grow."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._generation = 0
        self._waiting = 0
        self._turns: Counter[str] = Counter()
        self._watcher: threading.Thread | None = None

    def changed(self) -> None:
        """Wake every waiter."""
        with self._condition:
            self._generation += 1
            self._condition.notify_all()

    def wait_until(self, backend: str, look: Callable[[], T | None], seconds: float) -> T | None:
        """The first result of `look()` that is not None, looking again after each change; None after `seconds`.

        Of several waiters of one backend only the newest stays: an older one is the forgotten poll of an agent that
        was restarted, and would only hold a thread.
        """
        deadline = time.monotonic() + seconds
        with self._waiter(backend) as turn:
            while True:
                generation = self._generation
                result = look()
                if result is not None or not self._wait(backend, turn, generation, deadline):
                    return result

    @contextlib.contextmanager
    def _waiter(self, backend: str) -> Iterator[int]:
        with self._condition:
            self._waiting += 1
            self._turns[backend] += 1
            turn = self._turns[backend]
            self._condition.notify_all()
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = threading.Thread(target=self._watch, name="changes", daemon=True)
                self._watcher.start()
        try:
            yield turn
        finally:
            with self._condition:
                self._waiting -= 1

    def _wait(self, backend: str, turn: int, generation: int, deadline: float) -> bool:
        """True: look again. False: the time is over, or a newer waiter took the turn."""
        with self._condition:
            while self._turns[backend] == turn:
                if self._generation != generation:
                    return True
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._condition.wait(remaining)
            return False

    def _is_waited_for(self) -> bool:
        """Checked under the lock by the watcher before it ends, so that no waiter is left without one."""
        with self._condition:
            if self._waiting == 0:
                self._watcher = None
            return self._waiting > 0

    def _watch(self) -> None:
        watch = _watch_postgresql if connection.vendor == "postgresql" else _watch_sqlite
        parameters = connection.get_connection_params()
        while self._is_waited_for():
            try:
                watch(parameters, self)
            except Exception:
                logger.warning("The watcher of database changes lost its connection; connecting again.", exc_info=True)
                time.sleep(RECONNECT_AFTER)
                self.changed()


def _watch_sqlite(parameters: dict[str, Any], hub: Hub) -> None:
    database = str(parameters["database"])
    with contextlib.closing(sqlite3.connect(database, uri=database.startswith("file:"), timeout=5)) as own:
        last_version = None
        while hub._is_waited_for():
            version = own.execute("PRAGMA data_version").fetchone()[0]
            if last_version is not None and version != last_version:
                hub.changed()
            last_version = version
            time.sleep(LOOK_EVERY)


def _watch_postgresql(parameters: dict[str, Any], hub: Hub) -> None:
    import psycopg

    ours: dict[str, Any] = {name: value for name, value in parameters.items() if isinstance(value, str) and value}
    with psycopg.connect(**ours, autocommit=True) as own:
        own.execute(f"LISTEN {CHANNEL}")
        hub.changed()  # what happened between two connections
        while hub._is_waited_for():
            if any(True for _ in own.notifies(timeout=RECONNECT_AFTER, stop_after=1)):
                hub.changed()


hub = Hub()


def announce() -> None:
    """Call inside a transaction that changed something an agent may wait for: wakes the waiters when it commits."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    transaction.on_commit(hub.changed)
