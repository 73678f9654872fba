"""The audit log's one door: who did or saw what, in the transaction of the change."""

from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from carrel.review.chain import GENESIS, hash_of
from carrel.review.models import AuditEvent, ReleaseRequest

SYSTEM = "system"
CHAIN_LOCK = 0x6361727265766965
"""Key of PostgreSQL's advisory lock: events are numbered one after another."""


def record(
    event_type: str,
    *,
    actor: str,
    request: ReleaseRequest | None = None,
    workspace: str = "",
    path: str = "",
    extra: dict[str, Any] | None = None,
) -> AuditEvent:
    """Add one event to the chain. Call it inside the transaction of the change, so that both stand or neither does.

    `extra`: what JSON can hold, never a secret. The chain's order is the order in which transactions take its lock,
    which each holds to its end: call this as late as can be.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
        last = AuditEvent.objects.order_by("-number").values("number", "hash").first()
        event = AuditEvent(
            number=last["number"] + 1 if last else 1,
            at=timezone.now(),
            event_type=event_type,
            actor=actor,
            workspace=workspace or (request.workspace if request else ""),
            request=request.pk if request else "",
            path=path,
            turn=request.turn if request else None,
            extra=extra or {},
            previous_hash=last["hash"] if last else GENESIS,
        )
        event.hash = hash_of(as_json(event))
        event.save(force_insert=True)
    return event


def as_json(event: AuditEvent) -> dict[str, Any]:
    """Return an event as it is hashed and exported; times in UTC to the microsecond."""
    return {
        "number": event.number,
        "at": event.at.isoformat(timespec="microseconds"),
        "event_type": event.event_type,
        "actor": event.actor,
        "workspace": event.workspace,
        "request": event.request,
        "path": event.path,
        "turn": event.turn,
        "extra": event.extra,
        "previous_hash": event.previous_hash,
        "hash": event.hash,
    }
