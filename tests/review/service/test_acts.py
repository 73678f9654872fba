"""What each act leaves behind: rows, events, notices; and what it refuses."""

from typing import Any

import pytest
from tests.support.review import WORKSPACE, add_account, add_outputs, viewer_for

from carrel.disclosure.rules import rules_version
from carrel.review import copies, policy, settings
from carrel.review.decisions import Vote
from carrel.review.models import AuditEvent, FileVote, ReleaseRequest, RequestFile, ReviewNotice
from carrel.review.queries.contents import contents_of
from carrel.review.queries.file_states import file_states
from carrel.review.queries.missing import missing
from carrel.review.queries.visible import verdict, visible_comments, visible_history
from carrel.review.rules import ActRefused, FileState, FileType
from carrel.review.service import claims, comments, files, findings, groups, releases, requests, votes
from carrel.review.viewers import Viewer
from carrel.review.workspaces import read_workspace

pytestmark = pytest.mark.django_db

TABLE = b"plan,visits\na,120\nb,240\n"
SMALL = b"plan,visits\na,3\nb,240\n"
PATH = "output/visits.csv"


class Cast:
    """Ann writes, Bob, Cat and Dan check, Eve is of Ann's project."""

    def __init__(self) -> None:
        self.ann, self.eve = (viewer_for(add_account(name, WORKSPACE)) for name in ("ann", "eve"))
        self.bob, self.cat, self.dan = (
            viewer_for(add_account(name, is_checker=True)) for name in ("bob", "cat", "dan")
        )

    def begin(self, data: bytes = TABLE) -> tuple[ReleaseRequest, RequestFile]:
        """A request of one file, ready to be submitted but for what its findings ask."""
        add_outputs({PATH: data})
        request = requests.create(self.ann, WORKSPACE, title="Visits")
        file = files.add(self.ann, request, PATH, group="Tables")
        groups.describe(self.ann, request, "tables", context="Visits by plan.", controls="Rounded to 5.")
        return request, file

    def review(self, viewer: Viewer, request: ReleaseRequest, choice: Vote = Vote.APPROVED) -> None:
        for file in request.files.filter(file_type=FileType.OUTPUT):
            votes.vote(viewer, file, choice, sha256=file.sha256)
            if choice is Vote.CHANGES_REQUESTED:
                comments.comment(viewer, request, "Round.", is_public=True, file=file)
        votes.submit_review(viewer, request)


@pytest.fixture
def cast() -> Cast:
    return Cast()


def events(request: ReleaseRequest) -> list[str]:
    return list(AuditEvent.objects.filter(request=request.pk).order_by("number").values_list("event_type", flat=True))


def test_an_author_may_have_many_requests(cast: Cast) -> None:
    first, _ = cast.begin()
    second = requests.create(cast.ann, WORKSPACE)
    with pytest.raises(ActRefused, match="under review"):
        files.add(cast.ann, second, PATH)
    files.add(cast.ann, second, PATH, file_type=FileType.SUPPORTING)
    assert {first.status, second.status} == {"PENDING"}
    assert file_states(cast.ann, read_workspace(WORKSPACE)) == {PATH: FileState.UNDER_REVIEW}
    assert file_states(cast.eve, read_workspace(WORKSPACE)) == {PATH: FileState.UNRELEASED}


def test_strangers_get_nothing(cast: Cast) -> None:
    request, _ = cast.begin()
    stranger = viewer_for(add_account("zoe"))
    for act in (
        lambda: requests.create(stranger, WORKSPACE),
        lambda: files.add(stranger, request, PATH),
        lambda: requests.submit(stranger, request),
        lambda: comments.comment(stranger, request, "Hello", is_public=True),
        lambda: claims.claim(stranger, request),
    ):
        with pytest.raises(ActRefused):
            act()


def test_findings_are_answered_before_submitting(cast: Cast) -> None:
    request, file = cast.begin(SMALL)
    assert missing(request, cast.ann) == [f"Mend or justify the findings in {PATH} first."]
    with pytest.raises(ActRefused, match="Mend or justify"):
        requests.submit(cast.ann, request)
    open_now = contents_of(request).findings[file.pk]
    keys = [finding.pk for finding in open_now]
    assert findings.justify(cast.ann, file, keys, "Staff, not patients.") == len(keys) > 0
    requests.submit(cast.ann, request)
    (check,) = file.checks.all()
    assert (check.rules_version, check.configuration) == (
        rules_version(),
        policy.get().rules.as_record() | {"compared_with": []},
    )


