"""Locks on files (flock): one process at a time, and a process that is killed lets go by dying."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PAUSE_SECONDS = 0.02
MAX_NOTE_BYTES = 4096


class LockHeld(Exception):
    """Another process holds the lock. `note`: what it wrote into the file about itself; often empty."""

    def __init__(self, path: Path, note: bytes) -> None:
        super().__init__(f"{path} is locked by another process")
        self.note = note


@contextmanager
def locked(
    path: Path,
    *,
    timeout: float | Callable[[], float] | None = None,
    mode: int = 0o666,
    create: bool = True,
    note: bytes = b"",
) -> Iterator[int]:
    """Hold the lock of a file while the block runs; see `lock`."""
    descriptor = lock(path, timeout=timeout, mode=mode, create=create, note=note)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lock(
    path: Path,
    *,
    timeout: float | Callable[[], float] | None = None,
    mode: int = 0o666,
    create: bool = True,
    note: bytes = b"",
) -> int:
    """Lock a file, which is made if need be (with `mode`), and return its descriptor. To close that is to let go.

    A child that inherits the descriptor goes on holding the lock until it ends. `timeout`: the seconds to wait for
    another holder (0: none, None: as long as it takes), or what says how many are left, which is asked at each try.
    `note`: what others are told of us (on a full disk, nothing). Raises LockHeld at the timeout, and OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), mode)
    try:
        if not _acquire(descriptor, timeout):
            raise LockHeld(path, os.pread(descriptor, MAX_NOTE_BYTES, 0))
        if note:
            os.ftruncate(descriptor, 0)
            with suppress(OSError):
                os.pwrite(descriptor, note, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock of the file just now; no file, no lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, timeout: float | Callable[[], float] | None) -> bool:
    if timeout is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    end = 0.0 if callable(timeout) else time.monotonic() + timeout
    while not _try(descriptor, fcntl.LOCK_EX):
        remaining = timeout() if callable(timeout) else end - time.monotonic()
        if remaining <= 0:
            return False
        time.sleep(min(PAUSE_SECONDS, remaining))
    return True


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
