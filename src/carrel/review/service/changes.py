"""What every change has in common: the request's row is locked, the rules are asked, the change is made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.utils import timezone

from carrel.review.audit_types import AuditType
from carrel.review.machine import BEGINS_TURN, ReviewStatus, check_move
from carrel.review.models import AuditEvent, ReleaseRequest, RequestFile
from carrel.review.queries.contents import RequestContents, contents_of
from carrel.review.queries.situations import situation_of
from carrel.review.rules import Act, ActRefused, check
from carrel.review.service.audit import record
from carrel.review.viewers import Viewer
from carrel.units.words import is_storable


@contextmanager
def acting(act: Act, viewer: Viewer, request: ReleaseRequest, **about: Any) -> Iterator[RequestContents]:
    """Lock a request until the block ends, and yield what it holds. Raises ActRefused; then nothing changes.

    Whoever acts on the same request at the same instant waits, and sees what the other did. `about`: what
    `situation_of` takes beside the request.
    """
    with transaction.atomic():
        contents = contents_of(locked(request))
        check(act, situation_of(act, viewer, contents, **about))
        yield contents


def contents_now(request: ReleaseRequest) -> RequestContents:
    """Return what a request holds now, without a lock: to refuse early what would be refused later."""
    return contents_of(ReleaseRequest.objects.get(pk=request.pk))


def locked(request: ReleaseRequest) -> ReleaseRequest:
    """Return the request's row as it is now; nobody else changes it before the transaction ends."""
    return ReleaseRequest.objects.select_for_update().get(pk=request.pk)


def move(request: ReleaseRequest, status: ReviewStatus) -> None:
    """Set a locked request's status; some begin the next turn (R17). Raises MoveRefused where there is no such move."""
    check_move(ReviewStatus(request.status), status)
    request.status, request.status_at = status.value, timezone.now()
    request.turn += status in BEGINS_TURN
    request.save(update_fields=["status", "status_at", "turn"])


def log(
    event_type: AuditType,
    viewer: Viewer,
    request: ReleaseRequest,
    *,
    file: RequestFile | None = None,
    **extra: Any,
) -> AuditEvent:
    """Record an event of a request, of one of its files where it is about one."""
    if file is not None:
        extra = {"group": file.group.name, "file_type": file.file_type, "sha256": file.sha256, **extra}
    if request.is_automatic:
        extra["automated_action"] = True
    return record(event_type, actor=viewer.username, request=request, path=file.path if file else "", extra=extra)


def written(text: str, what: str, most: int) -> str:
    """Return what somebody wrote, without blanks round it. Raises ActRefused where it cannot be stored.

    `what`: the field, as the sentence begins; `most`: characters.
    """
    text = text.replace("\r\n", "\n").strip()
    if not is_storable(text):
        raise ActRefused(f"{what} has characters that cannot be stored. Take them out and try again.")
    if len(text) > most:
        raise ActRefused(f"{what} is longer than {most:,} characters. Shorten it by {len(text) - most:,}.")
    return text
