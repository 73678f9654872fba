"""The first page, health checks."""

from datetime import timedelta

from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone

from carrel.jobs.statuses import State, StatusCode
from carrel.jobserver.models import Job, JobRequest, Project, RunGroup, User, Workspace
from carrel.jobserver.models.runs import ACTIVE_STATUSES, RequestStatus
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.views.latest import latest_requests, visible_runs
from carrel.units.migrations import database_problem

YOUR_RUNS, YOUR_WORKSPACES, YOUR_FAILURES = 8, 8, 10
PUBLIC_PROJECTS, LATEST_RUNS = 6, 10
FAILED_WITHIN = timedelta(days=14)
ENDS_WITHIN = timedelta(days=30)


def home(request: CarrelRequest) -> HttpResponse:
    """Your runs, what needs you, your workspaces; for a stranger what this is."""
    return welcome(request) if request.person is None else own_page(request, request.person)


def welcome(request: CarrelRequest) -> HttpResponse:
    """What this is, public projects, the latest runs."""
    projects = visible_projects(None, request.rights).filter(archived_at=None)
    context = {
        "projects": projects.order_by("-created_at")[:PUBLIC_PROJECTS],
        "project_count": projects.count(),
        "runs": visible_runs(request)[:LATEST_RUNS],
    }
    return render(request, "jobserver/welcome.html", context)


def own_page(request: CarrelRequest, person: User) -> HttpResponse:
    """What a person comes for."""
    backends = list(visible_backends(person, request.rights))
    workspaces = list(latest_workspaces(person)[:YOUR_WORKSPACES])
    states = latest_requests(workspaces, backends)
    projects = visible_projects(person, request.rights)
    failures = unanswered_failures(person).filter(backend__in=backends, workspace__project__in=projects)
    failed = list(failures[:YOUR_FAILURES])
    today = timezone.now().date()
    context = {
        "runs": visible_runs(request).filter(created_by=person)[:YOUR_RUNS],
        "failed": failed,
        "failed_runs": len({row.run_id for row in failed}),
        "ending": led_projects(request, person).filter(ends_on__gte=today, ends_on__lte=today + ENDS_WITHIN),
        "lacking": lacking_requirements(request),
        "workspaces": [
            (workspace, [(backend, state) for backend in backends if (state := states[workspace.pk].get(backend.pk))])
            for workspace in workspaces
        ],
        "has_projects": bool(workspaces) or person.project_memberships.exists(),
    }
    return render(request, "jobserver/home.html", context)


def latest_workspaces(person: User) -> QuerySet[Workspace]:
    """Return the workspaces of a person's projects, those that ran last first."""
    runs = RunGroup.objects.filter(workspace=OuterRef("pk")).order_by().values("workspace")
    return (
        Workspace.objects.filter(project__memberships__user=person, archived_at=None)
        .select_related("project")
        .annotate(last_run_at=Subquery(runs.annotate(at=Max("created_at")).values("at")))
        .order_by(F("last_run_at").desc(nulls_last=True), "name")
    )


def unanswered_failures(person: User) -> QuerySet[JobRequest]:
    """Return the person's requests of the last days that failed, after which nothing was asked for there again.

    One that goes on is among them as soon as a job of it has failed.
    """
    failed_jobs = Job.objects.filter(request=OuterRef("pk"), status=State.FAILED)
    is_failing = Exists(failed_jobs.exclude(status_code=StatusCode.CANCELLED_BY_USER))
    later = JobRequest.objects.filter(
        workspace=OuterRef("workspace"), backend=OuterRef("backend"), pk__gt=OuterRef("pk")
    )
    return (
        JobRequest.objects.filter(
            Q(status=RequestStatus.FAILED, was_cancelled=False) | (Q(status__in=ACTIVE_STATUSES) & is_failing),
            created_by=person,
            created_at__gte=timezone.now() - FAILED_WITHIN,
        )
        .filter(~Exists(later))
        .select_related("run__workspace__project", "backend")
    )


def led_projects(request: CarrelRequest, person: User) -> QuerySet[Project]:
    """Return the open projects whose people this person manages by a role in them."""
    ids = [
        grant.project_id
        for grant in request.rights.grants
        if grant.project_id is not None and Permission.PROJECT_MEMBERS_MANAGE in grant.permissions
    ]
    return Project.objects.filter(pk__in=ids, memberships__user=person, archived_at=None)


def lacking_requirements(request: CarrelRequest) -> list[tuple[str, list[str]]]:
    """Return the roles that permit nothing now, each with the trainings and agreements that it needs."""
    lacking = {grant.role: sorted(request.rights.lacks(grant)) for grant in request.rights.grants}
    return sorted((role, slugs) for role, slugs in lacking.items() if slugs)


def favicon(_request: HttpRequest) -> HttpResponse:
    """Where browsers look for the site's mark whatever a page says, such as beside an API's answer."""
    response = HttpResponseRedirect(static("pages/mark.svg"))
    response["Cache-Control"] = "max-age=86400"
    return response


def health_check(_request: HttpRequest) -> HttpResponse:
    """The process is up."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> HttpResponse:
    """The database answers and has every migration; 503 and why, otherwise."""
    problem = database_problem("carrel manage migrate")
    if problem:
        return JsonResponse({"status": "not ready", "problem": problem}, status=503)
    return JsonResponse({"status": "ready"})


PAGES = [
    Page("", home, "home", EVERYBODY),
    Page("favicon.ico", favicon, "favicon", EVERYBODY),
    Page("health-check/", health_check, "health-check", EVERYBODY),
    Page("healthz", health_check, "healthz", EVERYBODY),
    Page("readyz", readyz, "readyz", EVERYBODY),
]
