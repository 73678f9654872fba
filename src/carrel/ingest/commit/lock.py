"""One coordinator at a time per warehouse: by the kernel's lock on a local disk, which dies with its holder; by a lease
on S3."""

import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from carrel.ingest.commit.storage import LocalStorage, Storage
from carrel.telemetry import faults

KEY = "_runs/lock"
LEASE_SECONDS = 60.0


class WarehouseBusy(Exception):
    """Another coordinator works on this warehouse."""


@contextmanager
def coordinator_lock(storage: Storage) -> Iterator[None]:
    """Hold the warehouse; raises WarehouseBusy at once when somebody else does."""
    taken = _local(storage) if isinstance(storage, LocalStorage) else _lease(storage)
    with taken:
        faults.point("ingest.locked")
        yield


@contextmanager
def _local(storage: LocalStorage) -> Iterator[None]:
    path = storage.root / KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    # Python opens files close-on-exec, and our workers are never forked from this process: nobody inherits the lock.
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WarehouseBusy(f"another ingest works on {storage.url}; try again when it has ended") from None
        yield


@contextmanager
def _lease(storage: Storage) -> Iterator[None]:
    """An object that says who holds the warehouse and until when; an expired one may be taken over."""
    token = uuid.uuid4().hex
    if not storage.create(KEY, _lease_text(token)) and not _take_over(storage, token):
        raise WarehouseBusy(f"another ingest holds {storage.url}; its lease ends within {LEASE_SECONDS:.0f} seconds")
    ended = threading.Event()
    renewer = threading.Thread(target=_renew, args=(storage, token, ended), daemon=True)
    renewer.start()
    try:
        yield
    finally:
        ended.set()
        renewer.join()
        if _holder(storage).get("token") == token:
            storage.delete(KEY)


def _lease_text(token: str) -> bytes:
    return json.dumps({"token": token, "until": time.time() + LEASE_SECONDS}).encode()


def _holder(storage: Storage) -> dict[str, object]:
    found: dict[str, object] = json.loads(storage.read(KEY) or b"{}")
    return found


def _take_over(storage: Storage, token: str) -> bool:
    holder = _holder(storage)
    if float(str(holder.get("until", 0))) > time.time():
        return False
    storage.delete(KEY)
    return storage.create(KEY, _lease_text(token))


def _renew(storage: Storage, token: str, ended: threading.Event) -> None:
    while not ended.wait(LEASE_SECONDS / 4):
        if _holder(storage).get("token") != token:
            # Somebody believed us dead and took over: two coordinators are worse than one that is gone.
            os._exit(70)
        storage.write(KEY, _lease_text(token))
