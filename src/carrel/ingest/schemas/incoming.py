"""Documents on their way into the store: what they are, and what they are to be known by."""

import hashlib
import json
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from carrel.ingest.schemas.archive_map import NotAnArchiveMap, parse_archive_map
from carrel.ingest.schemas.references import own_id
from carrel.ingest.uris import is_absolute, plain_uri


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
    location: str
    """Where it was found: a path or a URL."""
    uris: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def files_under(path: Path) -> list[Path]:
    """The file itself, or every *.json under the folder, in the order of their paths."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*.json") if file.is_file())
    return [path]


def read_document(path: Path, url: str | None) -> IncomingDocument:
    """The document in a file, as `document_of` says."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreFault(f"{path} cannot be read: {error.strerror}") from None
    return document_of(data, str(path), url)


def document_of(data: bytes, location: str, url: str | None) -> IncomingDocument:
    """The document with what it is to be known by. Raises StoreFault when it is no schema, or cannot be named."""
    value = _parse(data, location)
    if isinstance(value, dict) and isinstance(value.get("assessments"), list):
        try:
            parse_archive_map(value)
        except NotAnArchiveMap as error:
            raise StoreFault(f"{location}: {error}") from None
        return IncomingDocument(data, value, location)
    uris = [plain_uri(uri) for uri in (url, own_id(value)) if uri is not None and is_absolute(uri)]
    if not uris:
        raise StoreFault(f"{location} has no absolute $id: say where it comes from with --url")
    return IncomingDocument(data, value, location, tuple(dict.fromkeys(uris)))


def _parse(data: bytes, location: str) -> Any:
    try:
        value = json.loads(data)
    except json.JSONDecodeError as error:
        raise StoreFault(f"{location} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise StoreFault(f"{location} is not JSON") from None
    if not isinstance(value, (dict, bool)):
        raise StoreFault(f"{location} is not a JSON Schema: that is an object")
    return value


def split_shadowed(documents: list[IncomingDocument]) -> tuple[list[IncomingDocument], list[StoredDocument]]:
    """The documents to take, and those that others shadow. Of files that claim one `$id`, the one whose path ends most
    like it is taken: a copied file keeps its old one."""
    best: dict[tuple[str, ...], IncomingDocument] = {}
    for document in documents:
        rival = best.get(document.uris)
        if rival is not None and not document.uris and rival.sha256 != document.sha256:
            raise StoreFault(f"{rival.location} and {document.location} are both archive maps: add one")
        if rival is None or _likeness(document) > _likeness(rival):
            best[document.uris] = document
    hashes = {document.sha256 for document in best.values()}
    shadowed = [document for document in documents if document.sha256 not in hashes]
    reports = [StoredDocument(document.location, document.sha256, "shadowed") for document in shadowed]
    return list(best.values()), reports


def _likeness(document: IncomingDocument) -> int:
    """How many parts at the end of path and URI are the same."""
    path, uri = Path(document.location).parts, "".join(document.uris[-1:]).split("/")
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(reversed(path), reversed(uri), strict=False)))
