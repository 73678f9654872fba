"""One request from its first file to its release, and what happens to it on the way."""

import pytest
from tests.support.review import WORKSPACE, add_account, add_outputs, viewer_for

from carrel.review.decisions import Vote
from carrel.review.models import AuditEvent, ReleaseRequest
from carrel.review.rules import ActRefused
from carrel.review.service import comments, files, groups, releases, requests, votes

pytestmark = pytest.mark.django_db

TABLE = b"plan,visits\na,120\nb,240\n"


@pytest.fixture
def people() -> list:
    return [
        viewer_for(add_account("ann", WORKSPACE)),
        viewer_for(add_account("bob", is_checker=True)),
        viewer_for(add_account("cat", is_checker=True)),
    ]


def begun(author) -> ReleaseRequest:
    add_outputs({"output/visits.csv": TABLE})
    request = requests.create(author, WORKSPACE, title="Visits")
    files.add(author, request, "output/visits.csv", group="Tables")
    groups.describe(author, request, "tables", context="Visits by plan.", controls="Rounded to 5.")
    return requests.submit(author, request)


def test_the_whole_way(people: list) -> None:
    ann, bob, cat = people
    request = begun(ann)
    (file,) = request.files.all()
    for checker, status in ((bob, "PARTIALLY_REVIEWED"), (cat, "REVIEWED")):
        votes.vote(checker, file, Vote.APPROVED, sha256=file.sha256)
        assert votes.submit_review(checker, request).status == status
    assert requests.approve(bob, request).status == "APPROVED"
    (file,) = releases.waiting_files(request)
    with releases.opened_for_upload(file) as stream:
        assert stream.read() == TABLE
    assert releases.uploaded(file, file.sha256).status == "RELEASED"
    kinds = AuditEvent.objects.order_by("number").values_list("event_type", flat=True)
    assert list(kinds) == [
        "REQUEST_CREATE",
        "REQUEST_FILE_ADD",
        "REQUEST_EDIT",
        "REQUEST_SUBMIT",
        "REQUEST_FILE_APPROVE",
        "REQUEST_REVIEW",
        "REQUEST_FILE_APPROVE",
        "REQUEST_REVIEW",
        "REQUEST_APPROVE",
        "REQUEST_FILE_RELEASE",
        "REQUEST_FILE_UPLOAD",
        "REQUEST_RELEASE",
    ]


def test_a_conflict_is_returned_and_submitted_again(people: list) -> None:
    ann, bob, cat = people
    request = begun(ann)
    (file,) = request.files.all()
    votes.vote(bob, file, Vote.APPROVED, sha256=file.sha256)
    votes.submit_review(bob, request)
    votes.vote(cat, file, Vote.CHANGES_REQUESTED, sha256=file.sha256)
    with pytest.raises(ActRefused, match="Say in a comment on tables"):
        votes.submit_review(cat, request)
    comments.comment(cat, request, "Round to 10.", is_public=False, file=file, line=2, column="visits")
    votes.submit_review(cat, request)
    with pytest.raises(ActRefused, match="Not approved"):
        requests.approve(bob, request)
    with pytest.raises(ActRefused, match="public comment"):
        requests.return_to_author(bob, request)
    comments.comment(bob, request, "Please round to 10.", is_public=True, group=file.group)
    assert requests.return_to_author(bob, request).turn == 2
    add_outputs({"output/visits.csv": TABLE.replace(b"120", b"130")})
    files.update(ann, file)
    with pytest.raises(ActRefused, match="public comment"):
        requests.submit(ann, request)
    comments.comment(ann, request, "Done.", is_public=True, group=file.group)
    assert requests.submit(ann, request).turn == 3
    with pytest.raises(ActRefused, match="was changed"):
        votes.vote(bob, file, Vote.APPROVED, sha256=file.sha256)
