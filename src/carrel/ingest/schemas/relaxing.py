"""A schema with the rules of forgiveness written into it, so that forgiven files are checked at full speed.

The relaxed schema may be stricter than the rules are (then the errors are listed and looked at one by one), never
laxer: whatever it lets pass, the rules let pass. So rules are written only into places that every value must keep to:
through `properties`, `items`, `allOf` and `$ref`. All else refers to the original schema.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from carrel.ingest.archives.faults import pointer_of
from carrel.ingest.mapping.model import ANY, ForgivenessRule
from carrel.ingest.schemas.forgiveness import pattern_parts, same
from carrel.ingest.schemas.library import Library, plain_uri
from carrel.ingest.schemas.references import base_of
from carrel.ingest.uris import resolve

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
Place = tuple[Any, ...]


class Spot(NamedTuple):
    """Where a schema stands: in which document (by an address that the library knows), and where in that."""

    document: Any
    address: str
    inside: tuple[Any, ...] = ()

    @property
    def schema(self) -> Any:
        return _follow(self.document, self.inside)

    @property
    def reference(self) -> dict[str, str]:
        """A schema that is just the original."""
        return {"$ref": f"{self.address}#{quote(pointer_of(self.inside))}"}

    def child(self, *within: Any) -> "Spot":
        return self._replace(inside=(*self.inside, *within))


def relax(document: Any, uri: str, rules: Sequence[ForgivenessRule], library: Library) -> Any:
    """The schema (to be compiled under another URI) with as many of the rules in it as can be."""
    usable = [rule for rule in rules if rule.pointer is None or "**" not in pattern_parts(rule.pointer)]
    made = _Relaxer(usable, library, _draft(document)).at(Spot(document, uri), ())
    return {**made, "$schema": _draft(document)} if _draft(document) else made


def _draft(document: Any) -> Any:
    return document.get("$schema") if isinstance(document, dict) else None


class _Relaxer:
    def __init__(self, rules: Sequence[ForgivenessRule], library: Library, draft: Any):
        self.rules = rules
        self.library = library
        self.draft = draft
        self.nodes = 0

    def at(self, spot: Spot, place: Place) -> dict[str, Any]:
        """The relaxed schema at a place of the value."""
        self.nodes += 1
        schema = spot.schema
        if self.nodes > MAX_NODES or len(place) > MAX_PLACE or not isinstance(schema, dict):
            return spot.reference
        if "$ref" in schema:
            target = self._target(schema, spot)
            return spot.reference if target is None else self.at(target, place)
        return self._walked(schema, spot, place) if _can_be_walked(schema, spot) else spot.reference

    def _target(self, schema: dict[str, Any], spot: Spot) -> Spot | None:
        """What a `$ref` that stands alone names, when its fragment is a JSON pointer or nothing."""
        where = resolve(base_of(spot.document, spot.address), schema["$ref"])
        uri, fragment = plain_uri(where), unquote(where.partition("#")[2])
        if set(schema) - SPOKEN - {"$ref"} or (fragment and not fragment.startswith("/")):
            return None
        document, address = spot.document, spot.address
        if uri != base_of(document, address):
            if uri not in self.library:
                return None
            document, address = self.library.document(uri), uri
        target = Spot(document, address, pattern_parts(fragment))
        return target if target.schema is not None and _draft(document) == self.draft else None

    def _walked(self, schema: dict[str, Any], spot: Spot, place: Place) -> dict[str, Any]:
        made = {key: value for key, value in schema.items() if key in _SIMPLE}
        if "properties" in schema:
            made["properties"] = {
                key: self.at(spot.child("properties", key), (*place, key)) for key in schema["properties"]
            }
        if "allOf" in schema:
            made["allOf"] = [self.at(spot.child("allOf", number), place) for number in range(len(schema["allOf"]))]
        if "items" in schema:
            made["items"] = self._items(schema["items"], spot, place)
        if "patternProperties" in schema:
            keys = schema["patternProperties"]
            made["patternProperties"] = {key: spot.child("patternProperties", key).reference for key in keys}
        if "additionalProperties" in schema:
            made["additionalProperties"] = _additional(schema["additionalProperties"], spot)
        for rule in self.rules:
            _write(rule, made, place)
        return made

    def _items(self, items: Any, spot: Spot, place: Place) -> Any:
        if isinstance(items, list):
            return [spot.child("items", number).reference for number in range(len(items))]
        return self.at(spot.child("items"), (*place, _ELEMENT))


def _can_be_walked(schema: dict[str, Any], spot: Spot) -> bool:
    """Is every keyword one that is copied or walked, and has the schema no base of its own?"""
    if set(schema) - _SIMPLE - SPOKEN - _WALKED:
        return False
    return not spot.inside or str(schema.get("$id", "#")).startswith("#")


def _additional(value: Any, spot: Spot) -> Any:
    return value if isinstance(value, bool) else spot.child("additionalProperties").reference


def _follow(schema: Any, parts: Sequence[Any]) -> Any:
    for part in parts:
        if isinstance(schema, dict) and part in schema:
            schema = schema[part]
        elif isinstance(schema, list) and str(part).isdigit() and int(part) < len(schema):
            schema = schema[int(part)]
        else:
            return None
    return schema


def _write(rule: ForgivenessRule, made: dict[str, Any], place: Place) -> None:
    """Write one rule into one walked schema, if it is about this place."""
    if rule.keyword == "additionalProperties":
        _write_additional(rule, made, place)
    elif rule.pointer is None or _surely_fits(pattern_parts(rule.pointer), place):
        writer = _WRITERS.get(rule.keyword)
        if writer:
            writer(rule, made)


def _surely_fits(pattern: tuple[str, ...], place: Place) -> bool:
    pairs = zip(pattern, place, strict=False)
    return len(pattern) == len(place) and all(part == "*" or part == at for part, at in pairs)


def _write_required(rule: ForgivenessRule, made: dict[str, Any]) -> None:
    if rule.value is not ANY or not isinstance(made.get("required"), list):
        return
    made["required"] = [name for name in made["required"] if rule.property is not None and name != rule.property]
    if not made["required"]:
        del made["required"]  # draft 4 does not allow an empty one


def _write_enum(rule: ForgivenessRule, made: dict[str, Any]) -> None:
    if isinstance(made.get("enum"), list) and rule.value is not ANY:
        made["enum"] = [*made["enum"], *([] if any(same(rule.value, each) for each in made["enum"]) else [rule.value])]


def _write_type(rule: ForgivenessRule, made: dict[str, Any]) -> None:
    """Only null: of any other value, letting its type in would let in every value of that type."""
    if rule.value is None and made.get("type") == rule.expected and isinstance(rule.expected, str):
        made["type"] = [rule.expected, "null"]


def _write_additional(rule: ForgivenessRule, made: dict[str, Any], place: Place) -> None:
    """The error's pointer names the unexpected property itself."""
    name = rule.property
    if made.get("additionalProperties") is not False or name is None or rule.value is not ANY:
        return
    if rule.pointer is None or _surely_fits(pattern_parts(rule.pointer), (*place, name)):
        made["properties"] = {name: {}, **made.get("properties", {})}


_WRITERS = {"required": _write_required, "enum": _write_enum, "type": _write_type}
