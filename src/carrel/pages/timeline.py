"""When jobs waited and ran, on all backends, on one axis of time. Pure: bars and the present in, HTML and SVG out.

Labels are HTML, and bars SVG with positions in percent: a narrow window narrows the bars and not the letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.html import format_html
from django.utils.safestring import SafeString

from carrel.pages.formats import DAY, HOUR, MINUTE, count_text, duration_text
from carrel.pages.status_words import Family
from carrel.pages.svg import element, percent

STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR for hours in (1, 2, 4, 6, 12)),
    *(days * DAY for days in (1, 2, 7, 14, 28, 91, 182, 364)),
)
"""Seconds between ticks: round numbers of the clock and the calendar."""
MOST_TICKS = 6
LEAST_WIDTH = 0.004
"""A bar is at least so wide, as part of the axis: what took no time was there too."""
MAX_BARS = 100
LAST_LABEL = 0.9
"""Beyond this part of the axis there is no room for a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineBar:
    """One job. Times are aware; those that are not known yet are None; one before an earlier one counts as that."""

    backend: str
    action: str
    family: Family
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """From `start` to `end`, with the moments to mark."""

    start: datetime
    end: datetime
    ticks: tuple[datetime, ...]
    step_seconds: int

    def fraction(self, moment: datetime) -> float:
        """Return where a moment lies, 0 at the start and 1 at the end; beyond an end it is at that end."""
        return min(max((moment - self.start) / (self.end - self.start), 0.0), 1.0)

    def label(self, tick: datetime) -> str:
        if self.step_seconds >= DAY or (tick.hour, tick.minute, tick.second) == (0, 0, 0):
            return f"{tick.day} {tick:%b}"
        return f"{tick:%H:%M:%S}" if self.step_seconds < MINUTE else f"{tick:%H:%M}"


@dataclass(frozen=True, slots=True)
class BarPosition:
    """Where one bar lies on its axis, in fractions of it: it waits from `waits_from` on, runs from `runs_from` on."""

    waits_from: float
    runs_from: float
    ends: float
    waited: timedelta
    ran: timedelta | None


def time_axis(start: datetime, end: datetime) -> TimeAxis:
    """Lay an axis of UTC over a stretch of time; one of no length gets a second."""
    start, end = start.astimezone(UTC), max(end, start + timedelta(seconds=1)).astimezone(UTC)
    seconds = (end - start).total_seconds()
    step = next((step for step in STEPS if seconds / step <= MOST_TICKS), int(seconds / MOST_TICKS // DAY + 1) * DAY)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    first = -((epoch - start) // timedelta(seconds=step)) * step
    count = int((end - epoch).total_seconds() - first) // step + 1
    ticks = (epoch + timedelta(seconds=first + number * step) for number in range(count))
    return TimeAxis(start, end, tuple(tick for tick in ticks if start <= tick <= end), step)


def axis_of(bars: Sequence[TimelineBar], now: datetime) -> TimeAxis:
    """Return the axis that all bars fit on; one that has not ended reaches to the present."""
    start = min((bar.created_at for bar in bars), default=now)
    end = max((_times(bar, now)[2] for bar in bars), default=now)
    return time_axis(start, end)


def bar_position(bar: TimelineBar, axis: TimeAxis, now: datetime) -> BarPosition:
    """Return where a bar lies. A job that never started only waits."""
    created, started, ended = _times(bar, now)
    ends = max(axis.fraction(ended), min(axis.fraction(created) + LEAST_WIDTH, 1.0))
    waits_from = min(axis.fraction(created), ends - LEAST_WIDTH)
    if bar.started_at is None:
        return BarPosition(waits_from, ends, ends, ended - created, None)
    return BarPosition(
        waits_from, min(axis.fraction(started), ends - LEAST_WIDTH), ends, started - created, ended - started
    )


def _times(bar: TimelineBar, now: datetime) -> tuple[datetime, datetime, datetime]:
    """Created, started, ended, in that order even where clocks disagree."""
    ended = bar.ended_at or max(now, bar.created_at)
    started = max(bar.started_at or ended, bar.created_at)
    return bar.created_at, started, max(ended, started)


def timeline_html(bars: Sequence[TimelineBar], now: datetime, max_bars: int = MAX_BARS) -> SafeString:
    """Draw the timeline: a row for each job, those of one backend below each other, and the axis at the foot."""
    shown = bars[:max_bars]
    axis = axis_of(shown, now)
    rows, backend = [], None
    for bar in shown:
        rows.append(_row(bar, bar_position(bar, axis, now), bar.backend if bar.backend != backend else ""))
        backend = bar.backend
    lines = (
        element("line", x1=percent(at), x2=percent(at), y1="0", y2="100%") for at in map(axis.fraction, axis.ticks)
    )
    label = f"From {axis.start:%H:%M} to {axis.end:%H:%M} UTC"
    left_out = len(bars) - len(shown)
    more = format_html('<p class="quiet small">And {} more.</p>', count_text(left_out, "job")) if left_out else ""
    return format_html(
        '<div class="timeline"><div class="timeline-plot">{}<ol>{}</ol></div>{}</div>{}',
        element("svg", *lines, class_="ticks", aria_hidden="true"),
        SafeString("".join(rows)),
        element("svg", element("title", label), *tick_labels(axis, 14), class_="axis", height=20, role="img"),
        more,
    )


def _row(bar: TimelineBar, position: BarPosition, backend: str) -> SafeString:
    running = bar.ended_at is None and bar.started_at is not None
    took = duration_text(position.ran)
    if running:
        took = f"{' '.join(took.split()[:2])} …"
    words = f"waited {duration_text(position.waited)}"
    if position.ran is not None:
        words += f", {'has run' if running else 'ran'} {duration_text(position.ran)}"
    bars = [
        ("waited", position.waits_from, position.runs_from),
        (f"ran {bar.family}", position.runs_from, position.ends),
    ]
    drawn = element(
        "svg",
        element("title", f"{bar.action} on {bar.backend}: {words}, {bar.family}"),
        *(
            element("rect", x=percent(start), width=percent(end - start), height=12, rx=2, class_=class_)
            for class_, start, end in bars
            if end > start
        ),
        role="img",
        height=12,
    )
    name = format_html('<a href="{}">{}</a>', bar.url, bar.action) if bar.url else bar.action
    return format_html(
        '<li><span class="backend">{}</span><span class="action">{}</span>{}<span class="took">{}</span></li>',
        backend, name, drawn, took,
    )  # fmt: skip


def tick_labels(axis: TimeAxis, y: float) -> list[SafeString]:
    """Return the labels of an axis, each beginning at its tick; narrow windows leave every other one out."""
    places = [(tick, at) for tick in axis.ticks if (at := axis.fraction(tick)) <= LAST_LABEL]
    return [
        element("text", axis.label(tick), x=percent(at), y=y, class_="tick lesser" if place % 2 else "tick")
        for place, (tick, at) in enumerate(places)
    ]
