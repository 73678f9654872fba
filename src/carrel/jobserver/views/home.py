"""The first page, health checks."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page
from carrel.units.migrations import database_problem


def home(request: CarrelRequest) -> HttpResponse:
    """Your runs, what needs you, your workspaces; for a stranger what this is."""
    return render(request, "jobserver/home.html")


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
    Page("health-check/", health_check, "health-check", EVERYBODY),
    Page("healthz", health_check, "healthz", EVERYBODY),
    Page("readyz", readyz, "readyz", EVERYBODY),
]
