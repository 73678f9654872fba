"""The staff area's first page: what needs somebody who runs the site."""

from datetime import timedelta

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from carrel.jobserver.backend_standing import standing_of
from carrel.jobserver.models import Backend, OutgoingMessage, PersonRequirement, Project, User, Workspace
from carrel.jobserver.rights.access import CarrelRequest, Page, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.views.staff.lists import section_tabs
from carrel.jobserver.views.staff.requests import stuck_requests
from carrel.pages.frame import BackendState

SOON = timedelta(days=30)
MOST = 8


def overview(request: CarrelRequest) -> HttpResponse:
    """Backends that are not up, projects that end, trainings that expire, requests and messages that are stuck."""
    now = timezone.now()
    today = now.date()
    backends = visible_backends(request.person, request.rights).filter(is_active=True)
    standings = [(backend, standing_of(backend, now)) for backend in backends]
    without_projects = Backend.objects.annotate(count=Count("opt_ins")).filter(count=0, is_active=True)
    context = {
        "tabs": section_tabs(request, "staff"),
        "down": [(backend, standing) for backend, standing in standings if standing.state is not BackendState.UP],
        "unused": without_projects.filter(pk__in=[backend.pk for backend, _ in standings])[:MOST],
        "ending": Project.objects.filter(archived_at=None, ends_on__range=(today, today + SOON)).order_by("ends_on")[
            :MOST
        ],
        "ended": Project.objects.filter(archived_at=None, ends_on__lt=today).order_by("ends_on")[:MOST],
        "expiring": PersonRequirement.objects.filter(
            expires_on__range=(today, today + SOON), user__is_active=True
        ).select_related("user", "requirement")[:MOST],
        "stuck": stuck_requests(request, now)[:MOST],
        "unsent": OutgoingMessage.objects.filter(sent_at=None, given_up_at__isnull=False).count(),
        "counts": [
            ("People", User.objects.filter(is_active=True, is_bot=False).count()),
            ("Programs", User.objects.filter(is_active=True, is_bot=True).count()),
            ("Projects", Project.objects.filter(archived_at=None).count()),
            ("Workspaces", Workspace.objects.filter(archived_at=None).count()),
            ("Backends", len(standings)),
        ],
    }
    return render(request, "jobserver/staff/overview.html", context)


PAGES = [Page("staff/", overview, "staff", permitted(Permission.STAFF_AREA_ACCESS))]
