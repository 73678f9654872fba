"""What is printed: a line for each figure, with its target and whether it was reached."""

import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A figure. `at_least` or `at_most` is its target; with neither it is there to be read."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def good(self) -> bool:
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    def __str__(self) -> str:
        figure = f"{self.value:.2f}{self.unit}" if self.value < 100 else f"{self.value:.0f}{self.unit}"
        return f"{self.name:<50} {figure:>10}   {self._verdict():<26} {self.note}".rstrip()

    def _verdict(self) -> str:
        if self.at_least is None and self.at_most is None:
            return ""
        bound = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        return f"target {bound}{self.unit} {'ok' if self.good else 'MISSED'}"


def median(values: Iterable[float]) -> float:
    """Of several runs."""
    return statistics.median(values)


def load() -> str:
    """How busy the machine is with this and with other things, because it says how far seconds can be trusted."""
    return f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} processors"
