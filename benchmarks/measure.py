"""What the benchmarks share: a figure with its floor and target, and clocks."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


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
    """Processor time of this process: other programs on the machine do not count."""
    gc.collect()
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
