"""The timeline: every bar on its axis, whatever the clocks said, with round ticks in UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pages.test_svg import TEXT
from tests.support.svg import elements, texts

from carrel.pages.status_words import Family
from carrel.pages.timeline import (
    LEAST_WIDTH,
    MAX_BARS,
    MOST_TICKS,
    STEPS,
    TimelineBar,
    axis_of,
    bar_position,
    time_axis,
    timeline_html,
)

NOW = datetime(2026, 12, 1, 14, 10, tzinfo=UTC)
MOMENTS = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2035, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
BARS = st.lists(
    st.builds(
        TimelineBar,
        backend=st.sampled_from(["north", "south"]),
        action=TEXT,
        family=st.sampled_from(Family),
        created_at=MOMENTS,
        started_at=st.none() | MOMENTS,
        ended_at=st.none() | MOMENTS,
        url=st.sampled_from(["", "/jobs/1/"]),
    ),
    max_size=6,
)


@given(MOMENTS, MOMENTS)
def test_ticks_are_round_few_and_on_the_axis(one: datetime, other: datetime) -> None:
    axis = time_axis(min(one, other), max(one, other))
    assert axis.start < axis.end
    assert len(axis.ticks) <= MOST_TICKS + 1
    for tick in axis.ticks:
        assert axis.start <= tick <= axis.end
        assert tick.utcoffset() == timedelta()
        assert int(tick.timestamp()) % axis.step_seconds == 0
        assert axis.label(tick)
    steps = {later - tick for tick, later in zip(axis.ticks, axis.ticks[1:], strict=False)}
    assert steps <= {timedelta(seconds=axis.step_seconds)}


def test_longer_times_than_any_step_have_ticks_too() -> None:
    axis = time_axis(NOW, NOW + timedelta(seconds=STEPS[-1] * 40))
    assert 1 <= len(axis.ticks) <= MOST_TICKS + 1


@pytest.mark.parametrize(
    ("length", "labels"),
    [
        (timedelta(minutes=10), ["14:10", "14:12", "14:14", "14:16", "14:18", "14:20"]),
        (timedelta(seconds=20), ["14:10:00", "14:10:05", "14:10:10", "14:10:15", "14:10:20"]),
        (timedelta(hours=20), ["16:00", "20:00", "2 Dec", "04:00", "08:00"]),
        (timedelta(days=5), ["2 Dec", "3 Dec", "4 Dec", "5 Dec", "6 Dec"]),
    ],
)
def test_ticks_are_told_as_clocks_and_calendars_do(length: timedelta, labels: list[str]) -> None:
    axis = time_axis(NOW, NOW + length)
    assert [axis.label(tick) for tick in axis.ticks] == labels


@given(BARS, MOMENTS)
def test_no_bar_lies_beyond_the_axis_and_each_can_be_seen(bars: list[TimelineBar], now: datetime) -> None:
    axis = axis_of(bars, now)
    for bar in bars:
        position = bar_position(bar, axis, now)
        assert 0 <= position.waits_from <= position.runs_from <= position.ends <= 1
        assert position.ends - position.waits_from >= LEAST_WIDTH * 0.999
        assert position.waited >= timedelta()
        assert position.ran is None or position.ran >= timedelta()
        assert (position.ran is None) == (bar.started_at is None)


@given(BARS, MOMENTS)
def test_every_job_is_drawn_once_and_told(bars: list[TimelineBar], now: datetime) -> None:
    html = timeline_html(bars, now)
    assert len(elements(html, "li")) == len(bars)
    for rect in elements(html, "rect"):
        x, width = (float((rect.get(name) or "").removesuffix("%")) for name in ("x", "width"))
        assert x + width <= 100.02
    backends = [element.text for element in elements(html, "span", "backend") if element.text]
    assert set(backends) == {bar.backend for bar in bars}


def bar(started: int | None, ended: int | None, family: Family = Family.SUCCEEDED) -> TimelineBar:
    times = [seconds if seconds is None else NOW + timedelta(seconds=seconds) for seconds in (started, ended)]
    return TimelineBar(
        backend="north", action="<extract>", family=family, created_at=NOW, started_at=times[0], ended_at=times[1]
    )


@pytest.mark.parametrize(
    ("row", "title", "took"),
    [
        (bar(24, 242), "<extract> on north: waited 24 s, ran 3 min 38 s, succeeded", "3 min 38 s"),
        (bar(24, None, Family.RUNNING), "<extract> on north: waited 24 s, has run 9 min 36 s, running", "9 min …"),
        (bar(None, None, Family.WAITING), "<extract> on north: waited 10 min 00 s, waiting", "–"),
        (bar(None, 30, Family.STOPPED), "<extract> on north: waited 30 s, stopped", "–"),
        (bar(0, 0), "<extract> on north: waited 0 s, ran 0 s, succeeded", "0 s"),
    ],
)
def test_a_bar_is_told_in_words(row: TimelineBar, title: str, took: str) -> None:
    html = timeline_html([row], NOW + timedelta(minutes=10))
    assert title in texts(html, "title")
    assert elements(html, "span", "took")[0].text == took


def test_long_timelines_say_what_they_leave_out() -> None:
    html = timeline_html([bar(1, 2)] * (MAX_BARS + 1), NOW)
    assert texts(html, "p") == ["And 1 job more."]
    assert len(elements(html, "li")) == MAX_BARS


def test_no_job_is_an_empty_timeline() -> None:
    assert elements(timeline_html([], NOW), "li") == []
