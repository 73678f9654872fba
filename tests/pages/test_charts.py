"""Small charts: within their bounds, in words too, and of nothing as well."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.svg import elements, parsed, texts

from carrel.pages.charts import (
    CHART_HEIGHT,
    MAX_POINTS,
    MOST_VALUE,
    STATE_HEIGHTS,
    LastRun,
    StateSpan,
    last_runs_svg,
    line_chart_svg,
    progress_svg,
    round_scale,
    sparkline_svg,
    strip_legend_html,
    strip_svg,
    strip_words,
)
from carrel.pages.formats import size_text
from carrel.pages.frame import BackendState
from carrel.pages.status_words import STATUS_WORDS, Family, family_counts

NOW = datetime(2026, 12, 1, 14, 10, tzinfo=UTC)
VALUES = st.floats() | st.none()


def percentage(text: str | None) -> float:
    return float((text or "").removesuffix("%"))


@given(st.dictionaries(st.sampled_from(Family), st.integers(0, 10_000)))
def test_progress_is_never_more_than_all(counts: dict[Family, int]) -> None:
    svg = progress_svg(counts)
    bars = [rect for rect in elements(svg, "rect") if rect.get("class") != "track"]
    assert len(bars) == sum(bool(count) for family, count in counts.items() if family is not Family.WAITING)
    assert sum(percentage(rect.get("width")) for rect in bars) <= 100.05


def test_progress_is_told_in_words() -> None:
    counts = family_counts(["succeeded"] * 4 + ["failed", "executing", "created"])
    assert texts(progress_svg(counts), "title") == ["Of 7 jobs: 4 succeeded, 1 failed, 1 running, 1 waiting"]
    assert texts(progress_svg({}), "title") == ["No jobs"]
    assert texts(progress_svg({Family.FAILED: 1}, "request"), "title") == ["Of 1 request: 1 failed"]


@given(st.lists(st.tuples(st.sampled_from(sorted(STATUS_WORDS)), VALUES), max_size=20))
def test_last_runs_are_bars_within_the_chart(rows: list[tuple[str, float | None]]) -> None:
    svg = last_runs_svg([LastRun(NOW, code, value) for code, value in rows], "Took", now=NOW)
    assert len(elements(svg, "g", "run")) == len(rows)
    for rect in elements(svg, "rect"):
        assert 0 <= float(rect.get("y", "")) <= CHART_HEIGHT
        assert 2 <= float(rect.get("height", "")) <= CHART_HEIGHT
        assert percentage(rect.get("x")) + percentage(rect.get("width")) <= 100


def test_a_run_is_told_in_words() -> None:
    runs = [LastRun(NOW - timedelta(hours=2), "succeeded", 192.0), LastRun(NOW, "timed_out", None)]
    svg = last_runs_svg(runs, "Took", now=NOW)
    assert texts(svg, "desc") == ["2 hours ago: Succeeded, 3 min 12 s. just now: Ran out of time, not measured"]
    assert texts(last_runs_svg([], "Took", now=NOW), "desc") == ["No run yet."]


@given(st.lists(st.tuples(st.datetimes(datetime(2020, 1, 1), timezones=st.just(UTC)), st.floats()), max_size=30))
def test_a_metric_is_a_line_within_the_plot(points: list[tuple[datetime, float]]) -> None:
    svg = line_chart_svg(points, "Memory", size_text)
    assert parsed(svg) is not None
    drawable = [value for _, value in points if 0 <= value <= MOST_VALUE]
    lines = elements(svg, "polyline")
    assert len(lines) == bool(drawable)
    for line in lines:
        for corner in (line.get("points") or "").split():
            x, y = map(float, corner.split(","))
            assert 0 <= x <= 100
            assert -0.01 <= y <= 100


def test_a_metric_has_round_marks_and_words() -> None:
    svg = line_chart_svg([(NOW, 4e8), (NOW + timedelta(minutes=5), 7.3e8)], "Memory", size_text)
    assert texts(svg, "desc") == ["At most 730 MB, at last 730 MB."]
    assert texts(svg, "text")[:4] == ["200 MB", "400 MB", "600 MB", "800 MB"]
    assert texts(line_chart_svg([], "Memory", size_text), "desc") == ["Nothing was measured yet."]
    assert elements(line_chart_svg([(NOW, 5.0)], "One", str), "polyline")[0].get("points") == "0,0 0,0"


def test_long_metrics_are_thinned() -> None:
    points = [(NOW + timedelta(seconds=n), float(n)) for n in range(10 * MAX_POINTS)]
    line = elements(line_chart_svg(points, "Memory", size_text), "polyline")[0]
    assert len((line.get("points") or "").split()) <= MAX_POINTS


@given(st.floats(min_value=0, max_value=MOST_VALUE))
def test_a_scale_is_round_and_holds_the_most(most: float) -> None:
    top, step = round_scale(most)
    assert top >= most * (1 - 1e-6)
    assert 1 <= round(top / step) <= 5
    assert step > 0


@given(st.lists(st.floats(), max_size=50))
def test_a_sparkline_stays_in_its_line(values: list[float]) -> None:
    (line,) = elements(sparkline_svg(values, "Runs a day"), "polyline")
    for corner in (line.get("points") or "").split():
        x, y = map(float, corner.split(","))
        assert 0 <= x <= 100
        assert 0 <= y <= 20


SPANS = st.lists(
    st.builds(
        lambda start, hours, state: StateSpan(NOW + start, NOW + start + hours, state),
        st.timedeltas(timedelta(days=-3), timedelta(days=3)),
        st.timedeltas(timedelta(hours=-1), timedelta(days=2)),
        st.sampled_from(BackendState),
    ),
    max_size=8,
)


@given(SPANS)
def test_a_strip_shows_only_its_day(spans: list[StateSpan]) -> None:
    svg = strip_svg(spans, NOW - timedelta(days=1), NOW, "north")
    for rect in elements(svg, "rect"):
        if rect.get("class") != "track":
            assert percentage(rect.get("x")) + percentage(rect.get("width")) <= 100.02


def test_the_legend_of_a_strip_has_every_state_that_a_strip_can_have() -> None:
    legend = strip_legend_html()
    for state in STATE_HEIGHTS:
        assert f'class="{state}"' in legend
        assert f"</svg>{state}</li>" in legend


def test_a_strip_is_told_in_words() -> None:
    day = NOW - timedelta(days=1)
    spans = [
        StateSpan(day - timedelta(hours=5), day + timedelta(hours=21), BackendState.UP),
        StateSpan(day + timedelta(hours=21), NOW + timedelta(hours=9), BackendState.PAUSED),
    ]
    assert strip_words(spans, day, NOW) == "up 21 h 00 min, paused 3 h 00 min"
    assert texts(strip_svg(spans, day, NOW, "north"), "title")[0] == "north: up 21 h 00 min, paused 3 h 00 min"
    assert strip_words([], day, NOW) == "nothing is known"


@pytest.mark.parametrize("start", [NOW, NOW + timedelta(days=1)])
def test_a_strip_of_no_length_is_drawn(start: datetime) -> None:
    assert elements(strip_svg([StateSpan(NOW, NOW, BackendState.UP)], start, NOW, "north"), "svg")
