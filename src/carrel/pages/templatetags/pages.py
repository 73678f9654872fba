"""`{% load pages %}`: the components that templates are made of. README.md of carrel.pages shows each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django import template
from django.core.paginator import Page
from django.template.context import RequestContext
from django.utils import timezone
from django.utils.html import conditional_escape, escape, format_html, format_html_join
from django.utils.safestring import SafeString

from carrel.pages import charts, formats
from carrel.pages.diffs import MAX_ROWS, file_diffs
from carrel.pages.frame import PageLink
from carrel.pages.graph import GraphAction, graph_svg
from carrel.pages.lists import PAGE_PARAMETER, SORT_PARAMETER, ActiveFilter, page_numbers, url_with
from carrel.pages.status_words import Family, StatusWords, status_words
from carrel.pages.timeline import TimelineBar, timeline_html
from carrel.units.words import joined

register = template.Library()
register.filter(joined)
NONE = "–"
SHORT_COMMIT = 7
ICON_OF_LEVEL = {"success": "succeeded", "error": "failed", "danger": "failed", "debug": "info"}
"""Levels of messages and alerts that share an icon with a family."""
ICON_OF_FAMILY = {
    family: SafeString(f'<svg class="icon" aria-hidden="true"><use href="#i-{family}"/></svg>') for family in Family
}
WRITERS: dict[str, charts.Writer] = {
    "bytes": formats.size_text,
    "seconds": formats.duration_text,
    "percent": lambda value: f"{value:,.0f} %",
    "numbers": lambda value: f"{value:,.4g}",
}
"""How the values of a chart are written, by unit."""


# --- statuses


@register.simple_tag
def chip(code: str, word: str = "", title: str = "", short: bool = False) -> SafeString:
    """Return the chip of a status code, state or family. `word` replaces its own; `title` stands behind the code.

    `short` is for narrow cells: `Waiting`, with the rest of its words in the title.
    """
    words = status_words(str(code))
    if short:
        word, title = word or words.short, title or words.note
    return chip_of(words.family, word or words.word, f"{words.code}: {title}" if title else words.code)


@register.simple_tag
def chip_of(family: str, word: str, title: str = "") -> SafeString:
    """Return a chip with words of one's own in one of the five families: `{% chip_of "failed" "1 failed" %}`."""
    shown = ICON_OF_FAMILY[Family(family)] + conditional_escape(word)
    titled = f' title="{escape(title)}"' if title else ""
    return SafeString(f'<span class="chip {family}"{titled}>{shown}</span>')


@register.filter(name="status_words")
def words_of_status(code: str) -> StatusWords:
    """Return family, word and explanation of a code: `{{ job.status_code|status_words }}`."""
    return status_words(str(code))


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """Return an icon of `pages/icons.html`; without a label it is for the eye alone."""
    name = ICON_OF_LEVEL.get(name, name)
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="#i-{}"/></svg>', label, name)
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>', name)


# --- times, sizes, counts


@register.simple_tag
def ago(moment: datetime | None, short: bool = False, now: datetime | None = None) -> SafeString:
    """Return a time as people say it, with the exact one in its title. Nothing is `–`."""
    if moment is None:
        return SafeString(NONE)
    local = timezone.localtime(moment)
    return time_element(local, formats.relative_text(local, timezone.localtime(now), short=short))


@register.simple_tag
def clock(moment: datetime | None) -> SafeString:
    """Return a time to the minute (`14:08`), with the date and zone in its title. Nothing is `–`."""
    if moment is None:
        return SafeString(NONE)
    local = timezone.localtime(moment)
    return time_element(local, f"{local:%H:%M}")


@register.simple_tag
def exactly(moment: datetime | None) -> SafeString:
    """Return a time to the second with its zone. Nothing is `–`."""
    if moment is None:
        return SafeString(NONE)
    local = timezone.localtime(moment)
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), formats.exact_text(local))


def time_element(local: datetime, text: str) -> SafeString:
    """Return a time whose title is the exact one. Both are written by `formats`, so nothing is to be escaped."""
    return SafeString(f'<time datetime="{local.isoformat()}" title="{formats.exact_text(local)}">{text}</time>')


