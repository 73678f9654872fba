"""What left backends, as pages: the latest outputs of a workspace, its releases, drafts, what is public."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from carrel.jobserver.models import Project, PublishRequest, ReleaseFile, Snapshot, Workspace
from carrel.jobserver.models.releases import APPROVED
from carrel.jobserver.released_files import file_response, latest_of, refusal_to_open
from carrel.jobserver.rights.access import EVERYBODY, SIGNED_IN, CarrelRequest, Page, forbidden, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.service import publications, releases
from carrel.jobserver.service.notifications import absolute_url
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.workspace import links_of
from carrel.pages.frame import PageLink
from carrel.pages.lists import page_of
from carrel.pages.templatetags.pages import day


def outputs(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """The latest version of each released file, on each backend; those who may choose some and draft a publication."""
    if request.method == "POST":
        return _draft(request, project, workspace)
    files = latest_of(workspace)
    releases.record_listing(request, workspace)
    context = {
        **_frame(request, project, workspace, "Outputs"),
        "files": files,
        "may_draft": request.rights.holds(Permission.SNAPSHOT_CREATE, project_id=project.pk),
        "snapshots": workspace.snapshots.select_related("created_by")[:20],
        "public": set(workspace.snapshots.published().values_list("pk", flat=True)),
    }
    return render(request, "jobserver/outputs/outputs.html", context)


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
        **_frame(request, project, workspace, "Releases"),
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
        **_frame(request, project, workspace, row.pk),
        "release": row,
        "files": row.files.select_related("backend", "deleted_by"),
        "may_delete": request.rights.holds(
            Permission.RELEASE_FILE_DELETE, project_id=project.pk, backend_id=row.backend_id
        ),
    }
    return render(request, "jobserver/outputs/release.html", context)


def delete_file(
    request: CarrelRequest, *, project: Project, workspace: Workspace, release: str, file: str
) -> HttpResponse:
    """Ask, then remove a file's bytes for good."""
    row = _file(workspace, file, release=release)
    why = request.rights.why_not(Permission.RELEASE_FILE_DELETE, project_id=project.pk, backend_id=row.backend_id)
    if why or request.person is None:
        return forbidden(request, why, Permission.RELEASE_FILE_DELETE)
    back = reverse("release", args=[project.slug, workspace.name, release])
    if request.method == "POST":
        releases.delete_file(row, request.person, request)
        messages.success(request, f"{row.full_name} is deleted.")
        return SeeOther(back)
    context = {
        **_frame(request, project, workspace, row.full_name),
        "question": f"Delete {row.full_name}?",
        "consequence": "Its bytes are removed for good, wherever they are shown. That there was a file, and that you "
        "deleted it, stays on record.",
        "verb": "Delete the file",
        "back_url": back,
        "back_label": "Keep it",
    }
    return render(request, "pages/confirm.html", context)


def open_file(request: CarrelRequest, *, project: Project, workspace: Workspace, file: str) -> HttpResponseBase:
    """The bytes of a released file, for those who may open files of this project."""
    row = _file(workspace, file)
    if why := refusal_to_open(request.rights, row):
        return forbidden(request, why, Permission.RELEASE_FILE_VIEW)
    response = file_response(request, row) if row.is_available else None
    if response is None:
        raise Http404("The file was deleted, has not arrived yet, or its bytes are missing.")
    releases.record_access(request, "release_file.viewed", row)
    return response


def published_file(request: CarrelRequest, *, project: Project, workspace: Workspace, file: str) -> HttpResponseBase:
    """The bytes of a file that is public, for everybody."""
    row = (
        ReleaseFile.objects.published()
        .select_related("backend", "workspace__project")
        .filter(pk=file, workspace=workspace)
        .first()
    )
    # Of a project that is not listed it is open to its people alone, and so is no cache that others share.
    response = file_response(request, row, public=project.is_listed) if row is not None else None
    if row is None or response is None:
        raise Http404("There is no such file, or it is not public.")
    if request.person is not None:
        releases.record_access(request, "release_file.viewed", row)
    return response


