"""A folder of schemas, content-hashed, so that a run never needs the network.

    <folder>/index.json                {"version": 1, "archive_map": sha256 or null, "schemas": {uri: sha256}}
    <folder>/documents/<sha256>.json   the bytes exactly as they were found

A schema is known by its absolute `$id` and by every URL it was fetched from. Documents are written first and the index
last, by an atomic rename, so a store is never seen half changed; documents that nothing names any more do no harm.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from carrel.ingest.mapping.model import ArchiveMapSource
from carrel.ingest.schemas.archive_map import parse_archive_map
from carrel.ingest.schemas.fetcher import Fetcher, FetchFault
from carrel.ingest.schemas.incoming import (
    IncomingDocument,
    StoredDocument,
    StoreFault,
    document_of,
    files_under,
    read_document,
    split_shadowed,
)
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import direct_references
from carrel.ingest.uris import is_absolute, plain_uri
from carrel.telemetry import faults
from carrel.units.files import write_atomically
from carrel.units.locks import locked

MAX_DOCUMENTS = 2_000
ARCHIVE_MAP = "archive map"
_INSTEAD = (
    "Try again, name copies under archive_map.mirrors in the mapping file, or take files that you have by "
    "`carrel ingest schemas add`"
)


@dataclass(slots=True)
class _Index:
    archive_map: str | None = None
    schemas: dict[str, str] = field(default_factory=dict)


class SchemaStore:
    """The store in `folder`; made when first written to."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, paths: Iterable[Path], url: str | None = None) -> list[StoredDocument]:
        """Take files (or every *.json under folders). An archive map among them becomes the store's archive map.

        `url`: where the one file comes from, for a schema without an absolute `$id`. Raises StoreFault; then nothing
        was added.
        """
        files = [file for path in paths for file in files_under(path)]
        if url is not None and len(files) != 1:
            raise StoreFault(f"--url goes with one file, and there are {len(files)}")
        if url is not None and not is_absolute(url):
            raise StoreFault("--url must be a whole URL")
        documents = [read_document(file, url) for file in files]
        return self._write(*split_shadowed(documents))

    def pull(self, source: ArchiveMapSource, base: Path | None = None) -> list[StoredDocument]:
        """Fetch the archive map and every schema it names, `$ref`s followed; all or nothing. Raises StoreFault.

        `base`: the folder that relative paths of `source` are relative to.
        """
        fetcher = Fetcher(source.mirrors, base)
        try:
            documents = list(_pull(source, fetcher))
        except FetchFault as fault:
            raise StoreFault(f"{fault}. Nothing was taken. {_INSTEAD}") from None
        return self._write(documents, [])

    def library(self) -> Library:
        """What is in the store now (nothing, when the folder is not there). Raises StoreFault when it is damaged."""
        index = self._index()
        hashes = {*index.schemas.values(), *([index.archive_map] if index.archive_map else [])}
        texts = {sha: self._document(sha) for sha in sorted(hashes)}
        digest = hashlib.sha256(_dumps(index)).hexdigest()
        return Library(texts, dict(index.schemas), index.archive_map, digest)

    def _document(self, sha: str) -> bytes:
        try:
            data = self._path_of(sha).read_bytes()
        except OSError as error:
            raise StoreFault(f"the schema store lost {sha}.json ({error.strerror}): pull or add it again") from None
        if hashlib.sha256(data).hexdigest() != sha:
            raise StoreFault(f"{sha}.json in the schema store was changed: remove it, and pull or add it again")
        return data

    def _path_of(self, sha: str) -> Path:
        return self.folder / "documents" / f"{sha}.json"

    def _index(self) -> _Index:
        path = self.folder / "index.json"
        try:
            content = json.loads(path.read_bytes())
            if content["version"] != 1:
                raise StoreFault(f"{path} was written by a later version of Carrel")
            return _Index(content["archive_map"], dict(content["schemas"]))
        except FileNotFoundError:
            return _Index()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreFault(f"{path} cannot be read ({type(error).__name__}): remove it and pull again") from None

    def _write(self, documents: list[IncomingDocument], shadowed: list[StoredDocument]) -> list[StoredDocument]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock"):
            index = self._index()
            stored = list(_enter(documents, index))
            for document in documents:
                self._write_document(document)
            faults.point("schemas.documents")
            write_atomically(self.folder / "index.json", _dumps(index), synced="file", mode=0o644)
        return sorted([*stored, *shadowed], key=lambda document: (document.uri, document.change))

    def _write_document(self, document: IncomingDocument) -> None:
        path = self._path_of(document.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != document.data:
            write_atomically(path, document.data, synced="file", mode=0o644)


def _dumps(index: _Index) -> bytes:
    value = {"version": 1, "archive_map": index.archive_map, "schemas": index.schemas}
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _enter(documents: list[IncomingDocument], index: _Index) -> Iterator[StoredDocument]:
    """Enter the documents in the index, and say of each what that changed."""
    for document in documents:
        sha = document.sha256
        if not document.uris:
            yield StoredDocument(ARCHIVE_MAP, sha, _change(index.archive_map, sha))
            index.archive_map = sha
        for uri in document.uris:
            yield StoredDocument(uri, sha, _change(index.schemas.get(uri), sha))
            index.schemas[uri] = sha


def _change(before: str | None, now: str) -> str:
    return "added" if before is None else "unchanged" if before == now else "changed"


def _pull(source: ArchiveMapSource, fetcher: Fetcher) -> Iterator[IncomingDocument]:
    archive_map = document_of(fetcher.fetch(source.location), source.location, None) if source.location else None
    if archive_map is None or archive_map.uris:
        raise StoreFault(f"{source.location} is not an archive map")
    yield archive_map
    content = parse_archive_map(archive_map.value)
    waiting = sorted({plain_uri(file.jsonSchema) for _, file in content.all_files() if file.jsonSchema})
    seen: set[str] = set()
    while waiting:
        url = waiting.pop()
        if url in seen:
            continue
        seen.add(url)
        if len(seen) > MAX_DOCUMENTS:
            raise StoreFault(f"the archive map leads to more than {MAX_DOCUMENTS} schemas")
        schema = document_of(fetcher.fetch(url), url, url)
        yield schema
        waiting.extend(direct_references(schema.value, url))
