"""The OpenAPI document of the API as it is served, and the same as a page that needs no script."""

import re
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from ninja import NinjaAPI

from carrel.jobserver.api.answers import MEANINGS

GOOD = {200: "Done", 201: "Made, or taken"}
OPTIONAL = "AnybodyAuth"
OR_SESSION = {"PersonAuth", "CheckerAuth"}
"""Kinds of callers that may be sessions as well."""


def document(api: NinjaAPI) -> dict[str, Any]:
    """Return the document: django-ninja's, with what its answers mean and where nothing need be shown."""
    raw: dict[str, Any] = dict(api.get_openapi_schema(path_prefix="/api/v2/"))
    for operations in raw["paths"].values():
        for operation in operations.values():
            _mend(operation)
    return raw


def _mend(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        answer["description"] = MEANINGS.get(int(status)) or GOOD.get(int(status), "Done")
    first, _, _ = operation.get("description", "").partition("\n\n")
    operation["summary"] = re.split(r"(?<=[.:])\s", first)[0].rstrip(":.")
    for requirement in operation.get("security", []):
        if OPTIONAL in requirement:
            operation["security"] = [requirement, {}]
        elif OR_SESSION & requirement.keys():
            operation["security"] = [requirement, {"SessionAuth": []}]


def views(api: NinjaAPI) -> tuple[Any, Any]:
    """Return the views of the document and of its page."""
    whole = lru_cache(maxsize=1)(lambda: document(api))

    def as_json(_request: HttpRequest) -> HttpResponse:
        return JsonResponse(whole())

    def as_page(request: HttpRequest) -> HttpResponse:
        return render(request, "jobserver/api.html", {"groups": groups_of(whole()), "info": whole()["info"]})

    return as_json, as_page


def groups_of(whole: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the operations by their tag, each as the page shows it."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "words": operation.get("description", ""),
                    "auth": auth_words(whole, operation),
                    "parameters": operation.get("parameters", []),
                    "body": rows_of(whole, _schema_of(operation.get("requestBody", {}))),
                    "answers": [
                        (status, answer["description"], rows_of(whole, _schema_of(answer)))
                        for status, answer in operation["responses"].items()
                        if int(status) < 300
                    ],
                    "refusals": [
                        (status, answer["description"])
                        for status, answer in operation["responses"].items()
                        if int(status) >= 300
                    ],
                }
            )
    return list(groups.items())


def rows_of(whole: dict[str, Any], schema: dict[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, ...]]:
    """Return the keys of a schema, those inside lists and objects too: name, type, meaning."""
    schema = _resolved(whole, schema)
    rows: list[tuple[str, ...]] = []
    if depth > 4:
        return rows
    if schema.get("type") == "array":
        return rows_of(whole, schema.get("items", {}), f"{prefix}[].", depth + 1)
    required = set(schema.get("required", ()))
    for name, value in schema.get("properties", {}).items():
        inner = _resolved(whole, value)
        words = str(inner.get("type", "any")) + ("" if name in required else ", optional")
        rows.append((f"{prefix}{name}", words, value.get("description", inner.get("description", ""))))
        if inner.get("type") in ("array", "object"):
            rows += rows_of(
                whole, inner, f"{prefix}{name}." if inner["type"] == "object" else f"{prefix}{name}", depth + 1
            )
    return rows


def _resolved(whole: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and of several kinds take the first that says something."""
    if "anyOf" in schema:
        schema = {**schema, **next((kind for kind in schema["anyOf"] if kind.get("type") != "null"), {})}
    name = schema.get("$ref", "").rpartition("/")[2]
    return whole["components"]["schemas"].get(name, schema) if name else schema


def _schema_of(holder: dict[str, Any]) -> dict[str, Any]:
    contents = list(holder.get("content", {}).values())
    return contents[0].get("schema", {}) if contents else {}


def auth_words(whole: dict[str, Any], operation: dict[str, Any]) -> str:
    """Return what a caller has to show."""
    schemes = whole["components"].get("securitySchemes", {})
    names = [name for requirement in operation.get("security", []) for name in requirement]
    words = " ".join(schemes[name]["description"] for name in names)
    return f"Optional. {words}" if {} in operation.get("security", []) else words or "Nothing."
