"""The OpenAPI 3.1 document of the RAP API, made from the endpoints and from the models that validate requests."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

import carrel
from carrel.controller import settings
from carrel.controller.rap_api_http import Endpoint
from carrel.messages.rap import ErrorResponse, json_schema, request_schema

BASE = "/controller/v1/"


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document of these endpoints, as JSON data."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Carrel controller: RAP API",
            "version": carrel.__version__,
            "description": "Create, cancel and follow the jobs of a study on one or more backends.",
        },
        "servers": [{"url": BASE}],
        "paths": {
            f"/{endpoint.path}": {endpoint.method.lower(): _operation(endpoint)}
            for endpoint in endpoints
            if endpoint.answers
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`Authorization: Bearer <token>`, or the token alone.",
                }
            }
        },
        "security": [{"token": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.path.strip("/").replace("/", "_"),
        "summary": endpoint.summary,
        "responses": {
            str(status): {"description": meaning, "content": _json(json_schema(body, "serialization"))}
            for status, (meaning, body) in _answers(endpoint).items()
        },
    }
    if endpoint.body is not None:
        names = settings.get().valid_database_names
        operation["requestBody"] = {"required": True, "content": _json(request_schema(endpoint.body, names))}
    return operation


def _answers(endpoint: Endpoint) -> dict[int, tuple[str, type[BaseModel]]]:
    answers = dict(endpoint.answers)
    if endpoint.body is not None:
        answers.setdefault(400, ("The body is not JSON, or not what is described here", ErrorResponse))
    answers[401] = ("There is no token, or it is not valid", ErrorResponse)
    answers[503] = ("Something that it needs is away; ask again after `Retry-After` seconds", ErrorResponse)
    return dict(sorted(answers.items()))


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
