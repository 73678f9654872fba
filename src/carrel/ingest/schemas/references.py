"""Which other documents a schema refers to, found without compiling it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from carrel.ingest.schemas.library import Library, plain_uri

_DATA = frozenset(("enum", "const", "examples", "default"))
"""Keywords whose values are data, not schemas: a `$ref` in them is none."""
_NAMED = frozenset(("properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"))
"""Keywords whose values hold schemas by names that are no keywords."""
_META = ("http://json-schema.org/", "https://json-schema.org/")
"""Meta-schemas: the validator has them built in."""


def is_absolute(uri: Any) -> bool:
    """Has the URI a scheme, so that it says where it is?"""
    return isinstance(uri, str) and bool(urlsplit(uri).scheme)


def base_of(document: Any, uri: str) -> str:
    """What relative `$ref`s of the document are relative to: its `$id` if absolute, else the URI it is known by."""
    own = document.get("$id") if isinstance(document, dict) else None
    return plain_uri(own) if isinstance(own, str) and is_absolute(own) else uri


def without_relative_id(document: Any) -> Any:
    """A root `$id` that is no URL (`schemas/v0/...`, `sharedSchema`) is a name, not a place to resolve against."""
    if isinstance(document, dict) and "$id" in document and not is_absolute(document["$id"]):
        return {key: value for key, value in document.items() if key != "$id"}
    return document


def spelt_out(schema: Any) -> Any:
    """The same schema with `properties: {}` wherever `additionalProperties: false` stands alone.

    Only so do errors of jsonschema-rs name the unexpected properties.
    """
    if isinstance(schema, list):
        return [spelt_out(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _spelt_out_value(key, value) for key, value in schema.items()}
    if made.get("additionalProperties") is False and "patternProperties" not in made:
        made.setdefault("properties", {})
    return made


def _spelt_out_value(key: str, value: Any) -> Any:
    if key in _NAMED and isinstance(value, dict):
        return {name: spelt_out(each) for name, each in value.items()}
    return value if key in _DATA else spelt_out(value)


def direct_references(document: Any, uri: str) -> list[str]:
    """URIs, without fragments, of the other documents that `$ref`s of this one name, sorted."""
    walk = _Walk()
    base = base_of(document, uri)
    walk.schema(without_relative_id(document), base)
    return sorted(each for each in walk.targets - walk.embedded - {uri, base} if not each.startswith(_META))


def all_references(document: Any, uri: str, library: Library) -> Iterator[str]:
    """URIs of every other document that the schema needs, however far away; those not in the library too."""
    seen = {uri}
    waiting = direct_references(document, uri)
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        yield each
        if each in library:
            waiting.extend(direct_references(library.document(each), each))


@dataclass(slots=True)
class _Walk:
    """`embedded`: resources with a URI of their own inside the document."""

    targets: set[str] = field(default_factory=set)
    embedded: set[str] = field(default_factory=set)

    def schema(self, schema: Any, base: str) -> None:
        waiting = [(schema, base)]
        while waiting:
            each, base = waiting.pop()
            if isinstance(each, list):
                waiting.extend((inner, base) for inner in each)
            elif isinstance(each, dict):
                base = self._entered(each, base)
                waiting.extend((inner, base) for inner in _inner(each))

    def _entered(self, schema: dict[str, Any], base: str) -> str:
        own = schema.get("$id")
        if isinstance(own, str) and not own.startswith("#"):
            base = plain_uri(urljoin(base, own))
            self.embedded.add(base)
        if isinstance(schema.get("$ref"), str):
            self.targets.add(plain_uri(urljoin(base, schema["$ref"])))
        return base


def _inner(schema: dict[str, Any]) -> Iterator[Any]:
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            yield from value.values()
        elif key not in _DATA:
            yield value
