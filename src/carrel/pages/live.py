"""Pages that stay up to date without jumping: an ETag, 304 where nothing has changed, and 286 once all is final.

README.md says how a page uses it.
"""

import hashlib
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

STOP_POLLING = 286
"""The status by which htmx stops to ask."""


def etag_of(*parts: object) -> str:
    """Return an ETag of values that change when the page would: the latest change, counts, who looks."""
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


def is_current(request: HttpRequest, etag: str) -> bool:
    """Whether the browser has this state already: then answer with `unchanged()`, and render nothing."""
    return etag in parse_etags(request.headers.get("If-None-Match", ""))


def unchanged(etag: str) -> HttpResponse:
    return with_etag(HttpResponse(status=HTTPStatus.NOT_MODIFIED), etag)


def live_response(html: str, etag: str, *, final: bool) -> HttpResponse:
    """Answer a live element; `final` ends its polling, and then it is not kept by its ETag."""
    response = HttpResponse(html, status=STOP_POLLING if final else HTTPStatus.OK)
    return response if final else with_etag(response, etag)


def with_etag(response: HttpResponse, etag: str) -> HttpResponse:
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Cookie", "HX-Request"])
    return response
