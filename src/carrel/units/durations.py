"""Lengths of time, as written in settings, on the command line and in `resources`: `6h`, `1h30m`, `2d`, `90`."""

import re

from carrel.units.limits import MAX_DURATION_SECONDS

PATTERN = r"(?=[0-9])(?:([0-9]+)d)? ?(?:([0-9]+)h)? ?(?:([0-9]+)m)? ?(?:([0-9]+)s)?"
"""A regular expression that JSON Schema understands too."""
_SECONDS = (86400, 3600, 60, 1)
_DECIMAL = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([dhms]?)", re.ASCII)
_SECONDS_IN = {"d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}


class DurationError(ValueError):
    """The value is no length of time, or one beyond all bounds; the message says what to write."""


def parse_duration(value: object) -> float:
    """Read the seconds from `6h`, `1h30m`, `2d`, `1.5h`, `90s`, `90` or a number; blanks round a text do not count.

    Raises DurationError for anything else, for nothing or less, and for more than MAX_DURATION_SECONDS.
    """
    seconds = _seconds_of(value)
    if seconds is None or not 0 < seconds <= MAX_DURATION_SECONDS:
        too_long = seconds is not None and seconds > MAX_DURATION_SECONDS
        raise DurationError("must be at most 366d" if too_long else "must be a length of time, e.g. 6h, 90m or 1h30m")
    return float(seconds)


def _seconds_of(value: object) -> float | None:
    if isinstance(value, str):
        text = value.strip()
        if parts := re.fullmatch(PATTERN, text, re.ASCII):
            return sum(float(part or 0) * unit for part, unit in zip(parts.groups(), _SECONDS, strict=True))
        number = _DECIMAL.fullmatch(text)
        return float(number[1]) * _SECONDS_IN[number[2]] if number else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if value != value else value  # not a number
