"""Plain-text answers about one backend, for programs that watch it (job-server.md section 2.5)."""

from datetime import datetime, timedelta

from django.http import HttpResponse
from django.utils import timezone

from carrel.jobserver.models import Backend
from carrel.jobserver.rights.access import EVERYBODY, CarrelRequest, Page

PLAIN = "text/plain; charset=utf-8"


def backend_probe(_request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """When the backend was last heard of: 200, or 503 when that is too long ago. One never heard of is not missed."""
    text = backend.last_seen_at.isoformat() if backend.last_seen_at else "never seen"
    return HttpResponse(text, content_type=PLAIN, status=503 if is_missing(backend, timezone.now()) else 200)


def is_missing(backend: Backend, now: datetime) -> bool:
    """Tell whether the backend was heard of once, and then not for longer than its alert allows."""
    silent = now - (backend.last_seen_at or now)
    return silent > timedelta(seconds=backend.alert_timeout_seconds)


def database_probe(_request: CarrelRequest, *, backend: Backend) -> HttpResponse:
    """Whether the backend's database is being maintained, and since when."""
    since = f" (since {backend.maintenance_since.isoformat()})" if backend.maintenance_since else ""
    text = f"DB maintenance mode {'on' if backend.in_maintenance else 'off'}{since if backend.in_maintenance else ''}"
    return HttpResponse(text, content_type=PLAIN)


PAGES = [
    Page("status/<slug:backend>/", backend_probe, "backend-probe", EVERYBODY),
    Page("status/<slug:backend>/db-availability/", database_probe, "backend-database-probe", EVERYBODY),
]