def test_justifications_carry_over_with_the_bytes(cast: Cast) -> None:
    request, file = cast.begin(SMALL)
    findings.justify(cast.ann, file, [row.pk for row in contents_of(request).findings[file.pk]], "Staff.")
    add_outputs({PATH: TABLE})
    files.update(cast.ann, file)
    assert contents_of(request).findings[file.pk] == ()
    add_outputs({PATH: SMALL})
    files.update(cast.ann, file)
    assert {row.justification for row in contents_of(request).findings[file.pk]} == {"Staff."}
    requests.withdraw(cast.ann, request)
    again, file = cast.begin(SMALL)
    assert missing(again, cast.ann) == []


def test_an_early_return_hides_what_was_said(cast: Cast) -> None:
    request, file = cast.begin()
    requests.submit(cast.ann, request)
    claims.claim(cast.dan, request)
    cast.review(cast.bob, request)
    hidden = comments.comment(cast.cat, request, "Odd.", is_public=False, file=file, line=2, column="visits")
    requests.return_early(cast.cat, request, reason="The author asked for it.")
    request.refresh_from_db()
    assert (request.status, request.turn, request.previous_reviewers) == ("RETURNED", 2, ["bob"])
    assert [vote.vote for vote in FileVote.objects.filter(file=file)] == ["UNDECIDED"]
    contents = contents_of(request)
    for viewer in (cast.ann, cast.bob, cast.cat):
        assert [comment.text for comment in visible_comments(viewer, contents)] == ["The author asked for it."]
    assert "REQUEST_FILE_APPROVE" not in {event.event_type for event in visible_history(cast.cat, contents)}
    assert "REQUEST_FILE_APPROVE" in {event.event_type for event in visible_history(cast.bob, contents)}
    hidden.refresh_from_db()
    assert hidden.deleted_at is not None
    assert not request.claims.filter(ended_at=None).exists()
    assert missing(request, cast.ann) == []


def test_approvals_carry_over_and_refusals_do_not(cast: Cast) -> None:
    add_outputs({"b.csv": TABLE})
    request, file = cast.begin()
    files.add(cast.ann, request, "b.csv", group="tables")
    requests.submit(cast.ann, request)
    other = request.files.get(path="b.csv")
    for checker in (cast.bob, cast.cat):
        votes.vote(checker, file, Vote.APPROVED, sha256=file.sha256)
        votes.vote(checker, other, Vote.CHANGES_REQUESTED, sha256=other.sha256)
        comments.comment(checker, request, "Round.", is_public=True, file=other)
        votes.submit_review(checker, request)
    requests.return_to_author(cast.bob, request)
    comments.comment(cast.ann, request, "Done.", is_public=True, group=other.group)
    requests.submit(cast.ann, request)
    request.refresh_from_db()
    contents = contents_of(request)
    shown = verdict(cast.bob, contents, file)
    assert (shown.own, shown.is_carried_over, shown.others) == (Vote.APPROVED, True, None)
    assert contents.not_voted("bob") == (other,)
    assert missing(request, cast.bob) == ["Vote on b.csv first."]
    assert missing(request, cast.ann) == ["2 more reviews are needed."]


def test_moving_a_file_undoes_its_votes(cast: Cast) -> None:
    request, file = cast.begin()
    requests.submit(cast.ann, request)
    cast.review(cast.bob, request)
    requests.return_early(cast.cat, request)
    with pytest.raises(ActRefused, match="nothing to change"):
        files.move_file(cast.ann, file, group="TABLES")
    files.move_file(cast.ann, file, group="Figures")
    assert [vote.vote for vote in FileVote.objects.filter(file=file)] == ["UNDECIDED"]
    files.withdraw_file(cast.ann, file)
    assert request.files.get().file_type == FileType.WITHDRAWN
    files.add(cast.ann, request, PATH, group="tables")
    assert request.files.get().file_type == FileType.OUTPUT


def test_before_the_first_review_a_withdrawn_file_is_gone(cast: Cast) -> None:
    request, file = cast.begin()
    files.withdraw_file(cast.ann, file)
    assert not request.files.exists()
    assert missing(request, cast.ann) == ["Add at least one output file; supporting files alone are not reviewed."]


