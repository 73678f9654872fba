"""One writer per mirror: a file lock that a killed process gives up by dying."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from carrel.repos.errors import RepoInfrastructureError
from carrel.repos.limits import Deadline
from carrel.units import locks


@contextmanager
def locked(path: Path, deadline: Deadline) -> Iterator[int]:
    """Hold the exclusive lock of `path` (made if need be); yields its file descriptor.

    A child that inherits the descriptor keeps the lock until it ends, even when we are killed.
    Raises RepoInfrastructureError at the deadline.
    """
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(locks.locked(path, timeout=deadline.remaining, mode=0o600))
        except locks.LockHeld:
            raise RepoInfrastructureError(f"Another process has been fetching {path.stem} for too long") from None
        yield descriptor
