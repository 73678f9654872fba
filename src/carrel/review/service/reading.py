"""Files opened by people: who looked at what, or took it with them, stands in the audit log (R1 to R3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from carrel.review import copies
from carrel.review.audit_types import AuditType
from carrel.review.models import RequestFile
from carrel.review.rules import Act, check
from carrel.review.service.audit import record
from carrel.review.viewers import Viewer
from carrel.review.workspaces import ListedWorkspace, open_listed


@contextmanager
def opened_to_view(viewer: Viewer, file: RequestFile) -> Iterator[BinaryIO]:
    """Open the copy of a request's file for somebody to look at. Raises ActRefused."""
    with _opened(Act.VIEW, AuditType.REQUEST_FILE_VIEW, viewer, file) as stream:
        yield stream


@contextmanager
def opened_to_download(viewer: Viewer, file: RequestFile) -> Iterator[BinaryIO]:
    """Open the copy of a request's file for a checker to take with them (R3). Raises ActRefused."""
    with _opened(Act.DOWNLOAD_FILE, AuditType.REQUEST_FILE_DOWNLOAD, viewer, file) as stream:
        yield stream


@contextmanager
def _opened(act: Act, event: AuditType, viewer: Viewer, file: RequestFile) -> Iterator[BinaryIO]:
    request = file.request
    check(act, viewer.situation(request.workspace, author=request.author_id))
    with copies.opened(request.workspace, request.pk, file.sha256) as stream:
        record(event, actor=viewer.username, request=request, path=file.path, extra={"sha256": file.sha256})
        yield stream


@contextmanager
def opened_in_workspace(viewer: Viewer, workspace: ListedWorkspace, path: str) -> Iterator[BinaryIO]:
    """Open a file that a workspace lists for somebody to look at. Raises ActRefused."""
    check(Act.VIEW, viewer.situation(workspace.name))
    with open_listed(workspace, path) as stream:
        record(AuditType.WORKSPACE_FILE_VIEW, actor=viewer.username, workspace=workspace.name, path=path)
        yield stream
