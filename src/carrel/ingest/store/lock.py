"""One coordinator at a time per warehouse: by the kernel's lock on a local disk, which dies with its holder; by a lease
on S3.

The lease is an object that names its holder. Taking it, renewing it and giving it back are each one compare-and-swap (a
PUT on condition of the ETag that was read), so of any number who try one succeeds. It spares work; it is not what keeps
two coordinators apart that both believe to hold it (a process may sleep for an hour between two instructions): that is
`plan.json`, which can be created once.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from carrel.ingest.access_faults import WarehouseFault
from carrel.ingest.store.storage import LocalStorage, WarehouseStorage
from carrel.telemetry import faults
from carrel.units.ignored import make_ignored
from carrel.units.locks import LockHeld, locked
from carrel.warehouse.layout import LOCK

if TYPE_CHECKING:
    from carrel.ingest.store.s3_storage import S3Storage, StoredObject

LEASE_SECONDS = 60.0
"""After so long without a renewal others may take a lease over. Its holder gives it up for lost somewhat earlier."""
_PRUDENCE = 0.9


class WarehouseBusy(Exception):
    """Another coordinator works on this warehouse."""


class WarehouseLost(WarehouseBusy):
    """Another coordinator took the warehouse over, because it believed us dead. Nothing of ours happened."""


@contextmanager
def coordinator_lock(storage: WarehouseStorage, lease_seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Hold the warehouse; raises WarehouseBusy at once when somebody else does."""
    lock = _local(storage) if isinstance(storage, LocalStorage) else _lease(storage, lease_seconds)
    with lock:
        faults.point("ingest.locked")
        yield


@contextmanager
def _local(storage: LocalStorage) -> Iterator[None]:
    path = storage.root / LOCK
    make_ignored(storage.root)
    path.parent.mkdir(exist_ok=True)
    # Python opens files close-on-exec, and our workers are never forked from this process: nobody inherits the lock.
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, timeout=0))
        except LockHeld:
            raise WarehouseBusy(f"another ingest works on {storage.url}; try again when it has ended") from None
        yield


@contextmanager
def _lease(storage: Any, seconds: float) -> Iterator[None]:
    lease = Lease(storage, seconds)
    lease.take()
    storage.lease = lease
    renewer = threading.Thread(target=lease.keep, daemon=True)
    renewer.start()
    try:
        yield
    finally:
        storage.lease = None
        lease.ended.set()
        renewer.join()
        with suppress(WarehouseFault):  # it ends by itself
            lease.release()


def ensure_held(storage: WarehouseStorage, ask: bool = False) -> None:
    """WarehouseLost when the lease of this coordinator ended or was taken over. `ask`: look at S3, not only at what is
    known of it. A lock on a local disk is never lost."""
    if storage.lease:
        storage.lease.check(ask)


def is_held(storage: WarehouseStorage) -> bool:
    """False when the lease of this coordinator is known to be lost. What S3 does not answer just now is not known."""
    with suppress(WarehouseFault):
        try:
            ensure_held(storage, ask=True)
        except WarehouseLost:
            return False
    return True


class Lease:
    """A hold on a warehouse in S3 that has to be renewed. `clock`: seconds, of any origin."""

    def __init__(
        self, storage: "S3Storage", seconds: float = LEASE_SECONDS, clock: Callable[[], float] = time.monotonic
    ):
        self.storage = storage
        self.seconds = seconds
        self.clock = clock
        self.token = uuid.uuid4().hex
        self.ended = threading.Event()
        self._turn = 0
        self._etag = ""
        self._until = 0.0
        self._is_lost = False

    def take(self) -> None:
        """Become the holder, at once or not at all: then WarehouseBusy."""
        current = self.storage.version(LOCK)
        if current:
            holder = _holder(current)
            seconds = holder["seconds"] - current.age
            if holder["token"] is not None and seconds > 0:
                raise WarehouseBusy(
                    f"another ingest holds {self.storage.url} ({holder['holder']}); if it is dead, its lease ends in "
                    f"{max(1, round(seconds))} seconds"
                )
        if not self._put(current.etag if current else None):
            raise WarehouseBusy(f"another ingest has just begun on {self.storage.url}; try again when it has ended")
        self._try_conditions()

    def _try_conditions(self) -> None:
        """Not every server that speaks S3 looks at the conditions of a PUT; without them nothing here holds."""
        for etag in (None, '"another"'):
            if self.storage.swap(LOCK, self._free(), etag) is not None:
                raise WarehouseFault(
                    f"{self.storage.url}: the server ignores If-Match or If-None-Match of a PUT, so two could write at "
                    "once; a warehouse needs a server that does not"
                )

    def keep(self) -> None:
        """Renew the lease until `ended`, or until it is lost."""
        while not self.ended.wait(self.seconds / 4):
            with suppress(WarehouseFault):  # perhaps the next time; until then the lease goes on
                self.renew()
            if self.is_lost:
                return

    def renew(self) -> None:
        """Another `seconds` from now; without effect when it is lost."""
        if self.is_lost or self._put(self._etag):
            return
        # An earlier renewal may have arrived although its answer did not.
        current = self.storage.version(LOCK)
        self._is_lost = current is None or not self._is_ours(current) or not self._put(current.etag)

    @property
    def is_lost(self) -> bool:
        """Whether others hold the lease, or may."""
        return self._is_lost or self.clock() > self._until

    def check(self, ask: bool) -> None:
        """Raise WarehouseLost unless the lease is held. `ask`: look at S3 too."""
        if not self.is_lost and ask:
            current = self.storage.version(LOCK)
            self._is_lost = current is None or not self._is_ours(current)
        if self.is_lost:
            raise WarehouseLost(f"another ingest took over {self.storage.url}, since this one's lease had ended")

    def _is_ours(self, version: "StoredObject") -> bool:
        return bool(_holder(version)["token"] == self.token)

    def release(self) -> None:
        """Let others in; without effect when it was lost."""
        self.storage.swap(LOCK, self._free(), self._etag)

    def _free(self) -> bytes:
        return json.dumps({"token": None, "was": self.token}).encode()

    def _put(self, etag: str | None) -> bool:
        """What is written differs each time, so that an ETag (which may be a hash of it) stands for one renewal."""
        began = self.clock()
        self._turn += 1
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        text = {"token": self.token, "turn": self._turn, "seconds": self.seconds, "holder": holder}
        new_etag = self.storage.swap(LOCK, json.dumps(text).encode(), etag)
        if new_etag is None:
            return False
        self._etag = new_etag
        self._until = began + self.seconds * _PRUDENCE
        return True


def _holder(version: "StoredObject") -> dict[str, Any]:
    """Who holds the lease, as that one wrote it. An empty one was the lock of a folder, which somebody has copied
    here."""
    written = json.loads(version.data) if version.data.strip() else {}
    return {"token": None, "seconds": LEASE_SECONDS, "holder": "somebody", **written}
