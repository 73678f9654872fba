"""How long git may take. Times in seconds, measured by the monotonic clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from carrel.repos.errors import GivenUp


@dataclass(frozen=True, slots=True)
class Limits:
    """`connect`: until the host answers at all; `total`: one public call, or all calls that share a `Deadline`."""

    connect: float = 5.0
    total: float = 60.0


class Deadline:
    """A moment by which several git calls must be done together, or earlier once `given_up()` is true."""

    def __init__(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> None:
        self._end = time.monotonic() + seconds
        self._given_up = given_up

    def remaining(self) -> float:
        """Seconds left; never negative. Raises GivenUp."""
        if self._given_up():
            raise GivenUp
        return max(0.0, self._end - time.monotonic())
