"""A new schema, tried on a few real archives before anything depends on it (ingest.md section 2.2 as one command)."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from carrel.ingest.archives import ArchiveRejected, FileRejected, open_archive, parse
from carrel.ingest.run.extraction import read_self_description
from carrel.ingest.run.fetching import FetchedArchive, fetch
from carrel.ingest.schemas import Library, Schemas
from carrel.ingest.schemas.samples import SampleComparison, compare_on_sample, representative
from carrel.ingest.sources import Source
from carrel.ingest.uris import plain_uri
from carrel.ingest.values import Record

File = tuple[Record, str, Any]
"""(record, path in the zip, JSON value)"""


def with_document(library: Library, uri: str, data: bytes) -> Library:
    """Give a library that is the same but for the document under `uri`."""
    sha = hashlib.sha256(data).hexdigest()
    same = library.hash_of(uri)
    hashes = {
        name: sha if current == same or name == plain_uri(uri) else current for name, current in library.hashes.items()
    }
    return replace(library, texts={**library.texts, sha: data}, hashes=hashes, digest=f"{library.digest}+{sha}")


def try_schema(
    source: Source, schemas: Schemas, new: Library, uri: str, app_id: str | None
) -> Iterator[SampleComparison]:
    """What both schemas say of the files of representative records; those that have a file of schema `uri`."""
    with source as opened:
        records = []
        for ref in list(opened.list()):
            archive = fetch(opened, ref, app_id, "")
            archive.close()
            if archive.record:
                records.append((archive.record, ref))
        for _, ref in representative(records).values():
            archive = fetch(opened, ref, app_id, "")
            files = list(_files(archive, schemas, uri))
            archive.close()
            yield from compare_on_sample(files, uri, schemas.library, new, schemas.mapping)


def _files(archive: FetchedArchive, schemas: Schemas, uri: str) -> Iterator[File]:
    """Files of the archive that are checked against `uri`, and can be parsed."""
    record = archive.record
    if record is None:
        return
    try:
        with open_archive(archive.data) as opened:
            own_schemas = read_self_description(opened)
            for entry in opened.entries:
                resolution = schemas.resolver().resolve(record, entry.path, own_schemas)
                if resolution.schema_id and plain_uri(resolution.schema_id) == plain_uri(uri):
                    yield record, entry.path, parse(opened.read(entry))
    except (ArchiveRejected, FileRejected):
        return
