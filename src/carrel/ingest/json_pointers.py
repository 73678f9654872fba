"""JSON pointers (RFC 6901): places in a JSON document, written and followed."""

from collections.abc import Iterable, Mapping
from typing import Any


def pointer_of(parts: Iterable[str | int]) -> str:
    """The pointer to the place that these keys and positions lead to."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def parts_of(pointer: str) -> tuple[str, ...]:
    """The keys and positions of a pointer, as texts; none for the empty pointer, which is the whole document."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def follow(document: Any, parts: Iterable[str | int]) -> Any:
    """The value at this place of the document; None when there is none."""
    value = document
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and str(part).isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
