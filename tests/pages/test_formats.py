"""How times, durations, sizes and counts read."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.pages import formats

NOW = datetime(2026, 12, 1, 14, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (-3, "0 s"),
        (0, "0 s"),
        (0.2, "under 1 s"),
        (31, "31 s"),
        (59.6, "1 min 00 s"),
        (192, "3 min 12 s"),
        (3900, "1 h 05 min"),
        (190_000, "2 d 4 h"),
        (timedelta(minutes=4, seconds=2), "4 min 02 s"),
    ],
)
def test_durations(seconds: float | timedelta | None, text: str) -> None:
    assert formats.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (10, "less than a minute"),
        (50, "about 1 minute"),
        (240, "about 4 minutes"),
        (3590, "about 1 hour"),
        (7300, "about 2 hours"),
        (86_000, "about 1 day"),
        (timedelta(days=3), "about 3 days"),
    ],
)
def test_durations_in_sentences(seconds: float | timedelta | None, text: str) -> None:
    assert formats.plain_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (4_200_000, "4.2 MB"),
        (9_960_000, "10 MB"),
        (412_000_000, "412 MB"),
        (999_600_000, "1.0 GB"),
        (1_200_000_000, "1.2 GB"),
        (5e18, "5,000 PB"),
    ],
)
def test_sizes(count: float | None, text: str) -> None:
    assert formats.size_text(count) == text


@given(st.floats(min_value=0, max_value=1e15))
def test_a_size_is_short(count: float) -> None:
    assert len(formats.size_text(count)) <= 9


def test_counts() -> None:
    assert formats.count_text(1, "job") == "1 job"
    assert formats.count_text(2310, "job") == "2,310 jobs"
    assert formats.count_text(0, "entry,entries") == "0 entries"


@pytest.mark.parametrize(
    ("ago", "long", "short"),
    [
        (timedelta(seconds=5), "just now", "now"),
        (timedelta(seconds=50), "1 minute ago", "1 min"),
        (timedelta(minutes=12), "12 minutes ago", "12 min"),
        (timedelta(minutes=59, seconds=40), "1 hour ago", "1 h"),
        (timedelta(hours=2), "2 hours ago", "2 h"),
        (timedelta(hours=23, minutes=50), "1 day ago", "1 d"),
        (timedelta(days=3), "3 days ago", "3 d"),
        (timedelta(days=61), "1 October", "1 Oct"),
        (timedelta(days=600), "10 April 2025", "10 Apr 2025"),
        (timedelta(minutes=-15), "in 15 minutes", "in 15 min"),
        (timedelta(days=-9), "10 December", "10 Dec"),
    ],
)
def test_relative_times(ago: timedelta, long: str, short: str) -> None:
    assert formats.relative_text(NOW - ago, NOW) == long
    assert formats.relative_text(NOW - ago, NOW, short=True) == short


def test_exact_times_say_their_zone() -> None:
    assert formats.exact_text(NOW) == "Tue 1 Dec 2026, 14:10:00 UTC"
    assert formats.exact_text(NOW.replace(tzinfo=None)) == "Tue 1 Dec 2026, 14:10:00"
