"""The checkers' queue: whose turn it is with what, in a constant number of queries."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.support.review import add_account, add_file, add_request, viewer_for

from carrel.review.models import FileVote, RequestClaim, SubmittedReview
from carrel.review.queries.contents import contents_of
from carrel.review.queries.queue import PAGE, QueueSection, review_queue
from carrel.review.rules import FileType

pytestmark = pytest.mark.django_db


def test_what_a_checker_sees() -> None:
    now = timezone.now()
    ann, bob, cat = add_account("ann"), add_account("bob", is_checker=True), add_account("cat", is_checker=True)
    request = add_request(ann, status="PARTIALLY_REVIEWED", submitted_at=now - timedelta(hours=2), turn=1)
    first, second = add_file(request, "a.csv", b"1"), add_file(request, "b.csv", b"2")
    add_file(request, "c.csv", b"3", file_type=FileType.SUPPORTING)
    FileVote.objects.create(file=first, checker=bob, vote="APPROVED", turn=1, sha256=first.sha256)
    FileVote.objects.create(file=second, checker=bob, vote="APPROVED", turn=1, sha256="0" * 64)
    SubmittedReview.objects.create(request=request, checker=cat, turn=1)
    RequestClaim.objects.create(request=request, checker=bob)
    add_request(ann, status="RETURNED", submitted_at=now, turn=2)
    add_request(ann, status="APPROVED", submitted_at=now, turn=1)
    add_request(ann)
    queue = review_queue(viewer_for(bob), now)
    assert queue.counts == {QueueSection.OUTSTANDING: 1, QueueSection.RETURNED: 1, QueueSection.UPLOADING: 1}
    (entry,) = queue.entries
    assert (entry.outputs, entry.voted, entry.reviews, entry.has_submitted) == (2, 1, 1, False)
    assert (entry.age, entry.claimed_by, entry.is_own) == (timedelta(hours=2), ("bob",), False)
    assert review_queue(viewer_for(ann), now).entries[0].is_own
    assert len(review_queue(viewer_for(bob), now, QueueSection.RETURNED).entries) == 1


def test_pages_and_queries() -> None:
    now, ann = timezone.now(), add_account("ann")
    bob = viewer_for(add_account("bob", is_checker=True))
    for number in range(PAGE + 2):
        add_request(ann, status="SUBMITTED", submitted_at=now - timedelta(minutes=number), turn=1)
    with CaptureQueriesContext(connection) as queries:
        last = review_queue(bob, now, page=9)
    assert len(queries) == 6
    assert (last.page, last.pages, len(last.entries)) == (2, 2, 2)
    assert last.entries[-1].age == timedelta(0)
    with CaptureQueriesContext(connection) as again:
        assert len(review_queue(bob, now).entries) == PAGE
    assert len(again) == 6


def test_a_request_is_read_in_a_constant_number_of_queries() -> None:
    request = add_request(add_account("ann"))
    for number in range(20):
        add_file(request, f"{number}.csv", b"%d" % number)
    with CaptureQueriesContext(connection) as queries:
        contents = contents_of(request)
        assert [contents.decision(file) for file in contents.files] == ["INCOMPLETE"] * 20
    assert len(queries) <= 8
