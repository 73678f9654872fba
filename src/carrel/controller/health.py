"""`GET /`, `/healthz`, `/readyz`, `/metrics`."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from carrel.controller.checks import database_problem


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


def metrics(_request: HttpRequest) -> HttpResponse:
    """Prometheus text."""
    from carrel.controller import metrics as collected

    body, content_type = collected.exposition()
    return HttpResponse(body, content_type=content_type)
