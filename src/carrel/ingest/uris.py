"""Resolving references as RFC 3986 says, for every scheme; Python's urljoin knows a few, and no URN."""

import re
from typing import NamedTuple

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
    return isinstance(uri, str) and _parts(uri).scheme is not None


def resolve(base: str, reference: str) -> str:
    """What `reference` means where `base` is the base (RFC 3986, section 5.2); any text will do for either."""
    there, here = _parts(reference), _parts(base)
    if there.scheme is not None:
        return str(there._replace(path=_without_dots(there.path) if there.path.startswith("/") else there.path))
    there = there._replace(scheme=here.scheme)
    if there.authority is not None:
        return str(there._replace(path=_without_dots(there.path)))
    there = there._replace(authority=here.authority)
    if not there.path:
        query = here.query if there.query is None else there.query
        return str(there._replace(path=here.path, query=query))
    if there.path.startswith("/"):
        return str(there._replace(path=_without_dots(there.path)))
    folder = "/" if here.authority is not None and not here.path else here.path[: here.path.rfind("/") + 1]
    return str(there._replace(path=_without_dots(folder + there.path)))


def _parts(uri: str) -> _Parts:
    match = _PARTS.fullmatch(uri)
    assert match, "every text has these parts"
    return _Parts(**match.groupdict())


def _without_dots(path: str) -> str:
    """RFC 3986, section 5.2.4."""
    kept: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == "..":
            if kept and kept != [""]:
                kept.pop()
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)
