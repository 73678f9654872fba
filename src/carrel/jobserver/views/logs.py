"""Logs of runs: of everything that somebody may see, of a project, of a workspace, of a person; and as feeds."""

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings as django_settings
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed

from carrel.jobserver.models import Project, User, Workspace
from carrel.jobserver.models.runs import OUTCOMES
from carrel.jobserver.queries.logs import LABELS, LogFilters, day_of, log_of, rows_of
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.views.workspace import links_of
from carrel.pages.frame import PageLink
from carrel.pages.lists import active_filters, page_of
from carrel.pages.status_words import status_words

IN_FEED = 30
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STATUS_WORDS = {outcome: status_words(outcome).word for outcome in OUTCOMES}


def all_runs(request: CarrelRequest) -> HttpResponse:
    """All runs that this person may see."""
    return _log_page(request, Q(), heading="Runs", standing="What was run where, the latest first.")


def project_log(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """The runs of a project's workspaces."""
    crumbs = [PageLink(project.name, f"/{project.slug}/"), PageLink("Runs")]
    return _log_page(
        request,
        Q(workspace__project=project),
        heading=f"Runs of {project.name}",
        crumbs=crumbs,
        feed_url=reverse("project-feed", args=[project.slug]),
    )


def workspace_log(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """The runs of one workspace."""
    crumbs = [
        PageLink(project.name, f"/{project.slug}/"),
        PageLink(workspace.name, workspace.get_absolute_url()),
        PageLink("Runs"),
    ]
    return _log_page(
        request,
        Q(workspace=workspace),
        heading=f"Runs of {workspace.name}",
        crumbs=crumbs,
        feed_url=reverse("workspace-feed", args=[project.slug, workspace.name]),
        with_workspace=False,
        links=links_of(request, workspace),
    )


def person_log(request: CarrelRequest, *, username: User) -> HttpResponse:
    """What one person has run, as far as whoever looks may see it."""
    return _log_page(request, Q(created_by=username), heading=f"Runs of {username.fullname}", with_person=False)


def _log_page(request: CarrelRequest, within: Q, *, heading: str, **context: Any) -> HttpResponse:
    filters = LogFilters.from_url(dict(request.GET.lists()))
    backends = list(visible_backends(request.person, request.rights))
    page = page_of(request.GET, log_of(request.person, request.rights, filters, within))
    words = {"backend": {backend.slug: backend.name for backend in backends}, "status": STATUS_WORDS}
    readers: dict[str, Callable[[str], object]] = {"since": day_of, "until": day_of, "status": STATUS_WORDS.get}
    chips = active_filters(request.GET, LABELS, words, readers=readers, others=())
    values = {
        "heading": heading,
        "page": page,
        "rows": rows_of(list(page.object_list)),
        "filters": chips,
        "chosen": filters,
        "backends": backends,
        "statuses": STATUS_WORDS,
        "with_workspace": True,
        "with_person": True,
        **context,
    }
    return render(request, "jobserver/runs/log.html", values)


# --- feeds


def project_feed(request: CarrelRequest, *, project: Project) -> HttpResponse:
    """The latest runs of a project, for a feed reader."""
    path = reverse("project-log", args=[project.slug])
    return _feed(request, Q(workspace__project=project), f"Runs of {project.name}", path)


def workspace_feed(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """The latest runs of a workspace, for a feed reader."""
    path = reverse("workspace-log", args=[project.slug, workspace.name])
    return _feed(request, Q(workspace=workspace), f"Runs of {workspace.name}", path)


def xml_text(text: str) -> str:
    """Return the text as XML can hold it: names and messages of controllers may have characters that it cannot."""
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _feed(request: CarrelRequest, within: Q, title: str, path: str) -> HttpResponse:
    site = django_settings.JOBSERVER_URL
    feed = Atom1Feed(
        title=xml_text(title), link=f"{site}{path}", description=xml_text(title), feed_url=f"{site}{request.path}"
    )
    for row in rows_of(list(log_of(request.person, request.rights, LogFilters(), within)[:IN_FEED])):
        asked = row.request
        word = STATUS_WORDS[asked.outcome]
        feed.add_item(
            title=xml_text(f"{word}: run {asked.run_id} of {asked.workspace.name} on {asked.backend.name}"),
            link=f"{site}{asked.run.get_absolute_url()}#on-{asked.backend.slug}",
            unique_id=f"{site}/job-requests/{asked.pk}/",
            description=xml_text(f"{row.succeeded} of {row.total} jobs succeeded. {asked.status_message}".strip()),
            pubdate=asked.created_at,
            updateddate=asked.updated_at,
            author_name=xml_text(asked.created_by.fullname),
        )
    return HttpResponse(feed.writeString("utf-8"), content_type="application/atom+xml; charset=utf-8")


PAGES = [
    Page("runs/", all_runs, "runs", EVERYBODY),
    Page("event-log/", all_runs, "event-log", EVERYBODY),
    Page("users/<str:username>/logs/", person_log, "person-log", EVERYBODY),
]
PROJECT_PAGES = [
    Page("<slug:project>/logs/", project_log, "project-log", EVERYBODY),
    Page("<slug:project>/logs/feed/", project_feed, "project-feed", EVERYBODY),
    Page("<slug:project>/<str:workspace>/logs/", workspace_log, "workspace-log", EVERYBODY),
    Page("<slug:project>/<str:workspace>/logs/feed/", workspace_feed, "workspace-feed", EVERYBODY),
]