def published(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """What of this workspace is public."""
    context = {
        **_frame(request, project, workspace, "Published outputs"),
        "snapshots": workspace.snapshots.published().prefetch_related("files__backend"),
    }
    return render(request, "jobserver/outputs/published.html", context)


def snapshot_page(request: CarrelRequest, *, project: Project, workspace: Workspace, snapshot: int) -> HttpResponse:
    """A draft, or what became of it: public for everybody once it is approved, until it is taken back."""
    row = workspace.snapshots.select_related("created_by", "workspace__project").filter(pk=snapshot).first()
    if row is None:
        raise Http404("There is no such snapshot in this workspace.")
    is_public = row.is_published
    why = request.rights.why_not(Permission.RELEASE_FILE_VIEW, project_id=project.pk)
    may_publish = request.rights.holds(Permission.SNAPSHOT_PUBLISH, project_id=project.pk)
    is_outsider = bool(why) and not may_publish
    if not is_public:
        if is_outsider:
            return forbidden(request, why, Permission.RELEASE_FILE_VIEW)
        releases.record_listing(request, workspace)
    requests = list(row.publish_requests.select_related("created_by", "decision_by", "ended_by"))
    if is_outsider:
        # Why it was rejected or taken back before tells what must not be told: the public sees the decision that holds.
        requests = [
            publishing for publishing in requests if publishing.decision == APPROVED and publishing.ended_at is None
        ]
    context = {
        **_frame(request, project, workspace, f"Snapshot {row.pk}"),
        "snapshot": row,
        "files": row.files.select_related("backend"),
        "is_public": is_public,
        "requests": requests,
        "citation": citation_of(request, row, requests) if is_public else "",
        "is_pending": any(request.decision is None for request in requests),
        "may_publish": may_publish,
    }
    return render(request, "jobserver/outputs/snapshot.html", context)


def citation_of(request: CarrelRequest, snapshot: Snapshot, requests: list[PublishRequest]) -> str:
    """Say in a line what a paper calls this: of which project, since when it is public, and its address."""
    approved = [row.decision_at for row in requests if row.decision == APPROVED and row.ended_at is None]
    since = f", published {day(max(filter(None, approved)))}" if any(approved) else ""
    workspace = snapshot.workspace
    address = absolute_url(request.path)
    return f"{workspace.project}, snapshot {snapshot.pk} of {workspace.name}{since}. {address}"


def decide(request: CarrelRequest, *, project: Project, workspace: Workspace, snapshot: int) -> HttpResponse:
    """Approve a draft, reject it, or take back what is public."""
    url = reverse("snapshot", args=[project.slug, workspace.name, snapshot])
    row = workspace.snapshots.filter(pk=snapshot).first()
    if row is None:
        raise Http404("There is no such snapshot in this workspace.")
    if request.method == "POST" and request.person is not None:
        reason = request.POST.get("reason", "").replace("\0", "")
        try:
            messages.success(request, _decide(request, row, request.POST.get("decision", ""), reason))
        except publications.PublicationError as error:
            messages.error(request, str(error))
    return SeeOther(url)


def _decide(request: CarrelRequest, snapshot: Snapshot, decision: str, reason: str) -> str:
    """Do it, and return the sentence that says what was done. Raises PublicationError."""
    person: Any = request.person
    if decision == "approve":
        publications.approve(snapshot, person, request)
        return "It is public now."
    if decision == "reject":
        publications.reject(snapshot, reason, person, request)
        return "It was rejected."
    if decision == "unpublish":
        publications.unpublish(snapshot, reason, person, request)
        return "It is not public any more."
    raise publications.PublicationError("Choose what to do.")


def _file(workspace: Workspace, file_id: str, **by: str) -> ReleaseFile:
    files = ReleaseFile.objects.select_related("backend", "workspace__project")
    row = files.filter(pk=file_id, workspace=workspace, **by).first()
    if row is None:
        raise Http404("There is no such file in this workspace.")
    return row


def _frame(request: CarrelRequest, project: Project, workspace: Workspace, title: str) -> dict[str, Any]:
    above = f"/{project.slug}/"
    crumbs = [PageLink(project.name, above), PageLink(workspace.name, f"{above}{workspace.name}/"), PageLink(title)]
    return {"project": project, "workspace": workspace, "crumbs": crumbs, "links": links_of(request, workspace)}


_HERE = "<slug:project>/<slug:workspace>"
_VIEW, _PUBLISH = permitted(Permission.RELEASE_FILE_VIEW), permitted(Permission.SNAPSHOT_PUBLISH)
PROJECT_PAGES = [
    Page(f"{_HERE}/outputs/", outputs, "outputs", _VIEW),
    Page(f"{_HERE}/outputs/<slug:file>/", open_file, "output-file", SIGNED_IN),
    Page(f"{_HERE}/releases/", release_list, "releases", EVERYBODY),
    Page(f"{_HERE}/releases/<slug:release>/", release_page, "release", _VIEW),
    Page(f"{_HERE}/releases/<slug:release>/<slug:file>/delete/", delete_file, "release-file-delete", SIGNED_IN),
    Page(f"{_HERE}/published/", published, "published", EVERYBODY),
    Page(f"{_HERE}/published/<slug:file>/", published_file, "published-file", EVERYBODY),
    Page(f"{_HERE}/snapshots/<int:snapshot>/", snapshot_page, "snapshot", EVERYBODY),
    Page(f"{_HERE}/snapshots/<int:snapshot>/decide/", decide, "snapshot-decide", _PUBLISH),
]
