"""Drafts and what became of them: the publishers' queue, a snapshot's page, and all that is public of a workspace."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from carrel.jobserver.models import Project, PublishRequest, ReleaseFile, Snapshot, Workspace
from carrel.jobserver.models.releases import APPROVED
from carrel.jobserver.publishing import changes, citation, origin_of
from carrel.jobserver.released_files import file_response
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_projects
from carrel.jobserver.service import publications, releases
from carrel.jobserver.service.notifications import absolute_url
from carrel.jobserver.views.outputs import frame_of
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.staff.lists import section_tabs
from carrel.pages.lists import page_of
from carrel.units.words import joined

FILES = Prefetch(
    "files", ReleaseFile.objects.select_related("backend").order_by("backend__position", "backend", "name")
)
SNAPSHOT_FILES = Prefetch("snapshot__files", FILES.queryset)
NO_SNAPSHOT = (
    "There is no such snapshot in this workspace, or it is not public. Sign in if you take part in its project."
)


def waiting_requests(request: CarrelRequest) -> QuerySet[PublishRequest]:
    """Return the drafts that this person may decide about, the oldest first."""
    projects = visible_projects(request.person, request.rights)
    if not request.rights.holds(Permission.SNAPSHOT_PUBLISH):
        grants = [grant for grant in request.rights.grants if Permission.SNAPSHOT_PUBLISH in grant.permissions]
        projects = projects.filter(pk__in=[grant.project_id for grant in grants if not request.rights.lacks(grant)])
    pending = PublishRequest.objects.filter(decision=None, snapshot__workspace__project__in=projects)
    return pending.order_by("created_at", "pk")


def queue(request: CarrelRequest) -> HttpResponse:
    """Who asks to publish what, for how long, and what it changes of what is public."""
    pending = waiting_requests(request).select_related("snapshot__workspace__project", "created_by")
    page = page_of(request.GET, pending.prefetch_related(SNAPSHOT_FILES))
    public = latest_public(row.snapshot.workspace_id for row in page)
    rows = [
        {
            "request": row,
            "changes": changes(hashes_of(row.snapshot), hashes_of(public.get(row.snapshot.workspace_id))),
            "backends": joined(dict.fromkeys(file.backend.name for file in row.snapshot.files.all())),
            "is_first": row.snapshot.workspace_id not in public,
        }
        for row in page
    ]
    context = {"page": page, "rows": rows, "tabs": section_tabs(request, "publications")}
    return render(request, "jobserver/staff/publications.html", context)


def latest_public(workspaces: Any) -> dict[int, Snapshot]:
    """Return the latest publication of each of these workspaces that has one."""
    rows = Snapshot.objects.published().filter(workspace__in=set(workspaces)).order_by("version", "pk")
    return {row.workspace_id: row for row in rows.prefetch_related(FILES)}


def hashes_of(snapshot: Snapshot | None) -> dict[str, str]:
    """Return the hashes of a snapshot's files by `<backend>/<path>`."""
    return {file.full_name: file.sha256 for file in snapshot.files.all()} if snapshot else {}


def snapshot_page(request: CarrelRequest, *, project: Project, workspace: Workspace, snapshot: int) -> HttpResponse:
    """A draft, or what became of it: public for everybody once it is approved, until it is taken back."""
    rows = workspace.snapshots.select_related("created_by", "workspace__project").prefetch_related(FILES)
    row = rows.filter(pk=snapshot).first()
    may_publish = request.rights.holds(Permission.SNAPSHOT_PUBLISH, project_id=project.pk)
    may_view = may_publish or request.rights.holds(Permission.RELEASE_FILE_VIEW, project_id=project.pk)
    is_public = row is not None and row.is_published
    if row is None or not (is_public or may_view):
        # What was never there, is a draft, or was taken back is one and the same to everybody else.
        raise Http404(NO_SNAPSHOT)
    if not is_public:
        releases.record_listing(request, workspace)
    requests = list(row.publish_requests.select_related("created_by", "decision_by", "ended_by"))
    others = [other for other in public_versions(workspace) if other.pk != row.pk]
    earlier = max(
        (other for other in others if (other.version or 0) < (row.version or 2**31)), default=None, key=number
    )
    files = list(row.files.all())
    published_at = max((a.decision_at for a in requests if is_current(a) and a.decision_at), default=None)
    context = {
        **frame_of(request, project, workspace, title_of(row)),
        "snapshot": row,
        "title": title_of(row),
        "files": [(file, origin_of(file.metadata)) for file in files],
        "is_public": is_public,
        "may_view": may_view,
        "requests": requests if may_view else [],
        "published_at": published_at,
        "citation": citation_of(request, row, files, published_at) if is_public and published_at else "",
        "commits": sorted({origin_of(file.metadata).commit for file in files} - {""}),
        "backends": list(dict.fromkeys(file.backend.name for file in files)),
        "others": others,
        "earlier": earlier,
        "changes": changes(hashes_of(row), hashes_of(earlier)),
        "is_pending": any(request.decision is None for request in requests),
        "may_publish": may_publish,
    }
    return render(request, "jobserver/outputs/snapshot.html", context)


