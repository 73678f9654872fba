"""Sizes of memory as written in settings and `resources`: "4G", "512m", "1.5GiB", "1024" (bytes)."""

import re

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class SizeError(ValueError):
    """Not a size."""


def memory_bytes(text: str) -> int:
    """Bytes, with the binary units Docker means by k, m, g and t. Raises SizeError."""
    match = _SIZE.fullmatch(text)
    if not match or float(match[1]) <= 0:
        raise SizeError(f"'{text}' is not a size of memory (write one like 4G or 512M)")
    return int(float(match[1]) * 1024 ** _POWERS[match[2].lower()])


def smaller_memory(one: str, other: str) -> str:
    """Whichever of two sizes is less, as it was written."""
    return one if memory_bytes(one) <= memory_bytes(other) else other
