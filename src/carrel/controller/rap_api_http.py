"""How every RAP API view is called: method, token, JSON, schema, in this order (spec: controller.md section 2.2)."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from pydantic import BaseModel

from carrel.controller import service, settings
from carrel.controller.service.tokens import raw_token
from carrel.messages.rap import ErrorResponse, request_schema
from carrel.units.words import is_storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What the document says of a view, and what the view is held to."""

    path: str
    method: str
    summary: str
    answers: dict[int, tuple[str, type[BaseModel]]]
    """Status -> (meaning, body), for statuses of this endpoint alone."""
    body: type[BaseModel] | None = None
    authenticated: bool = True


class InvalidBody(Exception):
    """The body is not what the endpoint takes; the text is the contract's `details`."""


class EndpointView:
    """A Django view that knows its endpoint and checks each request against it before the function sees it.

    The function is called with the request, the backends of the token, and the checked body (the last two only where
    the endpoint has them).
    """

    csrf_exempt = True  # callers show a token, no cookie

    def __init__(self, spec: Endpoint, function: Callable[..., HttpResponse]) -> None:
        self.endpoint = spec
        self._function = function
        self.__name__ = self.__qualname__ = function.__name__
        self.__doc__ = function.__doc__

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != self.endpoint.method:
            return HttpResponseNotAllowed([self.endpoint.method])
        arguments: list[Any] = []
        try:
            if self.endpoint.authenticated:
                arguments.append(_authenticate(request))
            if self.endpoint.body:
                arguments.append(_parse(request, self.endpoint.body))
        except _Unauthorized as error:
            return respond(ErrorResponse(error="Unauthorized", details=str(error)), 401)
        except InvalidBody as error:
            return respond(ErrorResponse(error="Validation error", details=str(error)), 400)
        return self._function(request, *arguments)


def endpoint(spec: Endpoint) -> Callable[[Callable[..., HttpResponse]], EndpointView]:
    """Make a function a view that is held to `spec`."""
    return lambda function: EndpointView(spec, function)


def respond(message: BaseModel, status: int = 200) -> HttpResponse:
    """A message as compact JSON, keys in the order of its model; what is absent is left out only where it may be."""
    optional = {name for name, field in type(message).model_fields.items() if not field.is_required()}
    absent = {name for name in optional if getattr(message, name) is None}
    return HttpResponse(message.model_dump_json(exclude=absent), status=status, content_type="application/json")


# -- who asks


class _Unauthorized(Exception):
    """The text is the contract's `details`."""


def _authenticate(request: HttpRequest) -> list[str]:
    """The backends that the request's token may use."""
    header = request.headers.get("Authorization", "").strip()
    if not header:
        raise _Unauthorized("No token provided")
    backends = service.backends_of_client_token(raw_token(header))
    if not backends:
        raise _Unauthorized("Invalid token")
    return backends


# -- what is asked


def _parse(request: HttpRequest, model: type[BaseModel]) -> BaseModel:
    try:
        body = json.loads(request.body)
        check(body, model)
        return model.model_validate(body)
    except (ValueError, RecursionError):
        # Nested too deep to be looked through is no JSON for us, wherever that shows.
        raise InvalidBody("could not parse JSON from request body") from None


def check(body: Any, model: type[BaseModel]) -> None:
    """Raise InvalidBody, in the words of python's jsonschema, unless `body` meets the model's schema."""
    error = best_match(_validator(model, tuple(settings.get().valid_database_names)).iter_errors(body))
    if error is not None:
        path = f" at {error.json_path}" if error.absolute_path else ""
        raise InvalidBody(f"Invalid request body received{path}: {error.message}")
    for path, text in _strings(body, "$"):
        if not is_storable(text):
            raise InvalidBody(
                f"Invalid request body received at {path}: {text!r} contains characters that are not text"
            )


@lru_cache(maxsize=16)
def _validator(model: type[BaseModel], database_names: tuple[str, ...]) -> Any:
    return _Validator(request_schema(model, database_names))


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """As jsonschema's own, but `$` is the end of the text: Python's also matches before a line break that ends it."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})


def _strings(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield path, key
            yield from _strings(value, f"{path}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _strings(value, f"{path}[{number}]")
