"""The OpenAPI document as one page that needs no script and loads nothing from elsewhere."""

from collections.abc import Iterator
from typing import Any

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }
h2 { border-top: 1px solid #bbb; padding-top: 1rem; } code { background: #f2f2f2; padding: 0 .2em; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top;
padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
"""


def page(document: dict[str, Any]) -> str:
    """HTML of the whole document."""
    info = document["info"]
    sections = [
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    html = format_html(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>{}</title><style>{}</style><h1>{}</h1>'
        '<p>{} Base URL: <code>{}</code>. As data: <a href="../spec.json">spec.json</a>.</p><p>{}</p>{}</html>',
        info["title"],
        mark_safe(STYLE),  # noqa: S308  (a constant)
        info["title"],
        info["description"],
        document["servers"][0]["url"],
        document["components"]["securitySchemes"]["token"]["description"],
        _join(sections),
    )
    return str(html)


def _operation(path: str, method: str, operation: dict[str, Any]) -> SafeString:
    parts = [format_html("<h2><code>{} {}</code></h2><p>{}</p>", method.upper(), path, operation["summary"])]
    if body := operation.get("requestBody"):
        parts.append(format_html("<h3>Body</h3>{}", _table(_schema(body))))
    for status, answer in operation["responses"].items():
        parts.append(format_html("<h3>{}: {}</h3>{}", status, answer["description"], _table(_schema(answer))))
    return _join(parts)


def _schema(holder: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = holder["content"]["application/json"]["schema"]
    return schema


def _table(schema: dict[str, Any]) -> SafeString:
    rows = format_html_join("", "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>", _rows(schema))
    return format_html("<table><tr><th>Key</th><th>Type</th><th>Meaning</th></tr>{}</table>", rows)


def _rows(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """One row for each key, those inside lists and objects too (`jobs[].action`)."""
    required = set(schema.get("required", ()))
    for name, value in schema.get("properties", {}).items():
        optional = "" if name in required else " (optional)"
        yield f"{prefix}{name}", _type(value) + optional, value.get("description", "")
        yield from _rows(value, f"{prefix}{name}.")
        yield from _rows(value.get("items", {}), f"{prefix}{name}[].")


def _type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any")
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "items" in schema:
        words += f" of {_type(schema['items'])}"
    if "enum" in schema:
        words += ": " + ", ".join(str(option) for option in schema["enum"] if option is not None)
    if "pattern" in schema:
        words += f" matching {schema['pattern']}"
    return words


def _join(parts: list[SafeString]) -> SafeString:
    return mark_safe("".join(escape(part) for part in parts))  # noqa: S308  (each part is escaped, or safe already)
