"""Votes on files, and reviews: what checkers say, each by themselves until enough have spoken (R13 to R15)."""

from django.utils import timezone

from carrel.review.audit_types import AuditType
from carrel.review.decisions import Vote
from carrel.review.machine import STATES, ReviewStatus, status_after_review
from carrel.review.models import FileGroup, FileVote, ReleaseRequest, RequestFile, SubmittedReview
from carrel.review.queries.contents import RequestContents
from carrel.review.queries.situations import refusal
from carrel.review.rules import Act, ActRefused, FileType
from carrel.review.service.changes import acting, log, move
from carrel.review.service.notices import tell
from carrel.review.viewers import Viewer

_EVENTS = {
    Vote.APPROVED: AuditType.REQUEST_FILE_APPROVE,
    Vote.CHANGES_REQUESTED: AuditType.REQUEST_FILE_REQUEST_CHANGES,
}


def vote(viewer: Viewer, file: RequestFile, choice: Vote, *, sha256: str) -> FileVote:
    """Approve a file, or request changes; a vote of before gives way to it. Raises ActRefused.

    `sha256`: of the bytes that the checker was shown. A vote on others than the file has now is refused.
    """
    if choice not in _EVENTS:
        raise ActRefused("Approve the file or request changes.")
    with acting(Act.VOTE, viewer, file.request, file=file) as contents:
        row = current(contents, file, sha256)
        return _cast(viewer, contents, row, choice)


def current(contents: RequestContents, file: RequestFile, sha256: str) -> RequestFile:
    """Return a file of a locked request as it is now. Raises ActRefused when it is gone, or has other bytes."""
    row = next((other for other in contents.files if other.pk == file.pk), None)
    if row is None or row.sha256 != sha256 or row.file_type != FileType.OUTPUT:
        raise ActRefused("The file was changed since you opened it. Look at it again.")
    return row


def _cast(viewer: Viewer, contents: RequestContents, file: RequestFile, choice: Vote) -> FileVote:
    """Write one vote of a locked request."""
    row, _ = FileVote.objects.update_or_create(
        file=file,
        checker_id=viewer.username,
        defaults={
            "vote": choice,
            "turn": contents.request.turn,
            "sha256": file.sha256,
            "updated_at": timezone.now(),
        },
    )
    log(_EVENTS[choice], viewer, contents.request, file=file)
    return row


def reset(viewer: Viewer, file: RequestFile) -> None:
    """Take one's vote back, before one's review is submitted. Raises ActRefused."""
    with acting(Act.RESET_VOTE, viewer, file.request, file=file) as contents:
        FileVote.objects.filter(file=file, checker_id=viewer.username).delete()
        log(AuditType.REQUEST_FILE_RESET_REVIEW, viewer, contents.request, file=file)


def request_changes(viewer: Viewer, group: FileGroup) -> int:
    """Request changes of each output of a group that one has not voted on (R15). Returns of how many."""
    with acting(Act.VOTE, viewer, group.request) as contents:
        files = [file for file in contents.not_voted(viewer.username) if file.group_id == group.pk]
        for file in files:
            _cast(viewer, contents, file, Vote.CHANGES_REQUESTED)
    return len(files)


def reset_group(viewer: Viewer, group: FileGroup) -> int:
    """Take back one's votes on all outputs of a group (R15). Returns how many. Raises ActRefused."""
    with acting(Act.VOTE, viewer, group.request) as contents:
        files = [
            file
            for file in contents.outputs
            if file.group_id == group.pk and viewer.username in contents.votes_on(file)
        ]
        for file in files:
            if reason := refusal(Act.RESET_VOTE, viewer, contents, file=file):
                raise ActRefused(reason)
            FileVote.objects.filter(file=file, checker_id=viewer.username).delete()
            log(AuditType.REQUEST_FILE_RESET_REVIEW, viewer, contents.request, file=file)
    return len(files)


def submit_review(viewer: Viewer, request: ReleaseRequest) -> ReleaseRequest:
    """Say that one has finished with the request in this turn (R14). Raises ActRefused.

    The review that completes what is needed makes the request reviewed; a further one leaves it so.
    """
    with acting(Act.SUBMIT_REVIEW, viewer, request) as contents:
        row = contents.request
        SubmittedReview.objects.create(request=row, checker_id=viewer.username, turn=row.turn)
        status = status_after_review(contents.status, len(contents.submitted) + 1, row.checkers)
        if status is not contents.status:
            move(row, status)
            tell(row, viewer.username, turn=row.turn)
        log(
            AuditType.REQUEST_REVIEW,
            viewer,
            row,
            votes={
                file.path: {"vote": contents.votes_on(file)[viewer.username], "sha256": file.sha256}
                for file in contents.outputs
            },
            status=STATES[ReviewStatus(row.status)].words,
        )
    return row
