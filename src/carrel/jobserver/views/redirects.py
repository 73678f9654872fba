"""Old addresses of projects: whoever comes there and may see the project is sent on."""

from collections.abc import Callable
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from carrel.jobserver.models import Redirect
from carrel.jobserver.rights.access import identify
from carrel.jobserver.rights.visibility import visible_projects

SAFE_METHODS = ("GET", "HEAD")


class RedirectMiddleware:
    """Look for a redirect only where nothing else was found, so that no page pays for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer as the page does, or lead to where it is now."""
        response = self.get_response(request)
        if response.status_code != 404 or request.method not in SAFE_METHODS or "\0" in request.path:
            return response
        first, _, rest = request.path.lstrip("/").partition("/")
        row = Redirect.objects.filter(old_path=f"/{first}/", expires_at__gt=timezone.now()).first()
        known = identify(request)
        projects = visible_projects(known.person, known.rights)
        project = row and projects.filter(pk=row.project_id).first()
        if not project:
            return response
        query = f"?{request.META['QUERY_STRING']}" if request.META.get("QUERY_STRING") else ""
        return HttpResponseRedirect(f"{project.get_absolute_url()}{quote(rest)}{query}")
