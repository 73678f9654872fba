"""Small charts: progress by families, the last runs, a metric over time, a sparkline, a backend's day.

Pure: values in, SVG out. Positions are in percent where there are letters beside them, so that a narrow window narrows
the bars and not the letters. Each says in words what it shows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeGuard

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from carrel.pages.formats import duration_text, relative_text
from carrel.pages.frame import BackendState
from carrel.pages.status_words import Family, status_words
from carrel.pages.svg import element, labelled, number, percent
from carrel.pages.timeline import tick_labels, time_axis

CHART_HEIGHT = 120
FOOT = 18
"""Room for the labels below."""
BAR_ROOM = 72
LEAST_BAR = 2
"""Pixels of a bar of nothing."""
STRIP_HEIGHT = 20
STATE_HEIGHTS = {
    BackendState.UP: STRIP_HEIGHT,
    BackendState.PAUSED: 14,
    BackendState.MAINTENANCE: 9,
    BackendState.MISSING: 4,
    BackendState.UNKNOWN: 0,
}
"""States of a backend differ in height too, not in colour alone."""
MAX_POINTS = 1000
LEAST_VALUE, MOST_VALUE = 1e-9, 1e18
"""What is less is nothing; what is more, or negative, or no number, is not drawn."""

Writer = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class LastRun:
    """One run of an action: when, how it ended, and a value that is drawn (seconds, bytes); None is not known."""

    moment: datetime
    code: str
    value: float | None
    url: str = ""


@dataclass(frozen=True, slots=True)
class StateSpan:
    """A stretch of time in which a backend was in one state."""

    start: datetime
    end: datetime
    state: BackendState


def progress_svg(counts: Mapping[Family, int], noun: str = "job") -> SafeString:
    """Draw how many of all have succeeded, failed, run, wait: one thin bar as wide as its place."""
    total = sum(counts.values())
    words = ", ".join(f"{count} {family}" for family, count in counts.items() if count)
    bars, before = [], 0
    for family in Family:
        count = counts.get(family, 0)
        if count and family is not Family.WAITING:
            bars.append(
                element("rect", x=percent(before / total), width=percent(count / total), height=6, class_=family)
            )
            before += count
    label = f"Of {total} {noun}{'' if total == 1 else 's'}: {words}" if total else f"No {noun}s"
    track = element("rect", width="100%", height=6, class_="track")
    return element("svg", element("title", label), track, *bars, class_="progress", role="img", height=6)


def last_runs_svg(runs: Sequence[LastRun], title: str, write: Writer = duration_text, *, now: datetime) -> SafeString:
    """Draw a bar for each run, oldest left, as high as its value and in the colour and icon of how it ended."""
    if not runs:
        return _empty_chart(title, "No run yet.")
    most = max((run.value for run in runs if _is_drawable(run.value)), default=0.0) or 1.0
    slot = 1 / max(len(runs), 10)
    bars = [_run_bar(run, number * slot, slot, most, write, now) for number, run in enumerate(runs)]
    words = ". ".join(_run_words(run, write, now) for run in runs)
    top = element("text", write(most), x="0", y=11)
    return element(
        "svg", labelled(title, words), top, *bars,
        class_="chart", role="img", height=CHART_HEIGHT - 8, aria_label=title,
    )  # fmt: skip


def _run_bar(run: LastRun, x: float, slot: float, most: float, write: Writer, now: datetime) -> SafeString:
    words = status_words(run.code)
    value = run.value if _is_drawable(run.value) else 0.0
    height = max(BAR_ROOM * min(value / most, 1.0), LEAST_BAR)
    foot = CHART_HEIGHT - 8 - FOOT
    return element(
        "g",
        element("title", _run_words(run, write, now)),
        element("rect", x=percent(x + slot * 0.12), width=percent(slot * 0.7), y=foot - height, height=height, rx=2),
        element(
            "svg",
            element("use", href=f"#i-{words.family}", x=-6, y=0, width=12, height=12),
            x=percent(x + slot * 0.47), y=foot + 5, class_="mark",
        ),
        class_=f"run {words.family}",
    )  # fmt: skip


def line_chart_svg(
    points: Sequence[tuple[datetime, float]], title: str, write: Writer, *, height: int = CHART_HEIGHT
) -> SafeString:
    """Draw a metric over time, from nothing up, with round marks. Values that are no numbers are left out."""
    drawn = [(moment, value) for moment, value in points if _is_drawable(value)]
    drawn = drawn[:: len(drawn) // MAX_POINTS + 1]
    if not drawn:
        return _empty_chart(title, "Nothing was measured yet.")
    axis = time_axis(min(moment for moment, _ in drawn), max(moment for moment, _ in drawn))
    top, step = round_scale(max(value for _, value in drawn))
    room = height - FOOT
    marks = []
    for mark in (step * count for count in range(1, round(top / step) + 1)):
        y = 14 + (room - 14) * (1 - mark / top)
        marks.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        marks.append(element("text", write(mark), x=-8, y=y + 4, text_anchor="end"))
    # A point alone is a line to itself: its round ends show.
    corners = (f"{number(axis.fraction(moment) * 100)},{number(100 - value / top * 100)}" for moment, value in drawn)
    line = element("polyline", points=" ".join([*corners] * (2 if len(drawn) == 1 else 1)), class_="line")
    plot = element("svg", line, y=14, height=room - 14, width="100%", viewBox="0 0 100 100", preserveAspectRatio="none")
    floor = element("line", x1="0", x2="100%", y1=room, y2=room, class_="floor")
    most, last = max(value for _, value in drawn), drawn[-1][1]
    words = f"At most {write(most)}, at last {write(last)}."
    return element(
        "svg", labelled(title, words), *marks, floor, plot, *tick_labels(axis, height - 3),
        class_="chart metric", role="img", height=height, aria_label=title,
    )  # fmt: skip


def sparkline_svg(values: Sequence[float], label: str) -> SafeString:
    """Draw a line as high as a letter."""
    drawable = [value for value in values[-MAX_POINTS:] if _is_drawable(value)]
    low, high = min(drawable, default=0.0), max(drawable, default=0.0)
    span = (high - low) or 1.0
    steps = max(len(drawable) - 1, 1)
    points = " ".join(
        f"{number(98 * step / steps + 1)},{number(17 - 14 * ((value - low) / span))}"
        for step, value in enumerate(drawable)
    )
    return element(
        "svg", element("title", label), element("polyline", points=points, class_="line"),
        class_="sparkline", role="img", width=100, height=20, viewBox="0 0 100 20", preserveAspectRatio="none",
    )  # fmt: skip


def strip_svg(spans: Sequence[StateSpan], start: datetime, end: datetime, backend: str) -> SafeString:
    """Draw how a backend was between two moments: each state in its colour and its height."""
    axis = time_axis(start, end)
    bars = [
        element(
            "rect",
            element("title", f"{span.state}, {span.start:%H:%M} to {span.end:%H:%M} UTC"),
            x=percent(axis.fraction(span.start)),
            width=percent(axis.fraction(span.end) - axis.fraction(span.start)),
            y=STRIP_HEIGHT - STATE_HEIGHTS[span.state],
            height=STATE_HEIGHTS[span.state],
            class_=span.state,
        )
        for span in spans
        if axis.fraction(span.end) > axis.fraction(span.start)
    ]
    track = element("rect", width="100%", height=STRIP_HEIGHT, class_="track")
    words = f"{backend}: {strip_words(spans, axis.start, axis.end)}"
    return element(
        "svg",
        *(element("title", words), track, *bars, *tick_labels(axis, STRIP_HEIGHT + 14)),
        class_="strip",
        role="img",
        height=STRIP_HEIGHT + FOOT,
    )


def strip_legend_html() -> SafeString:
    """Return what a strip's colours and heights mean: each state beside a piece of it."""
    entries = (
        (
            element(
                "svg",
                element("rect", width="100%", height=STRIP_HEIGHT, class_="track"),
                element("rect", width="100%", y=STRIP_HEIGHT - height, height=height, class_=state),
                class_="strip", width=14, height=STRIP_HEIGHT, aria_hidden="true",
            ),
            state,
        )
        for state, height in STATE_HEIGHTS.items()
    )  # fmt: skip
    items = format_html_join("", "<li>{}{}</li>", entries)
    return format_html('<ul class="legend" aria-label="Colours of the last 24 hours">{}</ul>', items)


