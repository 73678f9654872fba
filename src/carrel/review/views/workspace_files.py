"""One file of a workspace, before anybody requested it."""

from contextlib import AbstractContextManager
from typing import BinaryIO

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from carrel.pages.frame import PageLink
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.audit_types import AuditType
from carrel.review.service.audit import record
from carrel.review.shown.presenters import FileToShow, present
from carrel.review.workspaces import WorkspaceUnreadable, open_listed, read_workspace


def workspace_file(request: ReviewRequest, workspace: str, path: str) -> HttpResponse:
    """A file that a workspace lists, as it is now (R2). Looking is noted in the audit log."""

    def opened() -> AbstractContextManager[BinaryIO]:
        return open_listed(listing, path)

    try:
        listing = read_workspace(workspace)
        if path not in listing.files:
            raise Http404(f"{workspace} lists no file {path}.")
        output = listing.files[path]
        shown = FileToShow(
            path=path,
            sha256=output.record.content_hash if output.record else "",
            size=output.record.size if output.record else 0,
            opened=opened,
            content_url=reverse("workspace_content", args=[workspace, path]),
        )
        record(AuditType.WORKSPACE_FILE_VIEW, actor=request.viewer.username, workspace=workspace, path=path)
        presentation = present(shown, request.GET)
    except WorkspaceUnreadable as error:
        raise Http404(str(error)) from None
    context = {
        "workspace": workspace,
        "output": output,
        "presentation": presentation,
        "content_url": shown.content_url,
        "crumbs": [
            PageLink("Workspaces", reverse("workspaces")),
            PageLink(workspace, reverse("workspace", args=[workspace])),
            PageLink(path),
        ],
    }
    return render(request, "review/workspace_file.html", context | dict(presentation.context))


PAGES = [
    ReviewPage("workspaces/<str:workspace>/files/<path:path>", workspace_file, "workspace_file", ReviewAccess.VIEWERS)
]
