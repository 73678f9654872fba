"""The way out of an approved request: each file checked again, uploaded, and the request released (R18, R21).

What uploads asks for `waiting_files`, opens each by `opened_for_upload`, and says what came of it by `uploaded` or
`failed`. It may be killed anywhere: the rows say what has left, and uploading twice is uploading once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from carrel.review import copies, policy
from carrel.review.audit_types import AuditType
from carrel.review.decisions import Vote
from carrel.review.machine import ReviewStatus
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.queries.contents import RequestContents, contents_of
from carrel.review.rules import Act, ActRefused, FileType
from carrel.review.service.audit import SYSTEM, record
from carrel.review.service.changes import acting, locked, log, move
from carrel.review.service.notices import tell
from carrel.review.viewers import Viewer

MOST_ERROR = 500


class ReleaseRefused(ActRefused):
    """A file may not leave: what was approved is not what would leave. Says why."""


def refusal_to_release(contents: RequestContents, file: RequestFile, checkers: int) -> str:
    """Return why a file may not leave, "" when it may: the invariant, asked anew of the rows.

    It leaves when its request is approved, and at least `checkers` people other than the author, who submitted
    reviews, approved exactly its bytes.
    """
    votes = contents.votes_on(file)
    approvals = [name for name in contents.submitted if votes.get(name) is Vote.APPROVED]
    if contents.status is not ReviewStatus.APPROVED or file.released_at is None:
        return f"Request {contents.request.pk} is not approved."
    if file.file_type != FileType.OUTPUT:
        return f"{file.path} is not an output of request {contents.request.pk}."
    if len(approvals) < max(1, checkers):
        return f"{file.path} was approved by {len(approvals)} of {checkers} checkers with the bytes that it has now."
    if not policy.get().allows(file.path):
        return f"{file.path} has a type that may not leave this backend any more."
    return ""


@contextmanager
def opened_for_upload(file: RequestFile) -> Iterator[BinaryIO]:
    """Open the copy of an approved file, after everything was checked again. Raises ReleaseRefused, CopyRefused."""
    request = ReleaseRequest.objects.get(pk=file.request_id)
    contents = contents_of(request)
    row = next((other for other in contents.files if other.pk == file.pk), None)
    reason = refusal_to_release(contents, row, request.checkers) if row else "The file is not on the request any more."
    if row is None or reason:
        raise ReleaseRefused(reason)
    with copies.opened(request.workspace, request.pk, row.sha256) as stream:
        yield stream


def started(request: ReleaseRequest, release_url: str) -> None:
    """Note where the job server has the release of an approved request."""
    ReleaseRequest.objects.filter(pk=request.pk, status=ReviewStatus.APPROVED).update(release_url=release_url[:500])


def failed(files: Sequence[RequestFile], error: str) -> None:
    """Note that an attempt at these files failed, and why, in a sentence without anything of their contents."""
    RequestFile.objects.filter(pk__in=[file.pk for file in files], uploaded_at=None).update(
        upload_attempts=F("upload_attempts") + 1, upload_attempted_at=timezone.now(), upload_error=error[:MOST_ERROR]
    )


def uploaded(file: RequestFile, sha256: str) -> ReleaseRequest:
    """Note that these bytes of a file have left; with the last one, the request is released. Saying it again is fine.

    Raises ReleaseRefused where the bytes are not those that were approved: nothing is noted then.
    """
    with transaction.atomic():
        request = locked(file.request)
        row = request.files.select_related("group").get(pk=file.pk)
        if row.uploaded_at is not None:
            return request
        if row.sha256 != sha256 or request.status != ReviewStatus.APPROVED or row.released_at is None:
            raise ReleaseRefused(f"{row.path} was uploaded with other bytes than were approved.")
        row.uploaded_at, row.upload_error = timezone.now(), ""
        row.save(update_fields=["uploaded_at", "upload_error"])
        record(
            AuditType.REQUEST_FILE_UPLOAD, actor=SYSTEM, request=request, path=row.path, extra={"sha256": row.sha256}
        )
        if not request.files.filter(file_type=FileType.OUTPUT, uploaded_at=None).exists():
            move(request, ReviewStatus.RELEASED)
            request.released_at = request.status_at
            request.save(update_fields=["released_at"])
            tell(request, SYSTEM, turn=request.turn)
            record(AuditType.REQUEST_RELEASE, actor=SYSTEM, request=request, extra={"url": request.release_url})
    return request


def retry(viewer: Viewer, request: ReleaseRequest) -> int:
    """Have the files that are not uploaded tried again at once. Returns how many. Raises ActRefused."""
    with acting(Act.RETRY_UPLOAD, viewer, request) as contents:
        waiting = contents.request.files.filter(file_type=FileType.OUTPUT, uploaded_at=None)
        number = waiting.update(upload_attempted_at=None)
        log(AuditType.REQUEST_UPLOAD_RETRY, viewer, contents.request, files=number)
    return number


def waiting_files(request: ReleaseRequest) -> list[RequestFile]:
    """Return the approved files of a request that have not left, in order."""
    rows = request.files.filter(file_type=FileType.OUTPUT, uploaded_at=None).exclude(released_at=None)
    return list(rows.select_related("request", "group").order_by("path"))
