"""Documents on their way into the store: what they are, and what they are to be known by."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carrel.ingest.schemas.archive_map import NotAnArchiveMap, parse_archive_map
from carrel.ingest.schemas.library import plain_uri
from carrel.ingest.uris import is_absolute


class StoreFault(Exception):
    """The store, or a document for it, cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One document that `add` or `pull` looked at. `change`: added, changed, unchanged, or shadowed (not taken, because
    another document of the same `$id` fits it better)."""

    uri: str
    sha256: str
    change: str


@dataclass(frozen=True, slots=True)
class IncomingDocument:
    """A document on its way in. `uris`: what it is to be known by; none for the archive map."""

    data: bytes
    value: Any
    place: str
    uris: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def files_under(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.rglob("*.json") if each.is_file())
    return [path]


def read_document(path: Path, url: str | None) -> IncomingDocument:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreFault(f"{path} cannot be read: {error.strerror}") from None
    return document_of(data, str(path), url)


def document_of(data: bytes, place: str, url: str | None) -> IncomingDocument:
    """The document with what it is to be known by. Raises StoreFault when it is no schema, or cannot be named."""
    value = _parsed(data, place)
    if _is_archive_map(value):
        return _archive_map(data, value, place)
    own = value.get("$id") if isinstance(value, dict) else None
    uris = [plain_uri(each) for each in (url, own) if isinstance(each, str) and is_absolute(each)]
    if not uris:
        raise StoreFault(f"{place} has no absolute $id: say where it comes from with --url")
    return IncomingDocument(data, value, place, tuple(dict.fromkeys(uris)))


def _parsed(data: bytes, place: str) -> Any:
    try:
        value = json.loads(data)
    except json.JSONDecodeError as error:
        raise StoreFault(f"{place} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise StoreFault(f"{place} is not JSON") from None
    if not isinstance(value, (dict, bool)):
        raise StoreFault(f"{place} is not a JSON Schema: that is an object")
    return value


def _is_archive_map(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("assessments"), list)


def _archive_map(data: bytes, value: Any, place: str) -> IncomingDocument:
    try:
        parse_archive_map(value)
    except NotAnArchiveMap as error:
        raise StoreFault(f"{place}: {error}") from None
    return IncomingDocument(data, value, place)


def without_shadowed(found: list[IncomingDocument]) -> tuple[list[IncomingDocument], list[StoredDocument]]:
    """Of files that claim one `$id`, the one whose path ends most like it is taken: a copied file keeps its old one."""
    best: dict[tuple[str, ...], IncomingDocument] = {}
    for each in found:
        rival = best.get(each.uris)
        if rival is not None and not each.uris and rival.sha256 != each.sha256:
            raise StoreFault(f"{rival.place} and {each.place} are both archive maps: add one")
        if rival is None or _likeness(each) > _likeness(rival):
            best[each.uris] = each
    taken = list(best.values())
    known = {each.sha256 for each in taken}
    others = [each for each in found if each.sha256 not in known]
    return taken, [StoredDocument(each.place, each.sha256, "shadowed") for each in others]


def _likeness(found: IncomingDocument) -> int:
    """How many parts at the end of path and URI are the same."""
    pairs = zip(reversed(Path(found.place).parts), reversed("".join(found.uris[-1:]).split("/")), strict=False)
    count = 0
    for part, wanted in pairs:
        if part != wanted:
            break
        count += 1
    return count
