"""Requests as rows of a list: what each holds, counted in one query."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q

from carrel.review.machine import STATES, ReviewStatus
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.rules import FileType
from carrel.review.views.standing import FAMILIES, TURNS


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One request of a list."""

    request: ReleaseRequest
    family: str
    words: str
    turn: str
    outputs: int
    supporting: int


def listed(requests: Sequence[ReleaseRequest]) -> list[RequestRow]:
    """Return the rows of a list of requests."""
    counts = {
        row["request"]: row
        for row in RequestFile.objects.filter(request__in=[row.pk for row in requests])
        .order_by()
        .values("request")
        .annotate(
            outputs=Count("pk", filter=Q(file_type=FileType.OUTPUT)),
            supporting=Count("pk", filter=Q(file_type=FileType.SUPPORTING)),
        )
    }
    return [
        RequestRow(
            request=request,
            family=FAMILIES[status],
            words=STATES[status].words,
            turn=TURNS[STATES[status].owner],
            outputs=counts[request.pk]["outputs"] if request.pk in counts else 0,
            supporting=counts[request.pk]["supporting"] if request.pk in counts else 0,
        )
        for request in requests
        for status in [ReviewStatus(request.status)]
    ]
