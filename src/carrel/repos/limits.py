"""How long git may take. Times in seconds, measured by the monotonic clock."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`connect`: until the host answers at all; `total`: one public call, or all calls that share a `Deadline`."""

    connect: float = 5.0
    total: float = 60.0


class Deadline:
    """A moment by which several git calls must be done together."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self._end - time.monotonic())
