"""Resources of running attempts (agent.md 4.7), sampled from the runtime without starting a process."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from carrel.agent.folder import AttemptFolder
from carrel.executors.base import Executor, Inspection, Usage
from carrel.telemetry import traces

logger = logging.getLogger(__name__)
MEGABYTE = 1024 * 1024


class Meter(threading.Thread):
    """Samples every `interval` seconds while anything runs; the figures are kept in the attempts' folders."""

    def __init__(self, executor: Executor, interval: float) -> None:
        super().__init__(name="metrics", daemon=True)
        self._executor, self._interval = executor, interval
        self._watched: dict[str, AttemptFolder] = {}
        self._changed = threading.Condition()
        self._stopping = False

    def watch(self, name: str, folder: AttemptFolder) -> None:
        """Sample the process of that name from now on."""
        with self._changed:
            if name not in self._watched:
                self._watched[name] = folder
                self._changed.notify()

    def forget(self, name: str) -> None:
        """Sample it no more."""
        with self._changed:
            self._watched.pop(name, None)

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Sample what is watched after each interval, until stopped. One that fails does not stop the others."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._watched)
                self._changed.wait_for(lambda: self._stopping, self._interval)
                if self._stopping:
                    return
            with traces.span("METRICS_TICK", "metrics"):
                for name, folder in list(self._watched.items()):
                    try:
                        self.sample(name, folder)
                    except Exception:
                        logger.warning("No figures could be had of %s", name, exc_info=True)

    def sample(self, name: str, folder: AttemptFolder) -> None:
        """Take one sample; forget what runs no more."""
        usage = self._executor.usage(name)
        if usage is None or not folder.exists():
            self.forget(name)
            return
        figures = updated(folder.read_metrics(), usage, time.time())
        with traces.span("METRICS", "metrics", task=folder.root.name, **_public(figures)):
            folder.write_metrics(figures)

    def final(self, folder: AttemptFolder, inspection: Inspection) -> Mapping[str, Any]:
        """The figures of an attempt at its end, with its wall time in seconds."""
        figures = _public(folder.read_metrics())
        if inspection.started_at and inspection.finished_at:
            figures["wall_seconds"] = round((inspection.finished_at - inspection.started_at).total_seconds(), 3)
        return figures


def _public(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is only there to make the next sample from."""
    return {key: value for key, value in figures.items() if not key.startswith("_")}


def updated(old: Mapping[str, Any], usage: Usage, now: float) -> dict[str, Any]:
    """`old` with one more sample. cpu_*: percent of one core since the sample before; mem_mb_*: mebibytes; peaks and
    means over all samples; cpu_cumsum, mem_mb_cumsum: sums that the means are made from."""
    count = old.get("samples", 0) + 1
    elapsed = now - old.get("_at", now)
    used = usage.cpu_seconds - old.get("_cpu_seconds", usage.cpu_seconds)
    cpu = max(0.0, 100 * used / elapsed) if elapsed > 0 else 0.0
    memory = usage.memory / MEGABYTE
    peak = (usage.memory_peak or usage.memory) / MEGABYTE
    figures = {
        "samples": count,
        **_figures("cpu", old, cpu, cpu, count),
        **_figures("mem_mb", old, memory, peak, count),
        "cpu_seconds": round(usage.cpu_seconds, 3),
        "_at": now,
        "_cpu_seconds": usage.cpu_seconds,
    }
    io = {"read_bytes": usage.read_bytes, "written_bytes": usage.written_bytes}
    return figures | {key: value for key, value in io.items() if value is not None}


def _figures(name: str, old: Mapping[str, Any], sample: float, peak: float, count: int) -> dict[str, float]:
    total = old.get(f"{name}_cumsum", 0.0) + sample
    return {
        f"{name}_sample": round(sample, 3),
        f"{name}_cumsum": round(total, 3),
        f"{name}_mean": round(total / count, 3),
        f"{name}_peak": round(max(peak, old.get(f"{name}_peak", 0.0)), 3),
    }