def test_a_redacted_version_stands_beside_its_original(cast: Cast) -> None:
    request, file = cast.begin(SMALL)
    redacted = files.redact(cast.ann, file, SMALL.replace(b"3", b"[redacted]"), reason="A small count.")
    assert (redacted.path, redacted.derived_from, redacted.commit) == ("output/visits.redacted.csv", file, file.commit)
    file.refresh_from_db()
    assert file.file_type == FileType.SUPPORTING
    again = files.redact(cast.ann, redacted, b"plan,visits\nb,240\n", reason="The row, too.")
    assert (again.pk, again.derived_from) == (redacted.pk, file)
    with pytest.raises(ActRefused, match="the same"):
        files.redact(cast.ann, again, b"plan,visits\nb,240\n", reason="Nothing.")
    with pytest.raises(ActRefused, match="Say what was redacted"):
        files.redact(cast.ann, again, b"", reason=" ")
    requests.submit(cast.ann, request)
    with copies.opened(WORKSPACE, request.pk, file.sha256) as stream:
        assert stream.read() == SMALL


@pytest.mark.parametrize("name", ["", " ", "a/b", "..", "a\nb", "x" * 201, "\ud800"])
def test_names_of_groups(cast: Cast, name: str) -> None:
    request, _ = cast.begin()
    with pytest.raises(ActRefused):
        groups.describe(cast.ann, request, name, context="", controls="")


def test_released_contents_are_not_released_again(cast: Cast) -> None:
    request, file = cast.begin()
    requests.submit(cast.ann, request)
    cast.review(cast.bob, request)
    cast.review(cast.cat, request)
    requests.approve(cast.dan, request)
    releases.failed([file], "The job server is away.")
    assert missing(ReleaseRequest.objects.get(), cast.bob) == ["1 of 1 files are still to be uploaded."]
    assert releases.retry(cast.bob, request) == 1
    releases.started(request, "https://jobs.example.org/r/1")
    with pytest.raises(ActRefused, match="other bytes"):
        releases.uploaded(file, "0" * 64)
    releases.uploaded(file, file.sha256)
    assert releases.uploaded(file, file.sha256).status == "RELEASED"
    assert events(request).count("REQUEST_FILE_UPLOAD") == 1
    assert file_states(cast.eve, read_workspace(WORKSPACE)) == {PATH: FileState.RELEASED}
    second = requests.create(cast.ann, WORKSPACE)
    with pytest.raises(ActRefused, match="supporting file only"):
        files.add(cast.ann, second, PATH)
    supporting = files.add(cast.ann, second, PATH, file_type=FileType.SUPPORTING)
    with pytest.raises(ActRefused, match="supporting file only"):
        files.move_file(cast.ann, supporting, file_type=FileType.OUTPUT)


def reviewed(cast: Cast) -> tuple[ReleaseRequest, RequestFile]:
    request, file = cast.begin()
    requests.submit(cast.ann, request)
    cast.review(cast.bob, request)
    cast.review(cast.cat, request)
    return request, file


def test_a_copy_that_was_changed_is_not_approved(cast: Cast) -> None:
    request, file = reviewed(cast)
    path = copies.folder_of(WORKSPACE, request.pk) / file.sha256
    path.chmod(0o640)
    path.write_bytes(TABLE + b"c,1\n")
    with pytest.raises(ActRefused, match="changed on the disk"):
        requests.approve(cast.bob, request)
    request.refresh_from_db()
    assert request.status == "REVIEWED"


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda file: file.votes.filter(checker="bob").delete(), "approved by 1 of 2"),
        (lambda file: file.votes.update(sha256="0" * 64), "approved by 0 of 2"),
        (lambda file: file.votes.filter(checker="bob").update(checker="ann"), "approved by 1 of 2"),
        (lambda file: RequestFile.objects.update(file_type=FileType.SUPPORTING), "not an output"),
        (lambda file: RequestFile.objects.update(released_at=None), "not approved"),
        (lambda file: ReleaseRequest.objects.update(status="REVIEWED"), "not approved"),
        (lambda file: RequestFile.objects.update(path="output/visits.exe"), "may not leave"),
    ],
)
def test_nothing_leaves_that_was_not_approved(cast: Cast, tamper: Any, says: str) -> None:
    """Whatever happened to the rows: what uploads asks again."""
    request, file = reviewed(cast)
    requests.approve(cast.bob, request)
    tamper(file)
    with pytest.raises(releases.ReleaseRefused, match=says), releases.opened_for_upload(file):
        pass


