"""What an action asks for: `resources: {cpus: 2, memory: 8G, timeout: 6h}`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from carrel.project.models import Resources
from carrel.units.durations import parse_duration
from carrel.units.sizes import parse_size

KEYS = frozenset({"cpus", "memory", "timeout"})


def parse_cpus(value: Any) -> float:
    """Number of processors, above 0; raises ValueError."""
    if not _positive(value):
        raise ValueError("must be a number above 0, e.g. 2 or 0.5")
    return float(value)


def parse_timeout(value: Any) -> float:
    """Seconds, as `parse_duration` reads them, but for a text without a unit: `'6'` may mean hours to who wrote it."""
    if isinstance(value, str) and value.strip().isdigit():
        raise ValueError("must be a length of time, e.g. 6h, 90m or 1h30m")
    return parse_duration(value)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


PARSERS: dict[str, Callable[[Any], float | int]] = {
    "cpus": parse_cpus,
    "memory": parse_size,
    "timeout": parse_timeout,
}


def parse_resources(asked: dict[Any, Any]) -> tuple[Resources, dict[str, str]]:
    """The resources of an action, and what is wrong, by key. A key that is null is as if it were not there."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for key, parse in PARSERS.items():
        if asked.get(key) is not None:
            try:
                values[key] = parse(asked[key])
            except (ValueError, OverflowError) as error:
                faults[key] = str(error)
    if "memory" in values:
        values["memory_text"] = str(asked["memory"])
    return Resources(**values), faults
