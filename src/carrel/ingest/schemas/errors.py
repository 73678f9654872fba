"""From errors of jsonschema-rs to faults: JSON pointer, keyword, and words that never quote the data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from carrel.ingest.json_pointers import pointer_of
from carrel.ingest.values import Fault

Parts = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One keyword that a value breaks. `value`: that value, for rules to look at; it never reaches a fault."""

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
    "type": lambda details: f"is not of type {' or '.join(details['types'])}",
    "enum": lambda details: f"is none of the {len(details['options'])} values that the schema lists",
    "const": lambda details: "is not the one value that the schema allows",
    "pattern": lambda details: f"does not match the pattern {details['pattern']}",
    "format": lambda details: f"is not a {details['format']}",
    "minimum": lambda details: f"is less than {details['limit']}",
    "maximum": lambda details: f"is more than {details['limit']}",
    "exclusiveMinimum": lambda details: f"is not more than {details['limit']}",
    "exclusiveMaximum": lambda details: f"is not less than {details['limit']}",
    "multipleOf": lambda details: f"is not a multiple of {details['multiple_of']}",
    "minItems": lambda details: f"has fewer than {details['limit']} elements",
    "maxItems": lambda details: f"has more than {details['limit']} elements",
    "additionalItems": lambda details: f"has more than {details['limit']} elements",
    "minLength": lambda details: f"is shorter than {details['limit']} characters",
    "maxLength": lambda details: f"is longer than {details['limit']} characters",
    "minProperties": lambda details: f"has fewer than {details['limit']} properties",
    "maxProperties": lambda details: f"has more than {details['limit']} properties",
    "uniqueItems": lambda details: "has an element twice",
    "contains": lambda details: "has no element like the one that the schema asks for",
    "anyOf": lambda details: "fits none of the schema's alternatives",
    "oneOf": lambda details: "does not fit exactly one of the schema's alternatives",
    "not": lambda details: "fits what the schema rules out",
    "false": lambda details: "is not allowed here",
    "propertyNames": lambda details: "has a property whose name is not allowed",
    "unevaluatedItems": lambda details: "has elements that the schema does not know",
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
        name = error.kind.property
        yield Violation(keyword=keyword, parts=parts, value=None, message=f"has no property {name}", property=name)
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        message = "is a property that the schema does not know"
        members = error.instance if isinstance(error.instance, dict) else {}
        for name in error.kind.unexpected:
            yield Violation(
                keyword=keyword, parts=(*parts, name), value=members.get(name), message=message, property=name
            )
    else:
        details = error.kind.as_dict()
        message = _MESSAGES[keyword](details) if keyword in _MESSAGES else f"breaks the schema's {keyword}"
        yield Violation(
            keyword=keyword,
            parts=parts,
            value=error.instance,
            message=message,
            expected=tuple(details.get("types", ())),
        )
