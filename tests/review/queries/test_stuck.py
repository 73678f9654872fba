"""What could not be sent again and again is told to checkers, on every page."""

import pytest
from tests.support.review import add_account, add_file, add_request, browse

from carrel.review.models import ReviewNotice
from carrel.review.queries.stuck import stuck_requests
from carrel.review.retries import ALERT_AFTER

pytestmark = pytest.mark.django_db


def test_only_what_failed_often_enough_and_is_still_waiting() -> None:
    ann = add_account("ann")
    approved, released = add_request(ann, status="APPROVED"), add_request(ann, status="RELEASED")
    add_file(approved, "a.csv", b"a\n", upload_attempts=ALERT_AFTER - 1, upload_error="Away.")
    add_file(released, "a.csv", b"a\n", upload_attempts=ALERT_AFTER, upload_error="Away.")
    assert stuck_requests() == {}
    approved.files.update(upload_attempts=ALERT_AFTER)
    notice = ReviewNotice.objects.create(
        request=released, event_type="request_released", body={}, attempts=ALERT_AFTER, problem="No token."
    )
    assert stuck_requests() == {approved.pk: "Away.", released.pk: "No token."}
    page = browse(add_account("bob", is_checker=True)).get("/").content.decode()
    assert "2 requests cannot be sent to the job server." in page
    assert "cannot be sent" not in browse(ann).get("/").content.decode()
    notice.delete()
    approved.files.update(uploaded_at=approved.created_at)
    assert stuck_requests() == {}
