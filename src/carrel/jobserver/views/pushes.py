"""A release, or a publication, pushed to the study's repository by those who may publish."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from carrel.jobserver import settings
from carrel.jobserver.models import Project, ReleaseFile, Workspace
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service.repository_pushes import FOLDER, PushError, push_files
from carrel.jobserver.views.outputs import frame_of
from carrel.jobserver.views.posting import SeeOther


def push_release(request: CarrelRequest, *, project: Project, workspace: Workspace, release: str) -> HttpResponse:
    """Ask, then push the files of one release."""
    row = workspace.releases.filter(pk=release).first()
    if row is None:
        raise Http404("There is no such release in this workspace.")
    files = list(row.files.select_related("backend"))
    back = reverse("release", args=[project.slug, workspace.name, row.pk])
    return _push(request, workspace, files, f"Release {row.pk} of {workspace.name}", row.created_at, back)


def push_snapshot(request: CarrelRequest, *, project: Project, workspace: Workspace, snapshot: int) -> HttpResponse:
    """Ask, then push the files of a publication. A draft is pushed nowhere."""
    row = workspace.snapshots.published().filter(pk=snapshot).first()
    if row is None:
        raise Http404("There is no such publication in this workspace, or it is not public.")
    files = list(row.files.select_related("backend"))
    back = reverse("snapshot", args=[project.slug, workspace.name, row.pk])
    return _push(request, workspace, files, f"{workspace.name}, version {row.version}", row.created_at, back)


def _push(
    request: CarrelRequest, workspace: Workspace, files: Sequence[ReleaseFile], text: str, at: datetime, back: str
) -> HttpResponse:
    branch = settings.get().release_branch
    if request.method == "POST":
        try:
            pushed = push_files(workspace, files, text, at, request)
        except PushError as error:
            messages.error(request, str(error))
        else:
            word = "Pushed as" if pushed.is_new else "The branch has these files already, at"
            messages.success(request, f"{word} commit {pushed.commit[:12]} of branch {branch}.")
        return SeeOther(back)
    context: dict[str, Any] = {
        **frame_of(request, workspace.project, workspace, "Push"),
        "question": f"Push {text} to the study's repository?",
        "consequence": f"Its files go to {FOLDER}/<backend>/ on branch {branch} of {workspace.repo_url}: one commit. "
        "Who can read that repository can read them, and taking a publication back does not remove them there.",
        "verb": "Push",
        "back_url": back,
        "back_label": "Leave it",
    }
    return render(request, "pages/confirm.html", context)


_HERE = "<slug:project>/<slug:workspace>"
_PUBLISH = permitted(Permission.SNAPSHOT_PUBLISH)
PROJECT_PAGES = [
    Page(f"{_HERE}/releases/<slug:release>/push/", push_release, "release-push", _PUBLISH),
    Page(f"{_HERE}/snapshots/<int:snapshot>/push/", push_snapshot, "snapshot-push", _PUBLISH),
]