def public_versions(workspace: Workspace) -> list[Snapshot]:
    """Return what is public of a workspace, the latest version first."""
    return list(workspace.snapshots.published().order_by("-version", "-pk").prefetch_related(FILES))


def number(snapshot: Snapshot) -> int:
    return snapshot.version or 0


def title_of(snapshot: Snapshot) -> str:
    """Return what a snapshot is called: by its version once it was published."""
    return f"Version {snapshot.version}" if snapshot.version else f"Snapshot {snapshot.pk}"


def is_current(request: PublishRequest) -> bool:
    """Tell whether this is the decision by which a snapshot is public now."""
    return request.decision == APPROVED and request.ended_at is None


def citation_of(request: CarrelRequest, snapshot: Snapshot, files: list[ReleaseFile], published_at: datetime) -> str:
    """Return the line by which a paper names this publication."""
    return citation(
        project=str(snapshot.workspace.project),
        workspace=snapshot.workspace.name,
        version=number(snapshot),
        published_at=published_at,
        backends=dict.fromkeys(file.backend.name for file in files),
        commits=(origin_of(file.metadata).commit for file in files),
        address=absolute_url(request.path),
    )


def decide(request: CarrelRequest, *, project: Project, workspace: Workspace, snapshot: int) -> HttpResponse:
    """Approve a draft, reject it, or take back what is public."""
    url = reverse("snapshot", args=[project.slug, workspace.name, snapshot])
    row = workspace.snapshots.select_related("workspace__project").filter(pk=snapshot).first()
    if row is None:
        raise Http404("There is no such snapshot in this workspace.")
    if request.method == "POST" and request.person is not None:
        try:
            messages.success(request, _decide(request, row, request.POST.get("decision", "")))
        except publications.PublicationError as error:
            messages.error(request, str(error))
    return SeeOther(url)


def _decide(request: CarrelRequest, snapshot: Snapshot, decision: str) -> str:
    """Do it, and return the sentence that says what was done. Raises PublicationError."""
    person: Any = request.person
    reason = request.POST.get("reason", "").replace("\0", "")
    if decision == "approve":
        publications.approve(snapshot, person, request)
        return "It is public now."
    if decision == "reject":
        publications.reject(snapshot, reason, person, request)
        return "It was rejected."
    if decision == "unpublish":
        publications.unpublish(snapshot, reason, person, request, is_told="tell" in request.POST)
        remaining = ReleaseFile.objects.published().filter(snapshots=snapshot)
        names = [file.full_name for file in remaining.select_related("backend")[:20]]
        others = f" Still public, as part of another version: {joined(names)}." if names else ""
        return f"It is not public any more.{others}"
    raise publications.PublicationError("Choose what to do.")


def published(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """What of this workspace is public, and where a publisher wants it, that something was taken back."""
    versions = public_versions(workspace)
    withdrawn = PublishRequest.objects.filter(snapshot__workspace=workspace, is_told=True).select_related("snapshot")
    context = {
        **frame_of(request, project, workspace, "Published outputs"),
        "snapshots": versions,
        "withdrawn": withdrawn.exclude(snapshot__in=versions).order_by("-ended_at", "-pk"),
    }
    return render(request, "jobserver/outputs/published.html", context)


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


PAGES = [
    Page("staff/publications/", queue, "publications", permitted(Permission.SNAPSHOT_PUBLISH, anywhere=True)),
]
_HERE = "<slug:project>/<slug:workspace>"
PROJECT_PAGES = [
    Page(f"{_HERE}/published/", published, "published", EVERYBODY),
    Page(f"{_HERE}/published/<slug:file>/", published_file, "published-file", EVERYBODY),
    Page(f"{_HERE}/snapshots/<int:snapshot>/", snapshot_page, "snapshot", EVERYBODY),
    Page(
        f"{_HERE}/snapshots/<int:snapshot>/decide/",
        decide,
        "snapshot-decide",
        permitted(Permission.SNAPSHOT_PUBLISH),
    ),
]
