"""One writer per mirror: a file lock that a killed process gives up by dying."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carrel.repos.errors import RepoInfrastructureError
from carrel.repos.limits import Deadline

_PAUSE = 0.02


@contextmanager
def locked(path: Path, deadline: Deadline) -> Iterator[int]:
    """Hold the exclusive lock of `path` (made if need be); yields its file descriptor.

    A child that inherits the descriptor keeps the lock until it ends, even when we are killed.
    Raises RepoInfrastructureError at the deadline.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(fd, path, deadline)
        yield fd
    finally:
        os.close(fd)


def _acquire(fd: int, path: Path, deadline: Deadline) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not deadline.remaining():
                raise RepoInfrastructureError(f"Another process has been fetching {path.stem} for too long") from None
            time.sleep(min(_PAUSE, deadline.remaining() or _PAUSE))
        else:
            return
