"""Release requests: made, submitted, withdrawn, returned, rejected and approved."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from carrel.review import copies, policy, settings
from carrel.review.audit_types import AuditType
from carrel.review.decisions import Vote
from carrel.review.machine import ReviewStatus
from carrel.review.models import FileVote, ReleaseRequest
from carrel.review.models.requests import NAME_LENGTH
from carrel.review.queries.contents import RequestContents
from carrel.review.queries.situations import situation_of
from carrel.review.rules import Act, ActRefused, FileType, check
from carrel.review.service import claims, findings
from carrel.review.service.changes import acting, contents_now, log, move, written
from carrel.review.service.comments import add_comment
from carrel.review.service.notices import tell
from carrel.review.viewers import Viewer
from carrel.review.workspaces import read_workspace


def create(viewer: Viewer, workspace: str, *, title: str = "", is_automatic: bool = False) -> ReleaseRequest:
    """Begin a request of files of a workspace. An author may have many at once. Raises ActRefused."""
    check(Act.CREATE_REQUEST, viewer.situation(workspace, author=viewer.username))
    read_workspace(workspace)
    details = viewer.details(workspace)
    project = details.project_details if details else None
    with transaction.atomic():
        request = ReleaseRequest.objects.create(
            backend=settings.get().backend,
            workspace=workspace,
            project=project.name[:NAME_LENGTH] if project else "",
            organisations=project.orgs if project else [],
            title=written(title, "The title", NAME_LENGTH),
            author_id=viewer.username,
            checkers=policy.get().checkers_of(project.name if project else ""),
            is_automatic=is_automatic,
        )
        log(AuditType.REQUEST_CREATE, viewer, request, title=request.title)
    return request


def rename(viewer: Viewer, request: ReleaseRequest, title: str) -> ReleaseRequest:
    """Give a request another title. Raises ActRefused."""
    with acting(Act.EDIT_GROUP, viewer, request) as contents:
        row = contents.request
        row.title = written(title, "The title", NAME_LENGTH)
        row.save(update_fields=["title"])
        log(AuditType.REQUEST_EDIT, viewer, row, title=row.title)
    return row


def submit(viewer: Viewer, request: ReleaseRequest) -> ReleaseRequest:
    """Hand a request to the checkers; the next turn begins (R10, R11, R17). Raises ActRefused.

    The disclosure rules look at its files again first, as they, their thresholds and other requests are now; what they
    say stays, whatever becomes of the submission. Requests for changes
    become undecided votes; approvals stay, of the bytes that they name.
    """
    findings.refresh(viewer, request)
    with acting(Act.SUBMIT, viewer, request) as contents:
        row, ended = contents.request, contents.request.turn
        move(row, ReviewStatus.SUBMITTED)
        row.checkers = policy.get().checkers_of(row.project)
        tells_again = row.submitted_at is not None
        row.submitted_at = row.status_at
        row.save(update_fields=["checkers", "submitted_at"])
        FileVote.objects.filter(file__request=row, vote=Vote.CHANGES_REQUESTED).update(
            vote=Vote.UNDECIDED, updated_at=timezone.now()
        )
        log(
            AuditType.REQUEST_SUBMIT,
            viewer,
            row,
            files={file.path: file.sha256 for file in contents.current_files},
            checkers=row.checkers,
        )
        tell(row, viewer.username, turn=ended, is_again=tells_again)
    return row


def withdraw(viewer: Viewer, request: ReleaseRequest) -> ReleaseRequest:
    """Take a request back, for good. Raises ActRefused."""
    with acting(Act.WITHDRAW_REQUEST, viewer, request) as contents:
        return _end(contents, ReviewStatus.WITHDRAWN, AuditType.REQUEST_WITHDRAW, viewer)


def reject(viewer: Viewer, request: ReleaseRequest) -> ReleaseRequest:
    """Refuse a request as a whole, for good. Raises ActRefused."""
    with acting(Act.REJECT, viewer, request) as contents:
        return _end(contents, ReviewStatus.REJECTED, AuditType.REQUEST_REJECT, viewer)


def return_to_author(viewer: Viewer, request: ReleaseRequest) -> ReleaseRequest:
    """Give a request back to its author with the decisions; the next turn begins (R16). Raises ActRefused."""
    with acting(Act.RETURN, viewer, request) as contents:
        return _return(contents, AuditType.REQUEST_RETURN, viewer)


def return_early(viewer: Viewer, request: ReleaseRequest, *, reason: str = "") -> ReleaseRequest:
    """Give a request back before all reviews are in (R16). Raises ActRefused.

    The comments and votes that checkers made in this turn are shown to nobody any more and count for nothing; the rows
    and the audit stay. `reason`: a public comment for the author.
    """
    with acting(Act.RETURN_EARLY, viewer, request) as contents:
        row, now = contents.request, timezone.now()
        hidden = row.comments.filter(turn=row.turn, deleted_at=None)
        keys = list(hidden.values_list("pk", flat=True))
        hidden.update(deleted_at=now)
        FileVote.objects.filter(file__request=row, turn=row.turn).update(vote=Vote.UNDECIDED, updated_at=now)
        if reason.strip():
            add_comment(viewer, row, reason, is_public=True)
        return _return(contents, AuditType.REQUEST_EARLY_RETURN, viewer, comments_hidden=keys)


def approve(viewer: Viewer, request: ReleaseRequest) -> ReleaseRequest:
    """Approve a request: its files may leave, and nothing of it changes any more (R18, R21). Raises ActRefused.

    Each output's copy is hashed again first.
    """
    check(Act.APPROVE, situation_of(Act.APPROVE, viewer, before := contents_now(request)))
    for sha256 in {file.sha256 for file in before.outputs}:
        with copies.opened(request.workspace, request.pk, sha256):
            pass
    with acting(Act.APPROVE, viewer, request) as contents:
        if {file.sha256 for file in contents.outputs} != {file.sha256 for file in before.outputs}:
            raise ActRefused("The request was changed while it was being approved. Look at it again.")
        row, now = contents.request, timezone.now()
        row.files.filter(file_type=FileType.OUTPUT).update(released_at=now, released_by_id=viewer.username)
        _end(contents, ReviewStatus.APPROVED, AuditType.REQUEST_APPROVE, viewer)
        for file in contents.outputs:
            voters = [name for name, vote in contents.votes_on(file).items() if vote is Vote.APPROVED]
            log(
                AuditType.REQUEST_FILE_RELEASE,
                viewer,
                row,
                file=file,
                approved_by=sorted(contents.submitted.intersection(voters)),
            )
    return row


def _return(contents: RequestContents, event: AuditType, viewer: Viewer, **extra: Any) -> ReleaseRequest:
    """Begin the author's turn; who had submitted a review is remembered for it."""
    row = contents.request
    row.previous_reviewers = sorted(contents.submitted)
    row.save(update_fields=["previous_reviewers"])
    return _end(contents, ReviewStatus.RETURNED, event, viewer, reviews=row.previous_reviewers, **extra)


def _end(
    contents: RequestContents, status: ReviewStatus, event: AuditType, viewer: Viewer, **extra: Any
) -> ReleaseRequest:
    """End a turn: nobody looks at the request any more, the job server is told, and the audit log has the event."""
    row, ended = contents.request, contents.request.turn
    claims.end_all(row)
    move(row, status)
    tell(row, viewer.username, turn=ended)
    log(event, viewer, row, turn_ended=ended, **extra)
    return row
