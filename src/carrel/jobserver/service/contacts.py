"""What a controller that asks us tells of its backend by asking: that it is there, and its flags."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from carrel.jobserver.models import Backend

NOTE_EVERY = timedelta(seconds=15)
MAX_FLAGS = 100


@dataclass(frozen=True, slots=True)
class ReportedFlags:
    """The flags that the status page shows, with the time each was set; None where there is no such flag."""

    paused_since: datetime | None = None
    is_paused: bool = False
    maintenance_since: datetime | None = None
    in_maintenance: bool = False
    last_seen_at: datetime | None = None


def heard_from(backend: Backend, flags_header: str) -> None:
    """Note that the backend's controller asked. Only for backends whose controller asks us: others are asked.

    A row is written when a flag has changed, and otherwise every NOTE_EVERY.
    """
    if backend.link != Backend.LinkKind.POLLED:
        return
    now = timezone.now()
    flags = read_flags(flags_header)
    values = {
        "is_paused": flags.is_paused,
        "paused_since": flags.paused_since if flags.is_paused else None,
        "in_maintenance": flags.in_maintenance,
        "maintenance_since": flags.maintenance_since if flags.in_maintenance else None,
    }
    is_fresh = backend.status_at is not None and now - backend.status_at < NOTE_EVERY
    if is_fresh and all(getattr(backend, field) == value for field, value in values.items()):
        return
    seen_at = min(flags.last_seen_at, now) if flags.last_seen_at else now
    Backend.objects.filter(pk=backend.pk).update(**values, last_seen_at=seen_at, status_at=now)


def read_flags(header: str) -> ReportedFlags:
    """Read `{"paused": {"v": "true", "ts": "2026-..."}}`; what is not so counts for nothing."""
    try:
        flags = json.loads(header or "{}")
    except (ValueError, RecursionError):
        return ReportedFlags()
    if not isinstance(flags, dict) or len(flags) > MAX_FLAGS:
        return ReportedFlags()
    return ReportedFlags(
        paused_since=_time_of(flags.get("paused")),
        is_paused=_value_of(flags.get("paused")).lower() == "true",
        maintenance_since=_time_of(flags.get("mode")),
        in_maintenance=_value_of(flags.get("mode")) == "db-maintenance",
        last_seen_at=_time_of(flags.get("last-seen-at")),
    )


def _value_of(flag: Any) -> str:
    value = flag.get("v") if isinstance(flag, dict) else None
    return value if isinstance(value, str) else ""


def _time_of(flag: Any) -> datetime | None:
    text = flag.get("ts") if isinstance(flag, dict) else None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
