"""What the benchmarks share: a figure with its floor and target, and clocks."""

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """Seconds that something took, those of its floor in the same run, and the most it may take."""

    name: str
    seconds: float
    floor: float
    target: float

    @property
    def good(self) -> bool:
        return self.seconds < self.target

    def __str__(self) -> str:
        verdict = "ok" if self.good else "TOO SLOW"
        return (
            f"{self.name:<52} {self.seconds * 1000:8.2f} ms   floor {self.floor * 1000:7.2f} ms   "
            f"x{self.seconds / self.floor:5.2f}   target {self.target * 1000:.4g} ms   {verdict}"
        )


def processor_seconds(work: Callable[[], object]) -> float:
    """Processor time of this process: other programs on the machine do not count, nor does old garbage."""
    gc.collect()
    return cpu_seconds(work)


def cpu_seconds(work: Callable[[], object]) -> float:
    """As `processor_seconds`, for work so short that a collection before each would take most of the time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def wall_seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median_seconds(work: Callable[[], object], runs: int = 9) -> float:
    """Median processor time of several runs."""
    return statistics.median(processor_seconds(work) for _ in range(runs))


def process_seconds(pid: int) -> float:
    """Processor time that a living process, and the children that it has waited for, have used so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
