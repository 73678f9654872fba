"""Comments on a request, a group, a file, a line of it or a cell of its table (R19, R20)."""

from django.utils import timezone

from carrel.review.audit_types import AuditType
from carrel.review.models import Comment, FileGroup, ReleaseRequest, RequestFile
from carrel.review.models.requests import NAME_LENGTH
from carrel.review.rules import Act, ActRefused
from carrel.review.service.changes import acting, log, written
from carrel.review.viewers import Viewer
from carrel.units.limits import MAX_COMMENT_CHARACTERS

MOST_LINE = 2**31 - 1


def comment(
    viewer: Viewer,
    request: ReleaseRequest,
    text: str,
    *,
    is_public: bool,
    group: FileGroup | None = None,
    file: RequestFile | None = None,
    line: int | None = None,
    column: str = "",
) -> Comment:
    """Say something of a request, or of what is named of it. Raises ActRefused.

    `line`: from 1, of `file`; with `column`, a cell. A comment on a file is one on its group too.
    """
    if (line is not None or column) and file is None:
        raise ActRefused("A comment on a line or a cell names its file.")
    if line is not None and not 1 <= line <= MOST_LINE:
        raise ActRefused("Lines count from 1.")
    with acting(Act.COMMENT if is_public else Act.COMMENT_PRIVATELY, viewer, request) as contents:
        if file is not None:
            file = next((row for row in contents.files if row.pk == file.pk), None)
            if file is None:
                raise ActRefused("The file is not on the request any more.")
            group = file.group
        elif group is not None and group.request_id != request.pk:
            raise ActRefused("The group is of another request.")
        return add_comment(
            viewer,
            contents.request,
            text,
            is_public=is_public,
            group=group,
            file=file,
            line=line,
            column=column,
        )


def add_comment(
    viewer: Viewer,
    request: ReleaseRequest,
    text: str,
    *,
    is_public: bool,
    group: FileGroup | None = None,
    file: RequestFile | None = None,
    line: int | None = None,
    column: str = "",
) -> Comment:
    """Write a comment on a locked request, whose rules were asked. Raises ActRefused for what cannot be stored."""
    text = written(text, "The comment", MAX_COMMENT_CHARACTERS)
    if not text:
        raise ActRefused("Write something first.")
    row = Comment.objects.create(
        request=request,
        group=group,
        file=file,
        line=line,
        column=written(column, "The column", NAME_LENGTH),
        author_id=viewer.username,
        text=text,
        is_public=is_public,
        turn=request.turn,
    )
    _log(AuditType.REQUEST_COMMENT, viewer, row)
    return row


def delete(viewer: Viewer, row: Comment) -> None:
    """Show one's own comment of this turn to nobody any more; the row and the audit stay. Raises ActRefused."""
    with acting(Act.DELETE_COMMENT, viewer, row.request, comment=row) as contents:
        if not contents.request.comments.filter(pk=row.pk, deleted_at=None).update(deleted_at=timezone.now()):
            raise ActRefused("The comment is deleted already.")
        _log(AuditType.REQUEST_COMMENT_DELETE, viewer, row)


def publish(viewer: Viewer, row: Comment) -> None:
    """Make one's own private comment of this turn public (R20). Raises ActRefused."""
    with acting(Act.PUBLISH_COMMENT, viewer, row.request, comment=row) as contents:
        if not contents.request.comments.filter(pk=row.pk, deleted_at=None, is_public=False).update(is_public=True):
            raise ActRefused("The comment is public already, or deleted.")
        row.is_public = True
        _log(AuditType.REQUEST_COMMENT_VISIBILITY_PUBLIC, viewer, row)


def _log(event: AuditType, viewer: Viewer, row: Comment) -> None:
    """Record what was done with a comment, with all that it says and what it is about."""
    about = {"line": row.line, "column": row.column, "group": row.group.name if row.group else ""}
    log(
        event,
        viewer,
        row.request,
        file=row.file,
        **{name: value for name, value in about.items() if value},
        comment=row.pk,
        text=row.text,
        is_public=row.is_public,
    )
