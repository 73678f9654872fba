"""The API's frame: what django-ninja is told, what every answer from 400 on looks like, which paths there are."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import URLPattern
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

import carrel
from carrel.jobserver.api import backends, jobs, level4, people, releases, runs, snapshots, workspaces
from carrel.jobserver.api.answers import ApiError, ApiProblem, ApiRefusal
from carrel.jobserver.api.bodies import BodyError, BodyParser
from carrel.jobserver.api.callers import ScopedAuth
from carrel.units.words import is_storable

ROOT = "api/v2/"


def build() -> NinjaAPI:
    """Return the API with all its endpoints."""
    api = NinjaAPI(
        title="Carrel job server",
        version=carrel.__version__,
        description="Ask for runs, follow them, release what they made. Times are UTC, in ISO 8601.",
        urls_namespace="api",
        docs_url=None,
        openapi_url=None,
        parser=BodyParser(),
    )
    for room in (jobs, people, workspaces, releases, snapshots, level4, backends, runs):
        api.add_router("", room.router)
    name_parameters(api)
    api.add_exception_handler(HttpError, answer_refusal)
    api.add_exception_handler(ValidationError, answer_invalid)
    api.add_exception_handler(Http404, lambda _request, error: problem(404, str(error) or "Not found."))
    return api


def name_parameters(api: NinjaAPI) -> None:
    """Tell the authentication of each endpoint of our own API which parameters its query may have."""
    for _, router in api._routers:
        operations = [operation for view in router.path_operations.values() for operation in view.operations]
        for operation in operations:
            models = [model for model in operation.models if model.__ninja_param_source__ == "query"]
            names = frozenset(name for model in models for name in model.__ninja_flatten_map__)
            for auth in operation.auth_callbacks:
                if isinstance(auth, ScopedAuth):
                    auth.parameters = names


def url_patterns(api: NinjaAPI) -> list[URLPattern]:
    """Return the API's paths below ROOT, each in the contract's form (with or without a slash at its end)."""
    patterns: list[URLPattern] = api.urls[0]
    for pattern in patterns:
        pattern.callback = entrance(pattern.callback)
    return patterns


def other_form(patterns: Sequence[URLPattern]) -> Callable[..., HttpResponse]:
    """Return the view of every other path: it answers for the one with, or without, a slash at its end."""

    def view(request: HttpRequest, rest: str) -> HttpResponse:
        other = rest[:-1] if rest.endswith("/") else f"{rest}/"
        for pattern in patterns:
            if match := pattern.resolve(other):
                return cast(HttpResponse, match.func(request, *match.args, **match.kwargs))
        return problem(404, "There is nothing at this address.")

    view.csrf_exempt = True  # type: ignore[attr-defined]  # each kind of authentication checks what it needs
    return view


def entrance(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view as HTTP wants it: it answers HEAD and OPTIONS, and what no database can look for is not found."""

    def enter(request: HttpRequest, *args: Any, **parts: Any) -> HttpResponse:
        texts = [*parts.values(), *request.GET, *(value for values in request.GET.lists() for value in values[1])]
        if not all(is_storable(str(text)) for text in texts):
            return problem(400, "The address holds characters that are not text.")
        method = request.method or ""
        if method == "HEAD":
            request.method = "GET"
        response = view(request, *args, **parts)
        if isinstance(response, HttpResponseNotAllowed):
            response = _not_allowed(response, method)
        return _without_body(response) if method == "HEAD" else response

    enter.csrf_exempt = True  # type: ignore[attr-defined]  # each kind of authentication checks what it needs
    return enter


def problem(status: int, detail: str, errors: Sequence[ApiProblem] = ()) -> JsonResponse:
    """Return an answer that says why not."""
    return JsonResponse(ApiError(detail=detail, errors=list(errors)).model_dump(), status=status)


def _not_allowed(response: HttpResponse, method: str) -> HttpResponse:
    allowed = set(response["Allow"].split(", ")) | {"OPTIONS"}
    if "GET" in allowed:
        allowed.add("HEAD")
    answer = HttpResponse(status=204) if method == "OPTIONS" else problem(405, f"There is no {method} here.")
    answer["Allow"] = ", ".join(sorted(allowed))
    return answer


def _without_body(response: Any) -> HttpResponse:
    """The answer to HEAD: the headers of GET alone. Not every WSGI server leaves the body out."""
    head = HttpResponse(status=response.status_code, headers=dict(response.items()))
    if not response.streaming:
        head["Content-Length"] = str(len(response.content))
    response.close()
    return head


def answer_refusal(_request: HttpRequest, error: Any) -> HttpResponse:
    """Answer what an endpoint, or django-ninja, refused."""
    if isinstance(error, ApiRefusal):
        response = problem(error.status_code, error.body.detail, error.body.errors)
    elif isinstance(error.__cause__, BodyError):
        response = problem(400, str(error.__cause__))
    elif isinstance(error, AuthenticationError):
        response = problem(403, "Authentication credentials were not provided.")
    else:
        response = problem(error.status_code, error.message)
    if response.status_code == 401:
        response["WWW-Authenticate"] = "Bearer"
    if response.status_code in (429, 503):
        response["Retry-After"] = "30"
    return response


def answer_invalid(_request: HttpRequest, error: Any) -> HttpResponse:
    """Answer a request that is not what the endpoint takes: 400, with each place."""
    errors = [ApiProblem(where=place_of(entry["loc"]), what=str(entry["msg"])[:500]) for entry in error.errors[:50]]
    return problem(400, "The request is not what this address takes.", errors)


def place_of(location: Sequence[Any]) -> str:
    """`body.files.3.name`, without the name of the endpoint's own argument, which django-ninja puts after `body`."""
    source, *steps = location
    inner = steps[1:] if source == "body" else steps
    return ".".join(str(step) for step in (source, *inner))[:200]