@register.filter
def day(moment: date | None) -> str:
    """Return a date with its year: `3 May 2026`."""
    return NONE if moment is None else f"{moment.day} {moment:%B} {moment.year}"


@register.filter
def duration(seconds: float | timedelta | None) -> str:
    return formats.duration_text(seconds)


@register.filter
def about(seconds: float | timedelta | None) -> str:
    """Return `about 4 minutes`, for sentences."""
    return formats.plain_duration(seconds)


@register.filter
def size(count: float | None) -> str:
    return formats.size_text(count)


@register.filter
def count(number: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`: `{{ jobs|length|count:"job" }}`, `{{ n|count:"entry,entries" }}`."""
    return formats.count_text(number, noun)


# --- commits, code


@register.simple_tag
def commit(sha: str, url: str = "") -> SafeString:
    """Return a commit's first seven characters; a click copies all of it, and `url` leads to it."""
    short = sha[:SHORT_COMMIT]
    name = format_html('<a href="{}">{}</a>', url, short) if url else short
    return format_html(
        '<span class="commit" title="{}"><code>{}</code>{}</span>', sha, name, copy_button(sha, f"Copy commit {short}")
    )


@register.simple_tag
def copy_button(text: str, label: str = "Copy") -> SafeString:
    """Return a button that copies a text; it shows only where there is JavaScript."""
    return format_html(
        '<button type="button" class="copy" data-copy="{}" aria-label="{}" title="{}" hidden>{}</button>',
        text, label, label, icon("copy"),
    )  # fmt: skip


@register.inclusion_tag("pages/components/code.html")
def code(text: str, label: str = "Copy") -> dict[str, Any]:
    """Show a block of code with a button that copies it."""
    return {"text": text, "label": label}


# --- lists


@register.simple_tag(takes_context=True)
def sort_head(context: RequestContext, name: str, label: str, numeric: bool = False, default: str = "") -> SafeString:
    """Return the `<th>` of a column that its list can be sorted by (`lists.sort_order` reads the URL).

    `default`: what the list is sorted by without a word in the URL.
    """
    query = context["request"].GET
    current = query.get(SORT_PARAMETER, default)
    order = {name: "ascending", f"-{name}": "descending"}.get(current, "")
    url = url_with(query, **{SORT_PARAMETER: f"-{name}" if order == "ascending" else name})
    return format_html(
        '<th scope="col"{}{}><a href="{}">{}{}</a></th>',
        SafeString(' class="number"' if numeric else ""),
        SafeString(f' aria-sort="{order}"' if order else ""),
        url,
        label,
        icon(order or "sortable"),
    )


@register.inclusion_tag("pages/components/filters.html", takes_context=True)
def filter_chips(context: RequestContext, filters: Sequence[ActiveFilter], clear_url: str = "?") -> dict[str, Any]:
    """Show the filters that are set (`lists.active_filters`) as chips that can be taken off."""
    return {"filters": filters, "clear_url": clear_url}


@register.inclusion_tag("pages/components/pagination.html", takes_context=True)
def pagination(context: RequestContext, page: Page[Any], noun: str = "row") -> dict[str, Any]:
    """Show `51–100 of 1,204 jobs` and links to the other pages (`lists.page_of`)."""
    query = context["request"].GET
    numbers = [
        (number, url_with(query, **{PAGE_PARAMETER: str(number)}) if isinstance(number, int) else "")
        for number in page_numbers(page)
    ]
    before = url_with(query, **{PAGE_PARAMETER: str(page.number - 1)}) if page.has_previous() else ""
    after = url_with(query, **{PAGE_PARAMETER: str(page.number + 1)}) if page.has_next() else ""
    return {"page": page, "noun": noun, "numbers": numbers, "before": before, "after": after}


@register.inclusion_tag("pages/components/empty.html")
def empty(title: str, text: str = "", url: str = "", label: str = "") -> dict[str, Any]:
    """Show that a list is empty: why, and what to do about it."""
    return {"title": title, "text": text, "url": url, "label": label}


@register.inclusion_tag("pages/components/tabs.html")
def tabs(links: Iterable[PageLink], label: str = "Views") -> dict[str, Any]:
    """Show links as tabs; the one that is `current` is where we are."""
    return {"links": links, "label": label}


@register.simple_block_tag(takes_context=True)
def table(context: RequestContext, content: str, label: str, stacks: bool = False) -> SafeString:
    """Put rows into a table that scrolls in its own box: `{% table "Jobs" %}<thead>...{% endtable %}`.

    `stacks`: on a phone each row is a card, its cells one after the other; those with `data-label` say what they are.
    """
    return format_html(
        '<div class="table-box" role="region" aria-label="{}" tabindex="0"><table{}>{}</table></div>',
        label, SafeString(' class="stacks"' if stacks else ""), content,
    )  # fmt: skip


@register.inclusion_tag("pages/components/error_summary.html")
def error_summary(form: Any) -> dict[str, Any]:
    """Show all errors of a form at the top of the page; `{{ form }}` does so by itself."""
    return {"form": form}


@register.filter
def ticked(text: str) -> SafeString:
    """Show what stands between backticks as code: sentences that a terminal shows too are written so."""
    return SafeString(re.sub("`([^`]+)`", r"<code>\1</code>", conditional_escape(text)))


@register.simple_tag
def facts(pairs: Iterable[tuple[str, Any]]) -> SafeString:
    """Return a list of definitions from pairs of a term and what it is."""
    rows = format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", pairs)
    return format_html('<dl class="facts">{}</dl>', rows)


# --- charts


@register.simple_tag
def graph(actions: Sequence[GraphAction], title: str = "What needs what") -> SafeString:
    """Draw the graph of actions, in a box that scrolls where it is too large."""
    return format_html('<div class="graph-box" role="region" aria-label="{}" tabindex="0">{}</div>',
                       title, graph_svg(actions, title))  # fmt: skip


@register.simple_tag
def timeline(bars: Sequence[TimelineBar], now: datetime | None = None) -> SafeString:
    """Draw when jobs waited and ran, on one axis for all backends."""
    return timeline_html(bars, now or timezone.now())


@register.simple_tag
def progress(counts: Mapping[Family, int], noun: str = "job") -> SafeString:
    """Draw how many have succeeded, failed, run and wait (`status_words.family_counts`)."""
    return charts.progress_svg(counts, noun)


@register.simple_tag
def last_runs(runs: Sequence[charts.LastRun], title: str, unit: str = "", now: datetime | None = None) -> SafeString:
    """Draw a bar for each of the last runs, oldest first. `unit`: `bytes`, or else seconds."""
    return charts.last_runs_svg(runs, title, WRITERS.get(unit, formats.duration_text), now=now or timezone.now())


@register.simple_tag
def line_chart(points: Sequence[tuple[datetime, float]], title: str, unit: str = "") -> SafeString:
    """Draw a metric over time. `unit`: `bytes`, `seconds`, `percent`; or else plain numbers."""
    return charts.line_chart_svg(points, title, WRITERS.get(unit, WRITERS["numbers"]))


@register.simple_tag
def sparkline(values: Sequence[float], label: str) -> SafeString:
    return charts.sparkline_svg(values, label)


@register.simple_tag
def strip(spans: Sequence[charts.StateSpan], start: datetime, end: datetime, backend: str) -> SafeString:
    """Draw how a backend was between two moments."""
    return charts.strip_svg(spans, start, end, backend)


@register.simple_tag
def strip_legend() -> SafeString:
    """Say what the colours and heights of backends' strips mean; once on a page."""
    return charts.strip_legend_html()


# --- changed code, live pages


@register.inclusion_tag("pages/components/diff.html")
def diff(text: str, max_rows: int = MAX_ROWS) -> dict[str, Any]:
    """Show the output of `git diff`, file by file, of at most so many lines."""
    files = file_diffs(text, max_rows)
    return {
        "files": files,
        "added": sum(file.added for file in files),
        "removed": sum(file.removed for file in files),
        "rows_left_out": sum(file.rows_left_out for file in files),
    }


@register.inclusion_tag("pages/components/live.html")
def live(url: str, final: bool = False, seconds: int = 2) -> dict[str, Any]:
    """Ask `url` every so many seconds for what has changed, until it answers that all is final."""
    return {"url": url, "final": final, "seconds": seconds}
