"""What was handed to the checkers before: the bytes of each file as they were at an earlier submission."""

from dataclasses import dataclass
from enum import StrEnum

from carrel.review.audit_types import AuditType
from carrel.review.machine import UNDER_REVIEW
from carrel.review.models import AuditEvent, RequestFile
from carrel.review.queries.contents import RequestContents
from carrel.review.rules import FileType


class ChangeSince(StrEnum):
    """How a file stands to the submission before. The values are what pages say."""

    FIRST = "first turn"
    NEW = "new"
    CHANGED = "changed"
    SAME = "same bytes"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class EarlierSubmission:
    """One turn as the checkers had it: the SHA-256 of each file by its path."""

    turn: int
    files: dict[str, str]


def earlier_submissions(contents: RequestContents, most: int) -> list[EarlierSubmission]:
    """Return what the checkers had in earlier turns, the newest first. One query.

    While they review, the newest is the submission before this one; in the author's turn it is the last.
    """
    events = AuditEvent.objects.filter(request=contents.request.pk, event_type=AuditType.REQUEST_SUBMIT)
    skipped = 0 if contents.status not in UNDER_REVIEW and not contents.request.is_final else 1
    rows = events.order_by("-number").values_list("turn", "extra")[skipped : skipped + most]
    return [
        EarlierSubmission(turn or 0, dict(files))
        for turn, extra in rows
        if isinstance(files := extra.get("files"), dict)
    ]


def earlier_submission(contents: RequestContents) -> dict[str, str] | None:
    """Return the SHA-256 of each file by path as the checkers had it last time; None where there was no such time."""
    submissions = earlier_submissions(contents, most=1)
    return submissions[0].files if submissions else None


def change_of(file: RequestFile, before: dict[str, str] | None) -> ChangeSince:
    """Tell how a file differs from the submission before. Pure."""
    if file.file_type == FileType.WITHDRAWN:
        return ChangeSince.WITHDRAWN
    if before is None:
        return ChangeSince.FIRST
    if file.path not in before:
        return ChangeSince.NEW
    return ChangeSince.SAME if before[file.path] == file.sha256 else ChangeSince.CHANGED