def test_the_policys_number_of_checkers_holds(cast: Cast, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policy.yaml").write_text("projects: {Visits by plan: {checkers: 1}}")
    monkeypatch.setenv("REVIEW_POLICY", str(tmp_path / "policy.yaml"))
    settings.get.cache_clear()
    request, _ = cast.begin()
    requests.submit(cast.ann, request)
    cast.review(cast.bob, request)
    assert requests.approve(cast.bob, request).status == "APPROVED"


def test_what_the_job_server_is_told(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_SERVER_ENDPOINT", "https://jobs.example.org/api/v2/")
    settings.get.cache_clear()
    request, file = cast.begin()
    requests.submit(cast.ann, request)
    cast.review(cast.bob, request, Vote.CHANGES_REQUESTED)
    cast.review(cast.cat, request, Vote.CHANGES_REQUESTED)
    requests.return_to_author(cast.cat, request)
    comments.comment(cast.ann, request, "No.", is_public=True, file=file)
    requests.submit(cast.ann, request)
    cast.review(cast.bob, request)
    cast.review(cast.cat, request)
    requests.approve(cast.bob, request)
    releases.uploaded(file, file.sha256)
    notices = ReviewNotice.objects.order_by("pk")
    told = " ".join(notice.event_type.removeprefix("request_") for notice in notices)
    first, second = "submitted partially_reviewed reviewed returned", "resubmitted partially_reviewed reviewed"
    assert told == f"{first} {second} approved released"
    assert notices[4].body == {
        "event_type": "request_resubmitted",
        "workspace": WORKSPACE,
        "request": request.pk,
        "request_author": "ann",
        "user": "ann",
        "updates": [{"update": "1 comments written", "user": "ann"}],
    }
    never = requests.create(cast.ann, WORKSPACE)
    requests.withdraw(cast.ann, never)
    assert not never.notices.exists()


def test_comments_are_changed_by_their_authors_only(cast: Cast) -> None:
    request, file = cast.begin()
    first = comments.comment(cast.eve, request, "  For Ann.\r\n", is_public=True, file=file)
    assert (first.text, first.group.name) == ("For Ann.", "tables")
    for act in (comments.delete, comments.publish):
        with pytest.raises(ActRefused):
            act(cast.ann, first)
    comments.delete(cast.eve, first)
    with pytest.raises(ActRefused, match="deleted already"):
        comments.delete(cast.eve, first)
    requests.submit(cast.ann, request)
    private = comments.comment(cast.bob, request, "Odd.", is_public=False)
    comments.publish(cast.bob, private)
    contents = contents_of(ReleaseRequest.objects.get())
    assert visible_comments(cast.cat, contents) == []
    assert visible_comments(cast.bob, contents) == [private]
    for wrong in ({"line": 1}, {"file": file, "line": 0}, {"file": file, "column": "x" * 300}):
        with pytest.raises(ActRefused):
            comments.comment(cast.bob, request, "x", is_public=True, **wrong)


def test_small_differences_to_earlier_requests_are_told(cast: Cast) -> None:
    """Of rejected and withdrawn ones too; two tables that are each fine tell a small count together."""
    first, _ = cast.begin(b"plan,visits\na,120\nb,240\n")
    requests.submit(cast.ann, first)
    requests.return_early(cast.bob, first)
    requests.withdraw(cast.ann, first)
    second, file = cast.begin(b"plan,visits\na,125\nb,240\n")
    (finding,) = contents_of(second).findings[file.pk]
    assert (finding.rule, finding.line, finding.column) == ("small-difference", 2, "visits")
    assert finding.compared_with == f"request {first.pk}"
    findings.justify(cast.ann, file, [finding.pk], "Another year.")
    third, _ = cast.begin(b"plan,visits\na,130\nb,240\n")
    requests.submit(cast.ann, second)
    with pytest.raises(ActRefused, match="Mend or justify"):
        requests.submit(cast.ann, third)
    compared = contents_of(third).checks[third.files.get().pk].configuration["compared_with"]
    assert compared == [f"request {second.pk}", f"request {first.pk}"]


def test_a_version_that_cannot_be_read_is_not_compared(cast: Cast) -> None:
    first, file = cast.begin(b"plan,visits\na,120\nb,240\n")
    requests.submit(cast.ann, first)
    (copies.folder_of(WORKSPACE, first.pk) / file.sha256).unlink()
    second, other = cast.begin(b"plan,visits\na,125\nb,240\n")
    check = contents_of(second).checks[other.pk]
    assert check.unchecked == f"not compared with request {first.pk}: its copy cannot be read"


def test_new_thresholds_are_looked_at_when_submitting(
    cast: Cast, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, _ = cast.begin()
    (tmp_path / "policy.yaml").write_text("disclosure: {smallest_shown: 130, rounded_to: 1}")
    monkeypatch.setenv("REVIEW_POLICY", str(tmp_path / "policy.yaml"))
    settings.get.cache_clear()
    with pytest.raises(ActRefused, match="Mend or justify"):
        requests.submit(cast.ann, request)
    assert events(request)[-1] == "REQUEST_FILE_CHECK"
