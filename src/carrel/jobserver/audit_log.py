"""The audit log as people ask it and take it out: filters, and rows as JSON lines and CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from carrel.jobserver.models import AuditEvent

COLUMNS = (
    "at",
    "category",
    "action",
    "actor",
    "subject_type",
    "subject",
    "project",
    "backend",
    "old",
    "new",
    "address",
    "reference",
)
FILTERS = {
    "actor": "Actor",
    "action": "Action",
    "subject": "About",
    "project": "Project",
    "backend": "Backend",
    "category": "Kind",
    "since": "Since",
    "until": "Until",
    "q": "Text",
}
"""Parameters of the page's URL and what each is called."""
MAX_WORDS = 8
NEWEST_SEARCHED = 50_000
"""Events in which words are looked for: no index knows what stands inside a text."""
CHUNK = 2000


def events_of(query: Mapping[str, str], *, after: int = 0) -> QuerySet[AuditEvent]:
    """Return the events that a URL's filters ask for, newest first. What is no date filters nothing.

    `after`: the id of an event; only those that came later (`searched_after`).
    """
    events = AuditEvent.objects.filter(pk__gt=after) if after else AuditEvent.objects.all()
    for name in ("actor", "project", "backend", "category", "subject"):
        if value := clean(query.get(name, "")):
            events = events.filter(**{name: value})
    if action := clean(query.get("action", "")):
        # `role` means all that happens to roles; `role.assigned` that alone.
        events = events.filter(action=action) if "." in action else events.filter(action__startswith=f"{action}.")
    if since := day_of(query.get("since", "")):
        events = events.filter(at__gte=since)
    if until := day_of(query.get("until", "")):
        events = events.filter(at__lt=until + timedelta(days=1))
    for word in clean(query.get("q", "")).split()[:MAX_WORDS]:
        events = events.filter(Q(subject__icontains=word) | Q(action__icontains=word) | Q(actor__icontains=word))
    return events


def searched_after(query: Mapping[str, str]) -> int:
    """Return the id of the event after which a URL's words are looked for, nearer to its last day if it has one."""
    if not clean(query.get("q", "")):
        return 0
    events = AuditEvent.objects.all()
    if until := day_of(query.get("until", "")):
        events = events.filter(at__lt=until + timedelta(days=1))
    newest = events.order_by("-at").values_list("pk", flat=True).first() or 0
    return max(newest - NEWEST_SEARCHED, 0)


def clean(text: str) -> str:
    """Return a filter as the database can be asked for it."""
    return text.replace("\x00", "").strip()[:300]


def day_of(text: str) -> datetime | None:
    """Return the beginning (UTC) of a day such as `2026-12-01`."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return None


def rows_of(events: QuerySet[AuditEvent]) -> Iterator[dict[str, Any]]:
    """Return the events one by one, oldest first, as an export has them; never all in memory."""
    for row in events.order_by("id").values(*COLUMNS).iterator(chunk_size=CHUNK):
        yield {**row, "at": row["at"].isoformat()}


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What spreadsheets take for the start of a formula, blanks before it or not."""


def json_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Return each row as a line of JSON."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Return the rows as CSV (RFC 4180) with a head; what was and is now are JSON in their cells."""
    yield csv_line(COLUMNS)
    for row in rows:
        yield csv_line(row[name] for name in COLUMNS)


def cell_of(value: Any) -> str:
    """Return a value as a cell. What a spreadsheet would take for a formula has an apostrophe before it."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV: the only way in which this site writes any."""
    line = io.StringIO()
    csv.writer(line).writerow(map(cell_of, cells))
    return line.getvalue()
