"""`GET /`, `/healthz`, `/readyz`, `/metrics`."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def index(request: HttpRequest) -> HttpResponse:
    """Any method, no token: `{"method": ...}` (spec: controller.md section 2.1)."""
    return JsonResponse({"method": request.method})


def healthz(_request: HttpRequest) -> HttpResponse:
    """The process is up."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> HttpResponse:
    """The database answers and has every migration; 503 and why, otherwise."""
    problem = database_problem()
    if problem:
        return JsonResponse({"status": "not ready", "problem": problem}, status=503)
    return JsonResponse({"status": "ready"})


def database_problem() -> str | None:
    """Why the database cannot be used yet, in a sentence; None when it can."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "The database cannot be reached."
    if missing:
        return f"{len(missing)} migrations are not applied. Run `carrel manage migrate_controller`."
    return None


def metrics(_request: HttpRequest) -> HttpResponse:
    """Prometheus text."""
    from carrel.controller import metrics as collected

    body, content_type = collected.exposition()
    return HttpResponse(body, content_type=content_type)
