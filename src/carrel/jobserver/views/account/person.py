"""The public page of a person."""

from django.http import HttpResponse
from django.shortcuts import render

from carrel.jobserver.models import User
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.jobserver.rights.visibility import visible_projects


def person(request: CarrelRequest, username: User) -> HttpResponse:
    """Show the name, the organisations, and the projects that whoever looks may know of."""
    projects = visible_projects(request.person, request.rights).filter(memberships__user=username).order_by("name")
    context = {"shown": username, "organisations": username.organisations.all(), "projects": projects}
    return render(request, "jobserver/person.html", context)


PAGES = [Page("users/<str:username>/", person, "person", EVERYBODY)]
