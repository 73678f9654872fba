"""Organisations: the list, and one with the projects it takes part in."""

from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from carrel.jobserver.models import Organisation
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_projects
from carrel.jobserver.views.projects import with_counts
from carrel.pages.frame import PageLink
from carrel.pages.lists import page_of


def organisation_list(request: CarrelRequest) -> HttpResponse:
    """All of them, with how many projects each takes part in that this person may know of."""
    visible = Q(projects__in=visible_projects(request.person, request.rights))
    rows = Organisation.objects.annotate(project_count=Count("projects", filter=visible, distinct=True)).order_by(
        "name"
    )
    context = {"page": page_of(request.GET, rows), "may_create": request.rights.holds(Permission.ORG_CREATE)}
    return render(request, "jobserver/organisations/list.html", context)


def organisation_page(request: CarrelRequest, *, slug: str) -> HttpResponse:
    """What it is, and its projects."""
    organisation = Organisation.objects.filter(slug=slug).first()
    if organisation is None:
        raise Http404
    projects = visible_projects(request.person, request.rights).filter(organisations=organisation)
    led = set(organisation.collaborations.filter(is_lead=True).values_list("project_id", flat=True))
    context = {
        "organisation": organisation,
        "page": page_of(request.GET, with_counts(projects)),
        "led": led,
        "today": timezone.now().date(),
        "crumbs": [PageLink("Organisations", reverse("organisations")), PageLink(organisation.name)],
    }
    return render(request, "jobserver/organisations/organisation.html", context)


def old_address(_request: CarrelRequest) -> HttpResponse:
    """The contract has two names for the list."""
    return redirect("organisations")


PAGES = [
    Page("orgs/", organisation_list, "organisations", EVERYBODY),
    Page("organisations/", old_address, "organisations-too", EVERYBODY),
    Page("orgs/<slug:slug>/", organisation_page, "organisation", EVERYBODY),
]
