"""The audit log read: filtered for an export, and verified against itself, its anchors and a written head."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from carrel.review import settings
from carrel.review.anchors import ChainHead, head_fault, heads_of
from carrel.review.chain import first_fault
from carrel.review.models import AuditAnchor, AuditEvent
from carrel.review.service.audit import as_json
from carrel.units.limits import MAX_ANCHOR_FILE_BYTES

ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What came of verifying the chain. `events`, `heads`: how many were looked at."""

    events: int
    heads: int
    fault: str = ""
    """The first thing that is wrong, in a sentence."""
    unchecked: tuple[str, ...] = ()
    """What could not be looked at, and why."""


def events_of(
    *,
    request: str = "",
    workspace: str = "",
    actor: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEvent]:
    """Return the events that fit all filters that are given, oldest first; `until` is the first moment after them."""
    named = {"request": request, "workspace": workspace, "actor": actor, "at__gte": since, "at__lt": until}
    return AuditEvent.objects.filter(**{name: value for name, value in named.items() if value}).order_by("number")


def exported(events: QuerySet[AuditEvent]) -> Iterator[dict[str, Any]]:
    """Return events one by one, as they are hashed; never all in memory."""
    return map(as_json, events.iterator(chunk_size=ROWS_AT_ONCE))


def verify(*, heads: tuple[ChainHead, ...] = ()) -> ChainReport:
    """Hold the whole chain against itself, the file of anchors, and `heads` that were written down elsewhere."""
    last = AuditEvent.objects.order_by("-number").values_list("number", flat=True).first() or 0
    # Up to the last event of now: others are added meanwhile.
    fault = first_fault(exported(events_of().filter(number__lte=last)))
    anchors, unchecked, missing = _anchors()
    expected = (*anchors, *heads)
    hashes: dict[int, str] = {}
    numbers = sorted({head.number for head in expected})
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        rows = AuditEvent.objects.filter(number__in=numbers[start : start + ROWS_AT_ONCE])
        hashes.update(rows.values_list("number", "hash"))
    misfit = next((text for head in expected if (text := head_fault(head, hashes))), "")
    return ChainReport(events=last, heads=len(expected), fault=fault or misfit or missing, unchecked=unchecked)


def _anchors() -> tuple[list[ChainHead], tuple[str, ...], str]:
    """Return the heads of the file of anchors, what of it could not be looked at, and what is missing in it."""
    path = settings.get().anchors
    rows = AuditAnchor.objects.order_by("day")
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_ANCHOR_FILE_BYTES + 1)
    except FileNotFoundError:
        if row := rows.first():
            return [], (), f"{path.name} is missing: the anchor of {row.day} was written there."
        return [], ("Anchors were not checked: none has been written yet.",), ""
    except OSError as error:
        return [], (f"Anchors were not checked: {path} cannot be read: {error.strerror}.",), ""
    if len(data) > MAX_ANCHOR_FILE_BYTES:
        return [], (f"Anchors were not checked: {path} is longer than {MAX_ANCHOR_FILE_BYTES:,} bytes.",), ""
    heads, unread = heads_of(data.splitlines(), path.name)
    written = {(head.number, head.hash) for head in heads}
    gone = next((row.day for row in rows if (row.number, row.hash) not in written), None)
    return heads, tuple(unread), f"{path.name} lacks the anchor of {gone}, which was written there." if gone else ""
