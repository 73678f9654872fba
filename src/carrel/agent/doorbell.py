"""A bell that one thread waits at and others ring: an eventfd, so that an executor can wait for it as well."""

import contextlib
import os
import select
import threading


class Doorbell:
    """Rung any number of times, it is heard once. After `close` ringing does nothing."""

    def __init__(self) -> None:
        self.fd: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """To be waited for beside other descriptors, not to be read; None when closed."""
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Wake whoever waits, now or when they next begin to."""
        # Under the lock: the descriptor's number may soon be another file's.
        with self._lock:
            if self.fd is not None:
                os.eventfd_write(self.fd, 1)

    def wait(self, seconds: float | None) -> None:
        """Until rung, or for `seconds`."""
        select.select([self.fd] if self.fd is not None else [], [], [], seconds)
        self.hear()

    def hear(self) -> None:
        """Take note of what was rung so far: the next wait is for the next ring."""
        with contextlib.suppress(BlockingIOError):
            if self.fd is not None:
                os.eventfd_read(self.fd)

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            if self.fd is not None:
                os.close(self.fd)
            self.fd = None
