"""From errors of jsonschema-rs to faults: JSON pointer, keyword, and words that never quote the data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from carrel.ingest.archives.faults import pointer_of
from carrel.ingest.values import Fault

Parts = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken keyword. `value`: the offending value, for rules to look at; it never reaches a fault."""

    keyword: str
    parts: Parts
    value: Any
    message: str
    property: str | None = None
    expected: tuple[str, ...] = ()

    def fault(self) -> Fault:
        return Fault("schema", self.keyword, self.message, pointer_of(self.parts))


_KEYWORDS = {"falseSchema": "false", "OneOfMultipleValid": "oneOf"}

_MESSAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "type": lambda about: f"is not of type {' or '.join(about['types'])}",
    "enum": lambda about: f"is none of the {len(about['options'])} values that the schema lists",
    "const": lambda about: "is not the one value that the schema allows",
    "pattern": lambda about: f"does not match the pattern {about['pattern']}",
    "format": lambda about: f"is not a {about['format']}",
    "minimum": lambda about: f"is less than {about['limit']}",
    "maximum": lambda about: f"is more than {about['limit']}",
    "exclusiveMinimum": lambda about: f"is not more than {about['limit']}",
    "exclusiveMaximum": lambda about: f"is not less than {about['limit']}",
    "multipleOf": lambda about: f"is not a multiple of {about['multiple_of']}",
    "minItems": lambda about: f"has fewer than {about['limit']} elements",
    "maxItems": lambda about: f"has more than {about['limit']} elements",
    "additionalItems": lambda about: f"has more than {about['limit']} elements",
    "minLength": lambda about: f"is shorter than {about['limit']} characters",
    "maxLength": lambda about: f"is longer than {about['limit']} characters",
    "minProperties": lambda about: f"has fewer than {about['limit']} properties",
    "maxProperties": lambda about: f"has more than {about['limit']} properties",
    "uniqueItems": lambda about: "has an element twice",
    "contains": lambda about: "has no element like the one that the schema asks for",
    "anyOf": lambda about: "fits none of the schema's alternatives",
    "oneOf": lambda about: "does not fit exactly one of the schema's alternatives",
    "not": lambda about: "fits what the schema rules out",
    "false": lambda about: "is not allowed here",
    "propertyNames": lambda about: "has a property whose name is not allowed",
    "unevaluatedItems": lambda about: "has elements that the schema does not know",
}


def violations_of(error: Any, first: int = 0) -> Iterator[Violation]:
    """What one error of jsonschema-rs says; several when it is about several properties.

    `first`: index of the first element, when the value was a block of a top-level array.
    """
    keyword = _KEYWORDS.get(error.kind.name, error.kind.name)
    parts = tuple(error.instance_path)
    if first and parts and isinstance(parts[0], int):
        parts = (parts[0] + first, *parts[1:])
    if keyword == "required":
        yield _required(parts, error.kind.property)
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        value = error.instance
        yield from (_unexpected(keyword, parts, name, value) for name in error.kind.unexpected)
    else:
        yield _plain(keyword, parts, error)


def _required(parts: Parts, name: str) -> Violation:
    return Violation("required", parts, None, f"has no property {name}", property=name)


def _unexpected(keyword: str, parts: Parts, name: str, value: Any) -> Violation:
    inner = value.get(name) if isinstance(value, dict) else None
    return Violation(keyword, (*parts, name), inner, "is a property that the schema does not know", property=name)


def _plain(keyword: str, parts: Parts, error: Any) -> Violation:
    about = error.kind.as_dict()
    words = _MESSAGES.get(keyword)
    message = words(about) if words else f"breaks the schema's {keyword}"
    return Violation(keyword, parts, error.instance, message, expected=tuple(about.get("types", ())))
