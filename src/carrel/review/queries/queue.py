"""The checkers' queue: what waits for a review, was returned, or is uploading; in a constant number of queries."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Count, F, Q

from carrel.review.decisions import Vote
from carrel.review.machine import UNDER_REVIEW, ReviewStatus
from carrel.review.models import FileVote, ReleaseRequest, RequestClaim, RequestFile, SubmittedReview
from carrel.review.rules import FileType
from carrel.review.viewers import Viewer

PAGE = 50


class QueueSection(StrEnum):
    """One list of the queue."""

    OUTSTANDING = "outstanding"
    RETURNED = "returned"
    UPLOADING = "uploading"


STATUSES = {
    QueueSection.OUTSTANDING: tuple(sorted(UNDER_REVIEW)),
    QueueSection.RETURNED: (ReviewStatus.RETURNED,),
    QueueSection.UPLOADING: (ReviewStatus.APPROVED,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRequest:
    """One request as the queue shows it. `voted` of `outputs`: this viewer's own progress."""

    request: ReleaseRequest
    age: timedelta
    """Since it was submitted last."""
    outputs: int
    voted: int
    uploaded: int
    has_submitted: bool
    """This viewer has submitted a review in this turn."""
    reviews: int
    """How many have."""
    claimed_by: tuple[str, ...]
    is_own: bool
    """This viewer wrote it, and may not check it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewQueue:
    """One page of one section, oldest first; and how many requests each section has."""

    section: QueueSection
    entries: tuple[QueuedRequest, ...]
    counts: Mapping[QueueSection, int]
    page: int
    pages: int


def review_queue(
    viewer: Viewer, now: datetime, section: QueueSection = QueueSection.OUTSTANDING, *, page: int = 1
) -> ReviewQueue:
    """Return a page of the queue as a checker sees it, in six queries. A page beyond the last is the last."""
    numbers = dict(
        ReleaseRequest.objects.filter(status__in=[status for group in STATUSES.values() for status in group])
        .order_by()
        .values_list("status")
        .annotate(Count("pk"))
    )
    counts = {name: sum(numbers.get(status, 0) for status in statuses) for name, statuses in STATUSES.items()}
    pages = max(1, -(-counts[section] // PAGE))
    page = min(max(page, 1), pages)
    rows = ReleaseRequest.objects.filter(status__in=STATUSES[section]).select_related("author")
    requests = list(rows.order_by("submitted_at", "pk")[(page - 1) * PAGE : page * PAGE])
    entries = _entries(requests, viewer, now)
    return ReviewQueue(section=section, entries=entries, counts=counts, page=page, pages=pages)


def _entries(requests: list[ReleaseRequest], viewer: Viewer, now: datetime) -> tuple[QueuedRequest, ...]:
    keys = [request.pk for request in requests]
    is_output = Q(file_type=FileType.OUTPUT)
    outputs = {
        key: (number, uploaded)
        for key, number, uploaded in RequestFile.objects.filter(is_output, request__in=keys)
        .order_by()
        .values_list("request")
        .annotate(Count("pk"), Count("uploaded_at"))
    }
    voted = dict(
        FileVote.objects.filter(
            file__request__in=keys, file__file_type=FileType.OUTPUT, checker=viewer.username, sha256=F("file__sha256")
        )
        .exclude(vote=Vote.UNDECIDED)
        .order_by()
        .values_list("file__request")
        .annotate(Count("pk"))
    )
    reviewers = defaultdict(set)
    reviews = SubmittedReview.objects.filter(request__in=keys, turn=F("request__turn"))
    for key, name in reviews.values_list("request", "checker"):
        reviewers[key].add(name)
    claims = defaultdict(list)
    for key, name in RequestClaim.objects.filter(request__in=keys, ended_at=None).values_list("request", "checker"):
        claims[key].append(name)
    return tuple(
        QueuedRequest(
            request=request,
            age=now - (request.submitted_at or request.created_at),
            outputs=outputs.get(request.pk, (0, 0))[0],
            uploaded=outputs.get(request.pk, (0, 0))[1],
            voted=voted.get(request.pk, 0),
            has_submitted=viewer.username in reviewers[request.pk],
            reviews=len(reviewers[request.pk]),
            claimed_by=tuple(claims[request.pk]),
            is_own=request.author_id == viewer.username,
        )
        for request in requests
    )
