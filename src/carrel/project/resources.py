"""What an action asks for: `resources: {cpus: 2, memory: 8G, timeout: 6h}`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from carrel.project.models import Resources
from carrel.units import durations, sizes
from carrel.units.durations import parse_duration
from carrel.units.limits import MAX_CPUS, MIN_CPUS, MIN_MEMORY_BYTES, MIN_TIMEOUT_SECONDS
from carrel.units.sizes import parse_size

KEYS = frozenset({"cpus", "memory", "timeout"})


def parse_cpus(value: Any) -> float:
    """Number of processors; raises ValueError for what is no number, or out of bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not MIN_CPUS <= value <= MAX_CPUS:
        raise ValueError(f"must be a number from {MIN_CPUS} to {MAX_CPUS}, e.g. 2 or 0.5")
    return float(value)


def parse_memory(value: Any) -> int:
    """Bytes, as `parse_size` reads them; raises ValueError, also for less than anything can be started in."""
    size = parse_size(value)
    if size < MIN_MEMORY_BYTES:
        raise ValueError(f"must be at least {MIN_MEMORY_BYTES // 1024**2}M (is a unit missing, as in 4G?)")
    return size


def parse_timeout(value: Any) -> float:
    """Seconds, as `parse_duration` reads them, but for a text without a unit: `'6'` may mean hours to who wrote it."""
    if isinstance(value, str) and _bare_number(value.strip()):
        raise ValueError("must be a length of time, e.g. 6h, 90m or 1h30m")
    seconds = parse_duration(value)
    if seconds < MIN_TIMEOUT_SECONDS:
        raise ValueError(f"must be at least {MIN_TIMEOUT_SECONDS} second")
    return seconds


_bare_number = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII).fullmatch
_any_digit = r"(?=[\s\S]*[1-9])"
SHAPES = {
    "memory": rf"{_any_digit}(?:{sizes.PATTERN})",
    "timeout": rf"{_any_digit}(?:{durations.PATTERN}|[0-9]+\.[0-9]+ ?[dhms])",
}
"""How amounts above nothing look as text; regular expressions that JSON Schema understands too."""


def is_amount(key: str, value: Any) -> bool:
    """Whether a text has the shape of an amount: what is wrong with it can then only be how large or small it is."""
    shape = SHAPES.get(key)
    return shape is not None and isinstance(value, str) and re.fullmatch(shape, value.strip(), re.ASCII) is not None


PARSERS: dict[str, Callable[[Any], float | int]] = {
    "cpus": parse_cpus,
    "memory": parse_memory,
    "timeout": parse_timeout,
}


def parse_resources(section: dict[Any, Any]) -> tuple[Resources, dict[str, str]]:
    """The resources of an action, and what is wrong, by key. A key that is null is as if it were not there."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for key, parse in PARSERS.items():
        if section.get(key) is not None:
            try:
                values[key] = parse(section[key])
            except (ValueError, OverflowError) as error:
                faults[key] = str(error)
    if "memory" in values:
        values["memory_text"] = str(section["memory"])
    return Resources(**values), faults
