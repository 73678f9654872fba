"""A schema with the rules of forgiveness written into it, so that forgiven files are checked at full speed.

The relaxed schema may be stricter than the rules are (then the errors are listed and looked at one by one), never
laxer: whatever it lets pass, the rules let pass. So rules are written only into places that every value must keep to:
through `properties`, `items`, `allOf` and `$ref`. All else refers to the original schema.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from carrel.ingest.json_pointers import follow, parts_of, pointer_of
from carrel.ingest.mapping.model import ANY, ForgivenessRule
from carrel.ingest.schemas.forgiveness import equal_as_json
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import base_of
from carrel.ingest.uris import fragment_of, plain_uri, resolve

MAX_NODES = 2_000
"""So many schemas are walked at most: recursive ones would never end."""
_SIMPLE = frozenset(
    (
        *("type", "enum", "const", "required", "pattern", "format", "multipleOf", "uniqueItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
        *("minItems", "maxItems", "minProperties", "maxProperties"),
    )
)
SPOKEN = frozenset(
    (
        *("$id", "$schema", "$comment", "title", "description", "examples", "default"),
        *("definitions", "$defs"),
    )
)
"""Keywords that assert nothing."""
_WALKED = frozenset(("properties", "items", "allOf", "additionalProperties", "patternProperties"))
MAX_PLACE = 8
"""Rules are written no deeper into the value."""
_ELEMENT = object()
"""Stands for any index of an array in the place of a value."""
ValuePath = tuple[Any, ...]


class Spot(NamedTuple):
    """Where a schema stands: in which document (by an address that the library knows), and where in that."""

    document: Any
    address: str
    inside: tuple[Any, ...] = ()

    @property
    def schema(self) -> Any:
        return follow(self.document, self.inside)

    @property
    def reference(self) -> dict[str, str]:
        """A schema that is just the original."""
        return {"$ref": f"{self.address}#{quote(pointer_of(self.inside))}"}

    def child(self, *parts: Any) -> "Spot":
        return self._replace(inside=(*self.inside, *parts))


def relax(document: Any, uri: str, rules: Sequence[ForgivenessRule], library: Library) -> Any:
    """The schema (to be compiled under another URI) with as many of the rules in it as can be."""
    usable = [rule for rule in rules if rule.pointer is None or "**" not in parts_of(rule.pointer)]
    relaxed = _Relaxer(usable, library, _draft(document)).relax(Spot(document, uri), ())
    return {**relaxed, "$schema": _draft(document)} if _draft(document) else relaxed


def _draft(document: Any) -> Any:
    return document.get("$schema") if isinstance(document, dict) else None


class _Relaxer:
    def __init__(self, rules: Sequence[ForgivenessRule], library: Library, draft: Any):
        self.rules = rules
        self.library = library
        self.draft = draft
        self.nodes = 0

    def relax(self, spot: Spot, path: ValuePath) -> dict[str, Any]:
        """The relaxed schema at a place of the value; the original where it cannot be walked."""
        self.nodes += 1
        schema = spot.schema
        if self.nodes > MAX_NODES or len(path) > MAX_PLACE or not isinstance(schema, dict):
            return spot.reference
        if "$ref" in schema:
            target = self._target(schema, spot)
            return spot.reference if target is None else self.relax(target, path)
        is_understood = not set(schema) - _SIMPLE - SPOKEN - _WALKED
        has_own_base = bool(spot.inside) and not str(schema.get("$id", "#")).startswith("#")
        return self._rewrite(schema, spot, path) if is_understood and not has_own_base else spot.reference

    def _target(self, schema: dict[str, Any], spot: Spot) -> Spot | None:
        """What a `$ref` that stands alone names, when its fragment is a JSON pointer or nothing."""
        reference = resolve(base_of(spot.document, spot.address), schema["$ref"])
        uri, fragment = plain_uri(reference), fragment_of(reference)
        if set(schema) - SPOKEN - {"$ref"} or (fragment and not fragment.startswith("/")):
            return None
        document, address = spot.document, spot.address
        if uri != base_of(document, address):
            if uri not in self.library:
                return None
            document, address = self.library.document(uri), uri
        target = Spot(document, address, parts_of(fragment))
        return target if target.schema is not None and _draft(document) == self.draft else None

    def _rewrite(self, schema: dict[str, Any], spot: Spot, path: ValuePath) -> dict[str, Any]:
        relaxed = {key: value for key, value in schema.items() if key in _SIMPLE}
        if "properties" in schema:
            relaxed["properties"] = {
                key: self.relax(spot.child("properties", key), (*path, key)) for key in schema["properties"]
            }
        if "allOf" in schema:
            numbers = range(len(schema["allOf"]))
            relaxed["allOf"] = [self.relax(spot.child("allOf", number), path) for number in numbers]
        if isinstance(schema.get("items"), list):
            relaxed["items"] = [spot.child("items", number).reference for number in range(len(schema["items"]))]
        elif "items" in schema:
            relaxed["items"] = self.relax(spot.child("items"), (*path, _ELEMENT))
        if "patternProperties" in schema:
            keys = schema["patternProperties"]
            relaxed["patternProperties"] = {key: spot.child("patternProperties", key).reference for key in keys}
        if "additionalProperties" in schema:
            allowed = schema["additionalProperties"]
            is_plain = isinstance(allowed, bool)
            relaxed["additionalProperties"] = allowed if is_plain else spot.child("additionalProperties").reference
        for rule in self.rules:
            _apply_rule(rule, relaxed, path)
        return relaxed


def _apply_rule(rule: ForgivenessRule, schema: dict[str, Any], path: ValuePath) -> None:
    """Write one rule into one schema, if it is about this place."""
    if rule.keyword == "additionalProperties":
        _allow_property(rule, schema, path)
    elif rule.pointer is None or _surely_fits(parts_of(rule.pointer), path):
        if rule.keyword == "required":
            _relax_required(rule, schema)
        elif rule.keyword == "enum" and rule.value is not ANY and isinstance(schema.get("enum"), list):
            if not any(equal_as_json(rule.value, value) for value in schema["enum"]):
                schema["enum"] = [*schema["enum"], rule.value]
        elif rule.keyword == "type" and rule.value is None and rule.expected and schema.get("type") == rule.expected:
            # Only null: of any other value, letting its type in would let in every value of that type.
            schema["type"] = [rule.expected, "null"]


def _surely_fits(pattern: tuple[str, ...], path: ValuePath) -> bool:
    pairs = zip(pattern, path, strict=False)
    return len(pattern) == len(path) and all(expected in ("*", actual) for expected, actual in pairs)


def _relax_required(rule: ForgivenessRule, schema: dict[str, Any]) -> None:
    if rule.value is not ANY or not isinstance(schema.get("required"), list):
        return
    schema["required"] = [name for name in schema["required"] if rule.property is not None and name != rule.property]
    if not schema["required"]:
        del schema["required"]  # draft 4 does not allow an empty one


def _allow_property(rule: ForgivenessRule, schema: dict[str, Any], path: ValuePath) -> None:
    """The error's pointer names the unexpected property itself."""
    name = rule.property
    if schema.get("additionalProperties") is not False or name is None or rule.value is not ANY:
        return
    if rule.pointer is None or _surely_fits(parts_of(rule.pointer), (*path, name)):
        schema["properties"] = {name: {}, **schema.get("properties", {})}
