"""Sizes of memory and files, as written in settings, on the command line, in `resources` and in tasks: `4G`, `512m`.

Units are powers of 1024, as container engines count them.
"""

import re

from carrel.units.limits import MAX_SIZE_BYTES

PATTERN = r"([0-9]+(?:\.[0-9]+)?) ?([kKmMgGtT]?)(?:i?[bB])?"
"""A regular expression that JSON Schema understands too."""
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class SizeError(ValueError):
    """The value is no size, or one beyond all bounds; the message says what to write."""


def parse_size(value: object) -> int:
    """Read the bytes from `8G`, `1.5GiB`, `512m`, `1024` or a number of bytes; blanks round a text do not count.

    Raises SizeError for anything else, for less than one byte and for more than MAX_SIZE_BYTES.
    """
    size = _bytes_of(value)
    if size is None or not 1 <= size <= MAX_SIZE_BYTES:
        too_large = size is not None and size > MAX_SIZE_BYTES
        raise SizeError("must be at most 1024T" if too_large else "must be a size, e.g. 8G or 512M")
    return int(size)


def _bytes_of(value: object) -> float | None:
    if isinstance(value, str):
        match = re.fullmatch(PATTERN, value.strip(), re.ASCII)
        return float(match[1]) * 1024 ** _POWERS[match[2].lower()] if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if value != value else value  # not a number


def smaller_size(one: str, other: str) -> str:
    """Return whichever of two sizes is less, as it was written. Raises SizeError."""
    return one if parse_size(one) <= parse_size(other) else other
