"""What the job server is told of a request, written in the transaction of the change (section 2.6).

No file's name, no group's name and no comment goes out: what leaves a backend without a review is counts, usernames and
the request's id.
"""

from collections import Counter
from datetime import timedelta

from django.utils import timezone

from carrel.review import settings
from carrel.review.audit_types import AuditType
from carrel.review.machine import ReviewStatus
from carrel.review.models import AuditEvent, ReleaseRequest, ReviewNotice
from carrel.review.retries import pause_after

MOST_PROBLEM = 500
TOLD_OF = {
    AuditType.REQUEST_FILE_ADD: "files added",
    AuditType.REQUEST_FILE_UPDATE: "files updated",
    AuditType.REQUEST_FILE_WITHDRAW: "files withdrawn",
    AuditType.REQUEST_FILE_REDACT: "files redacted",
    AuditType.REQUEST_EDIT: "contexts or controls edited",
    AuditType.REQUEST_COMMENT: "comments written",
}
"""What of the turn that ended is counted for the job server."""

EVENTS = {
    ReviewStatus.SUBMITTED: "request_submitted",
    ReviewStatus.PARTIALLY_REVIEWED: "request_partially_reviewed",
    ReviewStatus.REVIEWED: "request_reviewed",
    ReviewStatus.RETURNED: "request_returned",
    ReviewStatus.APPROVED: "request_approved",
    ReviewStatus.RELEASED: "request_released",
    ReviewStatus.REJECTED: "request_rejected",
    ReviewStatus.WITHDRAWN: "request_withdrawn",
}
"""The contract's event of each status; a second submission is `request_resubmitted`."""


def tell(request: ReleaseRequest, by: str, *, turn: int, is_again: bool = False) -> None:
    """Note for the job server that a request has reached its status.

    `by`: username; `turn`: the one that ended; `is_again`: it was submitted before. A request that was never submitted
    is nothing to the job server; nor is anything noted where there is none.
    """
    status = ReviewStatus(request.status)
    if not settings.get().job_server_endpoint or request.submitted_at is None:
        return
    event = EVENTS[status]
    if status is ReviewStatus.SUBMITTED and is_again:
        event = "request_resubmitted"
    counts = Counter(
        AuditEvent.objects.filter(request=request.pk, turn=turn, event_type__in=TOLD_OF).values_list(
            "event_type", "actor"
        )
    )
    is_authors_turn = status is ReviewStatus.SUBMITTED
    updates = [
        {"update": f"{number} {TOLD_OF[AuditType(kind)]}", "user": actor}
        for (kind, actor), number in sorted(counts.items())
        if is_authors_turn
    ]
    ReviewNotice.objects.create(
        request=request,
        event_type=event,
        body={
            "event_type": event,
            "workspace": request.workspace,
            "request": request.pk,
            "request_author": request.author_id,
            "user": by,
            "updates": updates,
        },
    )


def sent(notice: ReviewNotice, problem: str) -> None:
    """Note that the job server was told. `problem`: what it could not do with it."""
    ReviewNotice.objects.filter(pk=notice.pk).update(sent_at=timezone.now(), problem=problem[:MOST_PROBLEM])


def postponed(notice: ReviewNotice, problem: str) -> None:
    """Note why the job server could not be told; it is tried again after a pause."""
    attempts, longest = notice.attempts + 1, settings.get().review_upload_retry
    pause = pause_after(attempts, longest, f"notice {notice.pk}")
    ReviewNotice.objects.filter(pk=notice.pk, sent_at=None).update(
        attempts=attempts, next_attempt_at=timezone.now() + timedelta(seconds=pause), problem=problem[:MOST_PROBLEM]
    )
