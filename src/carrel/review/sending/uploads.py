"""Uploading approved requests, file by file. It may be killed anywhere, and is then simply done again."""

import hashlib
import logging
from datetime import datetime

from django.utils import timezone

from carrel.clients.job_server_connection import JobServerError, JobServerUnavailable
from carrel.review import settings
from carrel.review.machine import ReviewStatus
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.retries import is_due
from carrel.review.rules import ActRefused, FileType
from carrel.review.sending.destinations import Destination
from carrel.review.service import releases
from carrel.telemetry import faults

logger = logging.getLogger(__name__)

REQUESTS_AT_ONCE = 100
"""Approved requests that one look takes up, the oldest first."""


def due_requests(now: datetime) -> list[str]:
    """Return the ids of approved requests with a file that may be tried now, the oldest first."""
    approved = ReleaseRequest.objects.filter(status=ReviewStatus.APPROVED).order_by("status_at")
    return [request.pk for request in approved[:REQUESTS_AT_ONCE] if due_files(request, now)]


def due_files(request: ReleaseRequest, now: datetime) -> list[RequestFile]:
    """Return the files of an approved request that have not left and may be tried now."""
    longest = settings.get().review_upload_retry
    return [
        file
        for file in releases.waiting_files(request)
        if is_due(file.upload_attempts, file.upload_attempted_at, now, longest=longest, key=f"file {file.pk}")
    ]


def upload_request(request_id: str, destination: Destination) -> None:
    """Announce an approved request and upload the files that are due; with the last one it is released.

    What goes wrong is noted at the file, in words. Where the destination is away, the files are not tried one by one.
    """
    request = ReleaseRequest.objects.get(pk=request_id)
    pending = due_files(request, timezone.now())
    outputs = request.files.filter(file_type=FileType.OUTPUT).exclude(released_at=None).order_by("path")
    if not pending:
        return
    try:
        faults.point("review.upload.announcing")
        release_url = destination.begin(request, list(outputs))
        faults.point("review.upload.announced")
    except (JobServerError, OSError) as error:
        _fail(pending, error)
        return
    releases.started(request, release_url)
    while pending:
        file = pending.pop(0)
        try:
            _upload(request, file, destination)
        except (JobServerError, ActRefused, OSError) as error:
            _fail([file], error)
            if isinstance(error, JobServerUnavailable):
                _fail(pending, error)
                return


def _upload(request: ReleaseRequest, file: RequestFile, destination: Destination) -> None:
    """Send exactly the approved bytes of one file, and note it."""
    with releases.opened_for_upload(file) as stream:
        data = stream.read(file.size + 1)
    # What is sent is what was hashed: nobody changes it in between.
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise releases.ReleaseRefused(f"The copy of {file.path} was changed on the disk. Nothing of it is released.")
    faults.point("review.upload.read")
    destination.send(request, file, data)
    faults.point("review.upload.sent")
    releases.uploaded(file, file.sha256)
    faults.point("review.upload.noted")


def _fail(files: list[RequestFile], error: Exception) -> None:
    """Note of these files why they could not be uploaded just now."""
    reason = (
        f"The folder of releases cannot be written: {error.strerror}." if isinstance(error, OSError) else str(error)
    )
    releases.failed(files, reason)
    if files:
        # Names of files stay in the backend; so do the job server's words, which may repeat them.
        logger.warning(
            "%d files of request %s are not uploaded: %s", len(files), files[0].request_id, type(error).__name__
        )
