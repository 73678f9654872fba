"""One released file: what it holds, its versions and what made each, what changed, the same file on other backends."""

from typing import Any

from csp.decorators import csp_update
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from carrel.disclosure.policy import DisclosurePolicy
from carrel.jobserver.file_contents import MAX_SHOWN_BYTES, ContentKind, changes_between, contents_of, kind_of
from carrel.jobserver.models import Job, Project, ReleaseFile, Workspace
from carrel.jobserver.publishing import FileOrigin, origin_of
from carrel.jobserver.released_files import file_response, latest_of, refusal_to_open
from carrel.jobserver.rights.access import SIGNED_IN, CarrelRequest, Page, forbidden
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.service import releases
from carrel.jobserver.views.outputs import file_of, frame_of

MOST_VERSIONS = 50
MOST_BACKENDS = 8


@csp_update({"frame-src": ["'self'"]})  # type: ignore[arg-type]  # views take a request of ours
def file_page(request: CarrelRequest, *, project: Project, workspace: Workspace, file: str) -> HttpResponse:
    """The file; with `?compare=` what changed since another version, with `?beside` all backends side by side."""
    row = file_of(workspace, file)
    if why := refusal_to_open(request.rights, row):
        return forbidden(request, why, Permission.RELEASE_FILE_VIEW)
    versions = list(versions_of(row)[:MOST_VERSIONS])
    same = [other for other in latest_of(workspace, row.name) if not refusal_to_open(request.rights, other)]
    compared = request.GET.get("compare", "")
    older = next((other for other in (*versions, *same) if other.pk == compared and other.pk != row.pk), None)
    if compared and (older is None or refusal_to_open(request.rights, older)):
        raise Http404("There is no such version of this file.")
    origin = origin_of(row.metadata)
    is_beside = "beside" in request.GET and len(same) > 1
    shown = same[:MOST_BACKENDS] if is_beside else [row] if older is None else [older, row]
    for opened in shown:
        releases.record_access(request, "release_file.viewed", opened)
    context = {
        **frame_of(request, project, workspace, row.full_name),
        "file": row,
        "origin": origin,
        "job_url": job_url(request, workspace, origin),
        "versions": [(version, origin_of(version.metadata)) for version in versions],
        "same": [other for other in same if other.backend_id != row.backend_id],
        "older": older,
        "is_beside": is_beside,
        "is_image": kind_of(row.name) == ContentKind.IMAGE,
        "shown": [(opened, contents_of(opened.name, bytes_of(opened))) for opened in shown],
        "changes": (
            changes_between(row.name, bytes_of(older), bytes_of(row), DisclosurePolicy()) if older is not None else None
        ),
    }
    return render(request, "jobserver/outputs/file.html", context)


def versions_of(row: ReleaseFile) -> Any:
    """Return every version of a file of one backend, the latest first, also those whose bytes were deleted."""
    rows = ReleaseFile.objects.filter(workspace=row.workspace_id, backend=row.backend_id, name=row.name)
    rows = rows.filter(Q(uploaded_at__isnull=False) | Q(pk=row.pk))
    return rows.select_related("backend", "workspace", "created_by", "deleted_by").order_by("-uploaded_at", "-pk")


def bytes_of(row: ReleaseFile) -> bytes | None:
    """Return a file's bytes; None where they are too many for a page, or not here."""
    if not row.is_available or kind_of(row.name) in (ContentKind.IMAGE, ContentKind.PAGE):
        return None
    try:
        with releases.path_of(row).open("rb") as stream:
            data = stream.read(MAX_SHOWN_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= MAX_SHOWN_BYTES else None


def job_url(request: CarrelRequest, workspace: Workspace, origin: FileOrigin) -> str:
    """Return the page of the job that made a file, where this server knows of it."""
    if not origin.job:
        return ""
    jobs = Job.objects.filter(workspace=workspace, identifier=origin.job)
    jobs = jobs.filter(backend__in=visible_backends(request.person, request.rights))
    job = jobs.select_related("request__run__workspace__project").first()
    return f"{job.request.run.get_absolute_url()}{job.identifier}/" if job else ""


def file_bytes(request: CarrelRequest, *, project: Project, workspace: Workspace, file: str) -> HttpResponseBase:
    """The bytes of a released file, for those who may open files of this project."""
    row = file_of(workspace, file)
    if why := refusal_to_open(request.rights, row):
        return forbidden(request, why, Permission.RELEASE_FILE_VIEW)
    response = file_response(request, row) if row.is_available else None
    if response is None:
        raise Http404("The file was deleted, has not arrived yet, or its bytes are missing.")
    releases.record_access(request, "release_file.viewed", row)
    return response


_HERE = "<slug:project>/<slug:workspace>"
PROJECT_PAGES = [
    Page(f"{_HERE}/outputs/<slug:file>/", file_page, "output-file", SIGNED_IN),
    Page(f"{_HERE}/outputs/<slug:file>/bytes/", file_bytes, "output-file-bytes", SIGNED_IN),
]
