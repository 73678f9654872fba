"""One search over what somebody may know of: projects, workspaces, people, actions, runs, jobs, tables, columns."""

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from carrel.jobserver.models import Job, JobRequest, User, Workspace
from carrel.jobserver.queries.prefixes import begins_with
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.views.catalogues import search_catalogues
from carrel.jobserver.views.latest import visible_runs
from carrel.jobserver.views.projects import matching

MOST = 10
"""Of each kind: whoever has more writes more letters."""
FEWEST_LETTERS = 2
"""Of an action's name: one letter begins too many."""
NAMES_LOOKED_AT = 5_000
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
        HitGroup("Actions", action_hits(request, query), f"{reverse('runs')}?{urlencode({'action': query})}"),
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


def action_hits(request: CarrelRequest, query: str) -> list[SearchHit]:
    """Return the actions whose name begins so, each in the workspaces where it ran last, with where it is logged."""
    if len(query) < FEWEST_LETTERS:
        return []
    begun = Job.objects.filter(begins_with("action", query)).order_by("action").values_list("action", flat=True)
    names = list(dict.fromkeys(begun[:NAMES_LOOKED_AT]))[:MOST]
    visible = Job.objects.filter(
        backend__in=visible_backends(request.person, request.rights),
        workspace__project__in=visible_projects(request.person, request.rights),
    )
    # The latest of each name by its index, so that no name is gone through whole.
    latest = [Q(pk__in=list(Job.objects.filter(action=name).order_by("-request").values_list("pk", flat=True)[:50]))
              for name in names]  # fmt: skip
    hits = {}
    for job in visible.filter(reduce(or_, latest)).select_related("workspace__project") if latest else ():
        url = f"{job.workspace.get_absolute_url()}logs/?{urlencode({'action': job.action})}"
        hits[url] = SearchHit(job.action, url, f"in {job.workspace.name}")
    return list(hits.values())[:MOST]


def beginning(model: Any, prefix: str) -> QuerySet[Any]:
    """Return the first rows whose identifier begins so, found by the index of identifiers before anything else."""
    rows = model.objects.filter(begins_with("identifier", prefix)).order_by("identifier")
    return model.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:CANDIDATES])).order_by("identifier")


def table_hits(request: CarrelRequest, query: str) -> list[SearchHit]:
    """Return tables that have every word in their names, columns or descriptions, with the backends that have them."""
    rows = search_catalogues(request, query)[:MOST]
    return [SearchHit(row.name, row.url, f"on {', '.join(row.backends)}{row.why}") for row in rows]


PAGES = [Page("search/", search, "search", EVERYBODY)]