def strip_words(spans: Sequence[StateSpan], start: datetime, end: datetime) -> str:
    """Tell how long a backend was in each state: `up 21 h 10 min, paused 2 h 50 min`."""
    totals: dict[BackendState, timedelta] = {}
    for span in spans:
        inside = min(span.end, end) - max(span.start, start)
        if inside > timedelta():
            totals[span.state] = totals.get(span.state, timedelta()) + inside
    return ", ".join(f"{state} {duration_text(total)}" for state, total in totals.items()) or "nothing is known"


def round_scale(most: float) -> tuple[float, float]:
    """Return the top of an axis that begins at nothing and the step between its two to five marks, both round."""
    if most < LEAST_VALUE:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(most))
    step = next(step for step in (power / 5, power / 2, power, power * 2) if most / step <= 5)
    return math.ceil(most / step * (1 - 1e-9)) * step, step


def _empty_chart(title: str, words: str) -> SafeString:
    shown = element("text", words, x="0", y=14)
    return element("svg", labelled(title, words), shown, class_="chart", role="img", height=20, aria_label=title)


def _run_words(run: LastRun, write: Writer, now: datetime) -> str:
    value = write(run.value) if _is_drawable(run.value) else "not measured"
    return f"{relative_text(run.moment, now)}: {status_words(run.code).word}, {value}"


def _is_drawable(value: float | None) -> TypeGuard[float]:
    return value is not None and 0 <= value <= MOST_VALUE
