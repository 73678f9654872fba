"""How backends stand, as their controllers tell: kept on the backend, and counted by hour for the status page."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from carrel.jobserver.models import Backend, BackendHour
from carrel.jobserver.runs.reported import utc_time
from carrel.messages.rap import BackendStatus

logger = logging.getLogger(__name__)

MAX_BACKEND_STATES = 1000
KEEP_HOURS = timedelta(days=14)


def record_states(controller: str, states: Sequence[Mapping[str, Any]]) -> None:
    """Store what a controller says of its backends: each by itself; those that are not ours are left out."""
    backends = {backend.slug: backend for backend in _asked(controller)}
    for state in states[:MAX_BACKEND_STATES]:
        backend = backends.pop(str(state.get("slug")), None)
        if backend is None:
            continue
        try:
            record_state(backend, BackendStatus.model_validate(dict(state)))
        except DatabaseError:
            raise
        except Exception:
            logger.exception("What controller %s says of backend %s cannot be stored.", controller, backend.slug)
    for backend in backends.values():
        _count(backend, ())


def note_silence(controller: str) -> None:
    """The controller was asked and said nothing: its backends count as missing for now."""
    for backend in _asked(controller):
        _count(backend, ())


def record_state(backend: Backend, state: BackendStatus) -> None:
    """Store how one backend stands now, and count it in its hour."""
    last_seen, now = utc_time(state.last_seen), timezone.now()
    if last_seen is not None:
        # By a clock that is ahead, a backend that has died would seem up until then.
        last_seen = min(last_seen, now)
    is_paused, in_maintenance = state.paused.status == "on", state.db_maintenance.status == "on"
    with transaction.atomic():
        Backend.objects.filter(pk=backend.pk).update(
            last_seen_at=last_seen,
            is_paused=is_paused,
            paused_since=utc_time(state.paused.since) if is_paused else None,
            in_maintenance=in_maintenance,
            maintenance_since=utc_time(state.db_maintenance.since) if in_maintenance else None,
            maintenance_kind=(state.db_maintenance.type or "") if in_maintenance else "",
            status_at=now,
        )
        _count(backend, _standing(backend, last_seen, is_paused, in_maintenance))


def _asked(controller: str) -> list[Backend]:
    return list(Backend.objects.filter(link=Backend.LinkKind.RAP, controller=controller, is_active=True))


def _standing(backend: Backend, last_seen: datetime | None, is_paused: bool, in_maintenance: bool) -> tuple[str, ...]:
    silent = last_seen is None or timezone.now() - last_seen > timedelta(seconds=backend.alert_timeout_seconds)
    if silent:
        return ()
    named = (("maintenance", in_maintenance), ("paused", is_paused))
    return tuple(name for name, is_so in named if is_so) or ("up",)


def _count(backend: Backend, columns: Sequence[str]) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    counts = {name: F(name) + 1 for name in ("asked", *columns)}
    if BackendHour.objects.filter(backend=backend, hour=hour).update(**counts):
        return
    BackendHour.objects.filter(backend=backend, hour__lt=hour - KEEP_HOURS).delete()
    BackendHour.objects.bulk_create(
        [BackendHour(backend=backend, hour=hour, **dict.fromkeys(counts, 1))], ignore_conflicts=True
    )
