"""What cannot leave although it was tried again and again: somebody has to look."""

from carrel.review.machine import ReviewStatus
from carrel.review.models import RequestFile, ReviewNotice
from carrel.review.retries import ALERT_AFTER

MOST = 100


def stuck_requests() -> dict[str, str]:
    """Return why files or events of requests could not be sent, by the request's id: those tried ALERT_AFTER times.

    One query, of at most MOST rows.
    """
    files = RequestFile.objects.filter(
        request__status=ReviewStatus.APPROVED, uploaded_at=None, upload_attempts__gte=ALERT_AFTER
    )
    events = ReviewNotice.objects.filter(sent_at=None, attempts__gte=ALERT_AFTER)
    rows = files.order_by().values_list("request_id", "upload_error")
    return dict(rows.union(events.order_by().values_list("request_id", "problem"))[:MOST])
