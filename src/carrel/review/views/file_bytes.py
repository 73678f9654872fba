"""Bytes of files: never with a type that a browser runs, in a sandbox without network, each look in the audit log."""

import re
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import BinaryIO

from django.http import Http404, HttpResponse
from django.utils.html import escape
from django.utils.http import content_disposition_header
from django.views.decorators.clickjacking import xframe_options_sameorigin

from carrel.disclosure.texts import Unreadable, decoded
from carrel.review import copies
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest, forbidden
from carrel.review.audit_types import AuditType
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.policy import PDF
from carrel.review.queries.contents import contents_of
from carrel.review.queries.situations import refusal
from carrel.review.rules import Act
from carrel.review.service.audit import record
from carrel.review.shown.pictures import picture_fault
from carrel.review.shown.presenters import PAGE_TYPES, RASTERS
from carrel.review.workspaces import WorkspaceUnreadable, open_listed, read_workspace
from carrel.units.limits import MAX_SHOWN_BYTES

SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""What a browser may do with a file's bytes as a page of their own: nothing."""

PAGE_SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""What a browser may do with an HTML file in its frame: lay it out, with the pictures that are in it."""
_REACHING_OUT = re.compile(
    r"""<(?=link|meta|base|i?frame|object|embed)|\b(?=srcdoc\s*=)|\b(?=href\s*=(?!\s*["']?#))""",
    re.IGNORECASE,
)
"""What has a browser look up or connect to a host, or go elsewhere, which no policy of content forbids.

Chromium connects to where a frame or a pressed link leads before it asks whether it may go there, and a name in an
address could carry what the file holds. Pages within pages may have all of that written otherwise.
"""


def content(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """A requested file's bytes, to be looked at: pictures of pixels as what they are, all else as plain text."""
    record(AuditType.REQUEST_FILE_VIEW, actor=request.viewer.username, request=release_request, path=file.path)
    stream = copies.opened(release_request.workspace, release_request.pk, file.sha256)
    return shown_bytes(request, file.path, file.sha256, stream)


@xframe_options_sameorigin
def as_page(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """An HTML file as a page for a frame: in a sandbox without an origin, whoever opens its address, and wherever."""
    if PurePosixPath(file.path).suffix.lower() not in PAGE_TYPES:
        raise Http404("Only HTML files are shown as pages.")
    record(AuditType.REQUEST_FILE_VIEW, actor=request.viewer.username, request=release_request, path=file.path)
    with copies.opened(release_request.workspace, release_request.pk, file.sha256) as stream:
        data = stream.read(MAX_SHOWN_BYTES)
    try:
        text = _REACHING_OUT.sub(lambda match: f"{match[0]}not-", "".join(decoded([data], by_mark=True)))
    except Unreadable as error:
        text = f"<p>It cannot be shown as a page: {escape(str(error))}. Look at it as text."
    response = _sandboxed(HttpResponse(text, content_type="text/html; charset=utf-8"))
    response["Content-Security-Policy"] = PAGE_SANDBOX
    response["X-DNS-Prefetch-Control"] = "off"
    response["Referrer-Policy"] = "no-referrer"
    return response


def workspace_content(request: ReviewRequest, workspace: str, path: str) -> HttpResponse:
    """A workspace file's bytes, to be looked at; only of what the workspace lists (R2)."""
    try:
        listing = read_workspace(workspace)
        stream = open_listed(listing, path)
    except WorkspaceUnreadable as error:
        raise Http404(str(error)) from None
    record(AuditType.WORKSPACE_FILE_VIEW, actor=request.viewer.username, workspace=workspace, path=path)
    return shown_bytes(request, path, "", stream)


def shown_bytes(
    request: ReviewRequest, path: str, sha256: str, opening: AbstractContextManager[BinaryIO]
) -> HttpResponse:
    """Answer with bytes in their sandbox; `sha256` is their ETag, "" for those that may change."""
    if PurePosixPath(path).suffix.lower() == PDF:
        raise Http404("PDFs are shown as pages that the server draws.")
    etag = f'"{sha256}"'
    with opening as stream:
        if sha256 and request.headers.get("If-None-Match") == etag:
            response = HttpResponse(status=304)
        else:
            suffix = PurePosixPath(path).suffix.lower()
            is_picture = suffix in RASTERS and not picture_fault(stream, suffix)
            media_type = RASTERS[suffix] if is_picture else "text/plain; charset=utf-8"
            response = HttpResponse(stream.read(MAX_SHOWN_BYTES), content_type=media_type)
            response["Content-Disposition"] = "inline"
    if sha256:
        response["ETag"] = etag
    return _sandboxed(response)


def _sandboxed(response: HttpResponse) -> HttpResponse:
    response["Content-Security-Policy"] = SANDBOX
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def download(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """A file's bytes to be kept: only for an output checker who is not the author (R3), and audited."""
    if reason := refusal(Act.DOWNLOAD_FILE, request.viewer, contents_of(release_request), file=file):
        return forbidden(request, reason)
    record(
        AuditType.REQUEST_FILE_DOWNLOAD,
        actor=request.viewer.username,
        request=release_request,
        path=file.path,
        extra={"sha256": file.sha256},
    )
    with copies.opened(release_request.workspace, release_request.pk, file.sha256) as stream:
        response = HttpResponse(stream.read(file.size), content_type="application/octet-stream")
    response["Content-Disposition"] = content_disposition_header(True, PurePosixPath(file.path).name)
    return _sandboxed(response)


PAGES = [
    ReviewPage("requests/<str:request_id>/content/<path:file>", content, "file_content", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/page/<path:file>", as_page, "file_as_page", ReviewAccess.VIEWERS),
    ReviewPage("requests/<str:request_id>/download/<path:file>", download, "file_download", ReviewAccess.CHECKERS),
    ReviewPage(
        "workspaces/<str:workspace>/content/<path:path>", workspace_content, "workspace_content", ReviewAccess.VIEWERS
    ),
]
