"""What the app said of itself: client information in its two formats (ingest.md section 1.1)."""

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

Version = tuple[int, ...]

_LEGACY = re.compile(r"(\w+)=([^,\]]*)")
_COMPARISON = re.compile(r"^\s*(<=|>=|==|!=|<|>)\s*([0-9]+(?:\.[0-9]+)*)\s*$")
_OPERATORS: dict[str, Callable[[Version, Version], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Name of the operating system and version of the app; None where the app did not say."""

    os_name: str | None
    app_version: str | None


def client_of(client_info: str) -> ClientInfo:
    """The client that `clientinfo` (JSON, or `ClientInfo [key=value, ...]`) describes; never raises."""
    try:
        details = json.loads(client_info)
    except (ValueError, RecursionError):
        details = None
    if not isinstance(details, dict):
        details = {key: value.strip() for key, value in _LEGACY.findall(client_info)}
    return ClientInfo(_text(details.get("osName")), _text(details.get("appVersion")))


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "", "null") else None


def parse_comparisons(text: str) -> tuple[tuple[str, Version], ...]:
    """`>=60,<74` as (operator, version) pairs; ValueError when it is none."""
    comparisons = []
    for part in text.split(","):
        match = _COMPARISON.match(part)
        if not match:
            raise ValueError(f"{part.strip()!r} is no comparison with a version; write as >=60,<74")
        comparisons.append((match[1], _version(match[2])))
    return tuple(comparisons)


def _version(text: str) -> Version:
    """A version as its numbers, but for zeros at the end, which do not count: 1.0 is 1."""
    parts = [int(part) for part in text.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def satisfies(app_version: str | None, comparisons: str) -> bool:
    """Does the version keep to all comparisons? An unknown version, or one that is no number, keeps to none."""
    if app_version is None or not re.fullmatch(r"[0-9]+(\.[0-9]+)*", app_version):
        return False
    version = _version(app_version)
    return all(_OPERATORS[sign](version, bound) for sign, bound in parse_comparisons(comparisons))
