"""Released files as one zip: the latest of a workspace, those of a release, those of a snapshot."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone

from carrel.jobserver.downloads import DownloadTitle, DownloadTooLarge, zip_response
from carrel.jobserver.models import Project, ReleaseFile, Workspace
from carrel.jobserver.released_files import latest_of
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service import releases
from carrel.jobserver.service.notifications import absolute_url
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.publications import NO_SNAPSHOT, title_of


def of_workspace(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponseBase:
    """The latest version of each file on each backend, and notes of those that were deleted."""
    deleted = workspace.release_files.filter(deleted_at__isnull=False).select_related("backend")
    files = [*latest_of(workspace), *deleted]
    return _download(request, workspace, files, f"Outputs of {workspace.name}", "outputs/")


def of_release(request: CarrelRequest, *, project: Project, workspace: Workspace, release: str) -> HttpResponseBase:
    """The files of one release."""
    row = workspace.releases.filter(pk=release).first()
    if row is None:
        raise Http404("There is no such release in this workspace.")
    files = list(row.files.select_related("backend"))
    return _download(request, workspace, files, f"Release {row.pk} of {workspace.name}", f"releases/{row.pk}/")


def of_snapshot(request: CarrelRequest, *, project: Project, workspace: Workspace, snapshot: int) -> HttpResponseBase:
    """The files of a snapshot: for everybody while it is public."""
    row = workspace.snapshots.filter(pk=snapshot).first()
    may_view = request.rights.holds(Permission.RELEASE_FILE_VIEW, project_id=project.pk)
    may_publish = request.rights.holds(Permission.SNAPSHOT_PUBLISH, project_id=project.pk)
    is_to_decide = row is not None and may_publish and row.publish_requests.filter(decision=None).exists()
    if row is None or not (may_view or is_to_decide or row.is_published):
        raise Http404(NO_SNAPSHOT)
    files = list(row.files.select_related("backend"))
    return _download(request, workspace, files, f"{workspace.name}: {title_of(row)}", f"snapshots/{row.pk}/")


def _download(
    request: CarrelRequest, workspace: Workspace, files: Sequence[ReleaseFile], text: str, page: str
) -> HttpResponseBase:
    path = f"{workspace.get_absolute_url()}{page}"
    title = DownloadTitle(text, workspace.name, absolute_url(path), timezone.now())
    try:
        response = zip_response(files, title, in_names=request.GET.get("backend") == "name")
    except DownloadTooLarge as error:
        messages.error(request, str(error))
        return SeeOther(path)
    if request.person is not None:
        releases.record_download(request, workspace, [file for file in files if file.is_available])
    return response


_HERE = "<slug:project>/<slug:workspace>"
_VIEW = permitted(Permission.RELEASE_FILE_VIEW)
PROJECT_PAGES = [
    Page(f"{_HERE}/outputs/download/", of_workspace, "outputs-download", _VIEW),
    Page(f"{_HERE}/releases/<slug:release>/download/", of_release, "release-download", _VIEW),
    Page(f"{_HERE}/snapshots/<int:snapshot>/download/", of_snapshot, "snapshot-download", EVERYBODY),
]
