"""One search over what somebody may know of: projects, workspaces, people, runs, jobs, tables and columns."""

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render

from carrel.jobserver.models import Job, JobRequest, User, Workspace
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.views.catalogues import search_catalogues
from carrel.jobserver.views.latest import visible_runs
from carrel.jobserver.views.projects import matching

MOST = 10
"""Of each kind: whoever has more writes more letters."""
CANDIDATES = 200
"""Rows that begin so, of which those are shown that one may know of."""
MAX_QUERY = 200
SHORTEST_IDENTIFIER = 4
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One thing that was looked for: what it is called, where its page is, what else helps to know it."""

    label: str
    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class HitGroup:
    """All things of one kind."""

    title: str
    hits: list[SearchHit]
    more_url: str = ""


def search(request: CarrelRequest) -> HttpResponse:
    """What the query names, by kind."""
    query = request.GET.get("q", "").replace("\x00", "").strip()[:MAX_QUERY]
    groups = [group for group in groups_of(request, query) if group.hits] if query else []
    context = {"query": query, "groups": groups, "count": sum(len(group.hits) for group in groups)}
    return render(request, "jobserver/search.html", context)


def groups_of(request: CarrelRequest, query: str) -> list[HitGroup]:
    """Return what is there of each kind, in the order in which it is shown."""
    projects = matching(visible_projects(request.person, request.rights), query)[:MOST]
    return [
        HitGroup("Runs and jobs", runs_and_jobs(request, query)),
        HitGroup(
            "Projects",
            [SearchHit(str(project), project.get_absolute_url(), project.purpose[:120]) for project in projects],
        ),
        HitGroup(
            "Workspaces",
            [
                SearchHit(workspace.name, workspace.get_absolute_url(), workspace.project.name)
                for workspace in workspaces_of(request, query)[:MOST]
            ],
        ),
        HitGroup(
            "People", [SearchHit(str(user), f"/staff/people/{user.username}/") for user in people(request, query)]
        ),
        HitGroup("Tables and columns", table_hits(request, query)),
    ]


def workspaces_of(request: CarrelRequest, query: str) -> QuerySet[Workspace]:
    """Return the workspaces whose name, repository or purpose has every word."""
    rows = Workspace.objects.filter(project__in=visible_projects(request.person, request.rights))
    for word in query.split()[:8]:
        rows = rows.filter(Q(name__icontains=word) | Q(repo_url__icontains=word) | Q(purpose__icontains=word))
    return rows.select_related("project")


def people(request: CarrelRequest, query: str) -> list[User]:
    """Return accounts, for those who manage them; nobody else learns who has one."""
    if not request.rights.holds(Permission.USER_MANAGE):
        return []
    named = Q(username__icontains=query) | Q(fullname__icontains=query) | Q(email__icontains=query)
    return list(User.objects.filter(named)[:MOST])


def runs_and_jobs(request: CarrelRequest, query: str) -> list[SearchHit]:
    """Return the run of this number, and requests and jobs whose identifier begins so."""
    hits = []
    if query.isascii() and query.isdigit() and int(query) <= LARGEST_ID:
        for run in visible_runs(request).filter(pk=int(query)):
            hits.append(SearchHit(f"Run {run.pk}", run.get_absolute_url(), run.workspace.name))
    identifier = query.lower()
    if len(identifier) < SHORTEST_IDENTIFIER or not identifier.isalnum() or not identifier.isascii():
        return hits
    backends = visible_backends(request.person, request.rights)
    projects = visible_projects(request.person, request.rights)
    visible = {"backend__in": backends, "workspace__project__in": projects}
    for row in beginning(JobRequest, identifier).filter(**visible).select_related("run__workspace__project")[:MOST]:
        hits.append(SearchHit(row.identifier, row.run.get_absolute_url(), f"request of run {row.run_id}"))
    jobs = beginning(Job, identifier).filter(**visible)
    for job in jobs.select_related("request__run__workspace__project", "backend")[:MOST]:
        url = f"{job.request.run.get_absolute_url()}{job.identifier}/"
        hits.append(SearchHit(job.identifier, url, f"{job.action} on {job.backend.name}"))
    return hits


def beginning(model: Any, prefix: str) -> QuerySet[Any]:
    """Return the first rows whose identifier begins so, found by the index of identifiers before anything else."""
    rows = model.objects.filter(identifier__startswith=prefix).order_by("identifier")
    if connection.vendor == "sqlite":
        # SQLite uses no index for LIKE, but does for a range; its order is that of code points.
        rows = rows.filter(identifier__gte=prefix, identifier__lt=f"{prefix}\U0010ffff")
    return model.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:CANDIDATES])).order_by("identifier")


def table_hits(request: CarrelRequest, query: str) -> list[SearchHit]:
    """Return tables that have every word in their names, columns or descriptions, with the backends that have them."""
    rows = search_catalogues(request, query)[:MOST]
    return [SearchHit(row.name, row.url, f"on {', '.join(row.backends)}{row.why}") for row in rows]


PAGES = [Page("search/", search, "search", EVERYBODY)]
