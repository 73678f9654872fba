"""What left backends, as pages: the latest outputs of a workspace, and its releases."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from carrel.jobserver.models import Project, ReleaseFile, Workspace
from carrel.jobserver.publishing import origin_of
from carrel.jobserver.released_files import latest_of
from carrel.jobserver.rights.access import EVERYBODY, SIGNED_IN, CarrelRequest, Page, forbidden, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.service import publications, releases
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.workspace import links_of
from carrel.pages.frame import PageLink
from carrel.pages.lists import page_of

MAX_QUERY = 200


def outputs(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """The latest version of each released file, on each backend; those who may choose some and draft a publication."""
    if request.method == "POST":
        return _draft(request, project, workspace)
    query = request.GET.get("q", "")[:MAX_QUERY]
    files = [file for file in latest_of(workspace) if matches(file, query)]
    releases.record_listing(request, workspace)
    context = {
        **frame_of(request, project, workspace, "Outputs"),
        "files": files,
        "query": query,
        "may_draft": request.rights.holds(Permission.SNAPSHOT_CREATE, project_id=project.pk),
        "snapshots": workspace.snapshots.select_related("created_by")[:20],
        "public": set(workspace.snapshots.published().values_list("pk", flat=True)),
        "pending": set(workspace.snapshots.filter(publish_requests__decision=None).values_list("pk", flat=True)),
    }
    return render(request, "jobserver/outputs/outputs.html", context)


def matches(file: ReleaseFile, query: str) -> bool:
    """Tell whether every word is in the file's `<backend>/<path>`, or begins its action, job, commit or release."""
    origin = origin_of(file.metadata)
    known = [origin.action.lower(), origin.job.lower(), origin.commit, file.release_id.lower()]
    words = query.lower().split()[:8]
    return all(word in file.full_name.lower() or any(text.startswith(word) for text in known) for word in words)


def _draft(request: CarrelRequest, project: Project, workspace: Workspace) -> HttpResponse:
    why = request.rights.why_not(Permission.SNAPSHOT_CREATE, project_id=project.pk)
    if why or request.person is None:
        return forbidden(request, why, Permission.SNAPSHOT_CREATE)
    try:
        snapshot = publications.draft(workspace, request.POST.getlist("file"), request.person, request)
    except publications.PublicationError as error:
        messages.error(request, str(error))
        return SeeOther(reverse("outputs", args=[project.slug, workspace.name]))
    return SeeOther(reverse("snapshot", args=[project.slug, workspace.name, snapshot.pk]))


def release_list(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """Each release: from which backend, by whom, when. File names and numbers only for those who may open files.

    Whoever may open them sees releases of all backends; others those of the backends that they may know of.
    """
    rows = workspace.releases.select_related("backend", "created_by").order_by("-created_at", "-id")
    may_view = request.rights.holds(Permission.RELEASE_FILE_VIEW, project_id=project.pk)
    if not may_view:
        rows = rows.filter(backend__in=visible_backends(request.person, request.rights))
    else:
        rows = rows.annotate(
            announced=Count("files"),
            arrived=Count("files", filter=Q(files__uploaded_at__isnull=False, files__deleted_at__isnull=True)),
        )
    context = {
        **frame_of(request, project, workspace, "Releases"),
        "page": page_of(request.GET, rows),
        "may_view": may_view,
    }
    return render(request, "jobserver/outputs/releases.html", context)


def release_page(request: CarrelRequest, *, project: Project, workspace: Workspace, release: str) -> HttpResponse:
    """The files of one release: which arrived, which are deleted, and by whom."""
    row = workspace.releases.select_related("backend", "created_by").filter(pk=release).first()
    if row is None:
        raise Http404("There is no such release in this workspace.")
    releases.record_listing(request, workspace, row)
    context = {
        **frame_of(request, project, workspace, row.pk),
        "release": row,
        "files": row.files.select_related("backend", "deleted_by"),
        "may_push": request.rights.holds(Permission.SNAPSHOT_PUBLISH, project_id=project.pk),
        "may_delete": request.rights.holds(
            Permission.RELEASE_FILE_DELETE, project_id=project.pk, backend_id=row.backend_id
        ),
    }
    return render(request, "jobserver/outputs/release.html", context)


def delete_file(
    request: CarrelRequest, *, project: Project, workspace: Workspace, release: str, file: str
) -> HttpResponse:
    """Ask, then remove a file's bytes for good."""
    row = file_of(workspace, file, release=release)
    why = request.rights.why_not(Permission.RELEASE_FILE_DELETE, project_id=project.pk, backend_id=row.backend_id)
    if why or request.person is None:
        return forbidden(request, why, Permission.RELEASE_FILE_DELETE)
    back = reverse("release", args=[project.slug, workspace.name, release])
    if request.method == "POST":
        releases.delete_file(row, request.person, request)
        messages.success(request, f"{row.full_name} is deleted.")
        return SeeOther(back)
    context = {
        **frame_of(request, project, workspace, row.full_name),
        "question": f"Delete {row.full_name}?",
        "consequence": "Its bytes are removed for good, wherever they are shown. That there was a file, and that you "
        "deleted it, stays on record.",
        "verb": "Delete the file",
        "back_url": back,
        "back_label": "Keep it",
    }
    return render(request, "pages/confirm.html", context)


def file_of(workspace: Workspace, file_id: str, **by: str) -> ReleaseFile:
    """Return a released file of this workspace. Raises Http404."""
    files = ReleaseFile.objects.select_related("backend", "workspace__project")
    row = files.filter(pk=file_id, workspace=workspace, **by).first()
    if row is None:
        raise Http404("There is no such file in this workspace.")
    return row


def frame_of(request: CarrelRequest, project: Project, workspace: Workspace, title: str) -> dict[str, Any]:
    """Return the context that all pages of a workspace's outputs share."""
    above = f"/{project.slug}/"
    crumbs = [PageLink(project.name, above), PageLink(workspace.name, f"{above}{workspace.name}/"), PageLink(title)]
    return {"project": project, "workspace": workspace, "crumbs": crumbs, "links": links_of(request, workspace)}


_HERE = "<slug:project>/<slug:workspace>"
_VIEW = permitted(Permission.RELEASE_FILE_VIEW)
PROJECT_PAGES = [
    Page(f"{_HERE}/outputs/", outputs, "outputs", _VIEW),
    Page(f"{_HERE}/releases/", release_list, "releases", EVERYBODY),
    Page(f"{_HERE}/releases/<slug:release>/", release_page, "release", _VIEW),
    Page(f"{_HERE}/releases/<slug:release>/<slug:file>/delete/", delete_file, "release-file-delete", SIGNED_IN),
]
