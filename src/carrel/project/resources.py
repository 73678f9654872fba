"""What an action asks for: `resources: {cpus: 2, memory: 8G, timeout: 6h}`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from carrel.project.models import Resources

KEYS = frozenset({"cpus", "memory", "timeout"})

MEMORY_PATTERN = r"([0-9]+(?:\.[0-9]+)?) ?([kKmMgGtT]?)(?:i?[bB])?"
TIMEOUT_PATTERN = r"(?=[0-9])(?:([0-9]+)d)? ?(?:([0-9]+)h)? ?(?:([0-9]+)m)? ?(?:([0-9]+)s)?"
_memory = re.compile(MEMORY_PATTERN).fullmatch
_timeout = re.compile(TIMEOUT_PATTERN).fullmatch
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = (86400, 3600, 60, 1)


def parse_cpus(value: Any) -> float:
    """Number of processors, above 0; raises ValueError."""
    if not _positive(value):
        raise ValueError("must be a number above 0, e.g. 2 or 0.5")
    return float(value)


def parse_memory(value: Any) -> int:
    """Bytes, from `8G`, `512M` (powers of 1024, as container engines count) or a number of bytes; raises ValueError."""
    match = _memory(value) if isinstance(value, str) else None
    size = float(match[1]) * 1024 ** _POWERS[match[2].lower()] if match else value
    if not _positive(size) or size < 1:
        raise ValueError("must be a size, e.g. 8G or 512M")
    return int(size)


def parse_timeout(value: Any) -> float:
    """Seconds, from `6h`, `1h30m`, `2d`, `90s` or a number of seconds; raises ValueError."""
    match = _timeout(value) if isinstance(value, str) else None
    seconds = _sum(match) if match else value
    if not _positive(seconds):
        raise ValueError("must be a length of time, e.g. 6h, 90m or 1h30m")
    return float(seconds)


def _sum(match: re.Match[str]) -> int:
    return sum(int(part or 0) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True))


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


PARSERS: dict[str, Callable[[Any], float | int]] = {
    "cpus": parse_cpus,
    "memory": parse_memory,
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
