"""How times, durations, sizes and counts are written for people. Pure: whoever needs the present hands it in."""

import math
from datetime import datetime, timedelta

MINUTE, HOUR, DAY = 60, 3600, 86400
JUST_NOW_SECONDS = 45
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SIZES = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("PB", 1e15))


def duration_text(seconds: float | timedelta | None) -> str:
    """Write a length of time with its two largest units: `31 s`, `3 min 12 s`, `1 h 05 min`, `2 d 3 h`; None is `–`."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(max(seconds, 0))
    if whole < MINUTE:
        return f"{whole} s" if whole or seconds <= 0 else "under 1 s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def size_text(count: float | None) -> str:
    """Write a number of bytes in decimal units: `812 bytes`, `4.2 MB`, `412 MB`; None is `–`."""
    if count is None or not math.isfinite(count):
        return "–"
    if count < 1000:
        return count_text(int(count), "byte")
    unit, power = next(((unit, power) for unit, power in _SIZES if count < power * 999.5), _SIZES[-1])
    amount = count / power
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:,.0f} {unit}"


def count_text(count: int, noun: str) -> str:
    """Write a count with its noun: `1 job`, `2,310 jobs`. An irregular plural follows a comma: `entry,entries`."""
    one, _, many = noun.partition(",")
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def relative_text(moment: datetime, now: datetime, *, short: bool = False) -> str:
    """Write when something was, or will be: `12 minutes ago`, `in 2 hours`, `3 May`, `3 May 2025`.

    `short` is for tables: `12 min`, `2 h`, `3 d`. Days of more than a week ago are dates in the zone of `moment`.
    """
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < JUST_NOW_SECONDS:
        return "now" if short else "just now"
    if distance >= 7 * DAY:
        month = MONTHS[moment.month - 1]
        day = f"{moment.day} {month[:3] if short else month}"
        return day if moment.year == now.year else f"{day} {moment.year}"
    minutes, hours, days = round(distance / MINUTE), round(distance / HOUR), round(distance / DAY)
    if minutes < 60:
        text = f"{max(minutes, 1)} min" if short else count_text(max(minutes, 1), "minute")
    elif hours < 24:
        text = f"{hours} h" if short else count_text(hours, "hour")
    else:
        text = f"{days} d" if short else count_text(days, "day")
    if seconds < 0:
        return f"in {text}"
    return text if short else f"{text} ago"


def exact_text(moment: datetime) -> str:
    """Write a moment to the second with its zone: `Tue 1 Dec 2026, 14:02:11 UTC`."""
    # strftime takes several times as long, and a page may hold two thousand times.
    day = f"{DAYS[moment.weekday()]} {moment.day} {MONTHS[moment.month - 1][:3]} {moment.year}"
    return f"{day}, {moment.hour:02}:{moment.minute:02}:{moment.second:02} {moment.tzname() or ''}".rstrip()


def plain_duration(seconds: float | timedelta | None) -> str:
    """Write about how long something takes, in a sentence: `about 4 minutes`, `less than a minute`; None is empty."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < JUST_NOW_SECONDS:
        return "less than a minute"
    if seconds < HOUR - MINUTE / 2:
        return f"about {count_text(max(round(seconds / MINUTE), 1), 'minute')}"
    if seconds < DAY - HOUR / 2:
        return f"about {count_text(round(seconds / HOUR), 'hour')}"
    return f"about {count_text(round(seconds / DAY), 'day')}"
