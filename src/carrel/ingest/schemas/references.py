"""Which other documents a schema refers to, found without compiling it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from carrel.ingest.json_pointers import follow, parts_of
from carrel.ingest.schemas.library import Library
from carrel.ingest.uris import fragment_of, is_absolute, plain_uri, resolve

_DATA = frozenset(("enum", "const", "examples", "default"))
"""Keywords whose values are data, not schemas: a `$ref` in them is none."""
_NAMED = frozenset(("properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"))
"""Keywords whose values hold schemas by names that are no keywords."""
_APPLIED = frozenset(
    (
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
        *("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"),
        *("additionalProperties", "unevaluatedProperties", "propertyNames", "contentSchema"),
    )
)
"""Keywords whose values are schemas, or lists of them."""
_META = ("http://json-schema.org/", "https://json-schema.org/")
"""Meta-schemas: the validator has them built in."""


def own_id(document: Any) -> str | None:
    """The `$id` at the root of the document, when there is one and it is a text."""
    identifier = document.get("$id") if isinstance(document, dict) else None
    return identifier if isinstance(identifier, str) else None


def base_of(document: Any, uri: str) -> str:
    """What relative `$ref`s of the document are relative to: its `$id` if absolute, else the URI it is known by."""
    identifier = own_id(document)
    return plain_uri(identifier) if identifier is not None and is_absolute(identifier) else uri


def without_relative_id(document: Any) -> Any:
    """A root `$id` that is no URL (`schemas/v0/...`, `sharedSchema`) is a name, not a place to resolve against."""
    if isinstance(document, dict) and "$id" in document and not is_absolute(document["$id"]):
        return {key: value for key, value in document.items() if key != "$id"}
    return document


def spell_out(schema: Any) -> Any:
    """The same schema with `properties: {}` wherever `additionalProperties: false` stands alone.

    Only so do errors of jsonschema-rs name the unexpected properties.
    """
    if isinstance(schema, list):
        return [spell_out(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    spelt: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            spelt[key] = {name: spell_out(subschema) for name, subschema in value.items()}
        else:
            spelt[key] = value if key in _DATA else spell_out(value)
    if spelt.get("additionalProperties") is False and "patternProperties" not in spelt:
        spelt.setdefault("properties", {})
    return spelt


def direct_references(document: Any, uri: str) -> list[str]:
    """URIs, without fragments, of the other documents that `$ref`s of this one name, sorted."""
    base = base_of(document, uri)
    walk = _Walk(without_relative_id(document))
    walk.schema(base)
    return sorted(target for target in walk.targets - walk.embedded - {uri, base} if not target.startswith(_META))


def all_references(document: Any, uri: str, library: Library) -> Iterator[str]:
    """URIs of every other document that the schema needs, however far away; those not in the library too."""
    visited = {uri}
    waiting = direct_references(document, uri)
    while waiting:
        reference = waiting.pop()
        if reference in visited:
            continue
        visited.add(reference)
        yield reference
        if reference in library:
            waiting.extend(direct_references(library.document(reference), reference))


@dataclass(slots=True)
class _Walk:
    """`embedded`: resources with a URI of their own inside the document."""

    document: Any
    targets: set[str] = field(default_factory=set)
    embedded: set[str] = field(default_factory=set)

    def schema(self, base: str) -> None:
        """Whatever is a schema: by the keyword that it stands under, or because a `$ref` points to it."""
        root = base
        waiting = [(self.document, base)]
        visited: set[tuple[int, str]] = set()
        while waiting:
            schema, base = waiting.pop()
            if isinstance(schema, list):
                waiting.extend((element, base) for element in schema)
            elif isinstance(schema, dict) and (id(schema), base) not in visited:
                visited.add((id(schema), base))
                base, targets = self._enter(schema, base, root)
                waiting.extend((subschema, base) for subschema in (*_subschemas(schema), *targets))

    def _enter(self, schema: dict[str, Any], base: str, root: str) -> tuple[str, list[Any]]:
        """The base inside, and what in the document itself the schema's `$ref` points to."""
        identifier, reference = schema.get("$id"), schema.get("$ref")
        if isinstance(identifier, str) and not identifier.startswith("#"):
            base = plain_uri(resolve(base, identifier))
            self.embedded.add(base)
        if not isinstance(reference, str):
            return base, []
        target = resolve(base, reference)
        self.targets.add(plain_uri(target))
        if plain_uri(target) != root or not fragment_of(target).startswith("/"):
            return base, []
        return base, [follow(self.document, parts_of(fragment_of(target)))]


def _subschemas(schema: dict[str, Any]) -> Iterator[Any]:
    """The schemas right inside. What stands under a keyword that nobody knows is none, whatever it looks like."""
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            yield from value.values()
        elif key in _APPLIED:
            yield value
