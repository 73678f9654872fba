"""Telling the job server what happened to requests, each event until it was taken."""

from datetime import datetime

from django.utils import timezone

from carrel.clients.job_server_connection import JobServerError
from carrel.clients.releases import ReleasesClient
from carrel.review.models import ReviewNotice
from carrel.review.service import notices
from carrel.telemetry import faults

NOTICES_AT_ONCE = 100


def due_notices(now: datetime) -> list[ReviewNotice]:
    """Return the events to tell now: of each request the first that has not been told, where it may be tried."""
    first: dict[str, ReviewNotice] = {}
    for notice in ReviewNotice.objects.filter(sent_at=None).order_by("pk")[: 10 * NOTICES_AT_ONCE]:
        first.setdefault(notice.request_id, notice)
    return [notice for notice in first.values() if notice.next_attempt_at <= now][:NOTICES_AT_ONCE]


def send_notices(client: ReleasesClient) -> None:
    """Tell all that is due, in order. An event may be told twice where this was killed in between, never not at all."""
    while due := due_notices(timezone.now()):
        for notice in due:
            try:
                faults.point("review.notice.sending")
                problem = client.tell(notice.body)
            except JobServerError as error:
                notices.postponed(notice, str(error))
                continue
            faults.point("review.notice.sent")
            notices.sent(notice, problem)
            faults.point("review.notice.noted")
