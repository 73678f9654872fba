"""Resolving references as RFC 3986 says, for every scheme; Python's urljoin knows a few, and no URN."""

import re
from typing import NamedTuple
from urllib.parse import unquote

_PARTS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
    r"(?:#(?P<fragment>.*))?",
    re.DOTALL,
)


class _Parts(NamedTuple):
    scheme: str | None
    authority: str | None
    path: str
    query: str | None
    fragment: str | None

    def __str__(self) -> str:
        scheme = "" if self.scheme is None else f"{self.scheme}:"
        authority = "" if self.authority is None else f"//{self.authority}"
        query = "" if self.query is None else f"?{self.query}"
        fragment = "" if self.fragment is None else f"#{self.fragment}"
        return f"{scheme}{authority}{self.path}{query}{fragment}"


def is_absolute(uri: object) -> bool:
    """Has the URI a scheme, so that it says where (or, a URN, what) it is?"""
    return isinstance(uri, str) and _parts_of(uri).scheme is not None


def plain_uri(uri: str) -> str:
    """A URI without its fragment: what a document is known by."""
    return uri.partition("#")[0]


def fragment_of(uri: str) -> str:
    """The fragment of a URI, decoded; empty when it has none."""
    return unquote(uri.partition("#")[2])


def resolve(base: str, reference: str) -> str:
    """What `reference` means where `base` is the base (RFC 3986, section 5.2); any text will do for either."""
    target, start = _parts_of(reference), _parts_of(base)
    if target.scheme is not None:
        path = _remove_dot_segments(target.path) if target.path.startswith("/") else target.path
        return str(target._replace(path=path))
    target = target._replace(scheme=start.scheme)
    if target.authority is not None:
        return str(target._replace(path=_remove_dot_segments(target.path)))
    target = target._replace(authority=start.authority)
    if not target.path:
        query = start.query if target.query is None else target.query
        return str(target._replace(path=start.path, query=query))
    if target.path.startswith("/"):
        return str(target._replace(path=_remove_dot_segments(target.path)))
    folder = "/" if start.authority is not None and not start.path else start.path[: start.path.rfind("/") + 1]
    return str(target._replace(path=_remove_dot_segments(folder + target.path)))


def _parts_of(uri: str) -> _Parts:
    match = _PARTS.fullmatch(uri)
    assert match, "every text has these parts"
    return _Parts(**match.groupdict())


def _remove_dot_segments(path: str) -> str:
    """The path without `.` and `..` (RFC 3986, section 5.2.4)."""
    segments = path.split("/")
    remaining: list[str] = []
    for segment in segments:
        if segment == "..":
            if remaining and remaining != [""]:
                remaining.pop()
        elif segment != ".":
            remaining.append(segment)
    if segments[-1] in (".", ".."):
        remaining.append("")
    return "/".join(remaining)
