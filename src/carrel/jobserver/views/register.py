"""The public register: what is being found out here, by whom, where and with which data."""

from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Prefetch, QuerySet
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from carrel.jobserver.data_report import tables_used
from carrel.jobserver.models import JobRequest, Project, ProjectBackend, RunGroup, Snapshot
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.visibility import visible_backends
from carrel.pages.lists import page_of

PAGE_SIZE = 25


def register(request: CarrelRequest) -> HttpResponse:
    """All listed projects, the same for everybody, whoever looks."""
    rows = registered_projects()
    if request.GET.get("format") == "json":
        return JsonResponse({"at": timezone.now(), "projects": [as_json(project) for project in with_data(list(rows))]})
    page = page_of(request.GET, rows, PAGE_SIZE)
    page.object_list = with_data(list(page.object_list))
    return render(request, "jobserver/register.html", {"page": page, "today": timezone.now().date()})


def registered_projects() -> QuerySet[Project]:
    """Return what the public may know of each listed project, in a fixed number of questions."""
    public = visible_backends(None, Rights())
    opt_ins = ProjectBackend.objects.filter(backend__in=public).select_related("backend")
    return (
        Project.objects.filter(is_listed=True)
        .prefetch_related(
            "memberships__user",
            "collaborations__organisation",
            "data_permissions",
            Prefetch(
                "opt_ins", queryset=opt_ins.order_by("backend__position", "backend__slug"), to_attr="public_opt_ins"
            ),
        )
        .order_by("name")
    )


def with_data(projects: list[Any]) -> list[Any]:
    """Add to each project what is known of the data that it used, of its runs, and how much of it is published."""
    public = visible_backends(None, Rights())
    tables = tables_used(projects, public)
    on_public = JobRequest.objects.filter(run=OuterRef("pk"), backend__in=public)
    runs = RunGroup.objects.filter(Exists(on_public), workspace__project__in=projects).order_by()
    activity = {
        row["workspace__project"]: row
        for row in runs.values("workspace__project").annotate(count=Count("pk"), latest=Max("created_at"))
    }
    published = Snapshot.objects.published().filter(workspace__project__in=projects).order_by()
    counts = dict(published.values_list("workspace__project").annotate(count=Count("pk")))
    for project in projects:
        project.tables_used = tables.get(project.pk, [])
        project.run_count = activity.get(project.pk, {}).get("count", 0)
        project.last_run_at = activity.get(project.pk, {}).get("latest")
        project.published_count = counts.get(project.pk, 0)
    return projects


def as_json(project: Any) -> dict[str, Any]:
    """Return a project's entry as programs read it."""
    return {
        "name": project.name,
        "number": project.number,
        "address": project.get_absolute_url(),
        "purpose": project.purpose,
        "status": project.status,
        "approval_reference": project.approval_reference,
        "starts_on": project.starts_on,
        "ends_on": project.ends_on,
        "closed": project.is_archived,
        "people": sorted(row.user.fullname for row in project.memberships.all()),
        "organisations": [
            {"name": row.organisation.name, "leads": row.is_lead} for row in project.collaborations.all()
        ],
        "backends": [row.backend.name for row in project.public_opt_ins],
        "data": [permission.name for permission in project.data_permissions.all()],
        "data_used": project.tables_used,
        "published_outputs": project.published_count,
        "runs": project.run_count,
        "last_run_at": project.last_run_at,
    }


PAGES = [Page("register/", register, "register", EVERYBODY)]
