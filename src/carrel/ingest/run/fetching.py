"""Archives as they are fetched: their bytes, and whose they are."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from carrel.ingest.archives import (
    ArchiveRejected,
    FileRejected,
    id_in,
    metadata_in,
    open_archive,
    record_of,
    too_large,
)
from carrel.ingest.archives.faults import MACHINERY, unforeseen
from carrel.ingest.desktop import has_desktop_signature
from carrel.ingest.sources import OpenedArchive, Source
from carrel.ingest.store.ledger import Line, metadata_hash
from carrel.ingest.values import ArchiveRef, Disposition, Fault, LedgerEntry, Lineage, QuarantineEntry, Record
from carrel.units.limits import MAX_ARCHIVE_BYTES, MAX_METADATA_BYTES


@dataclass(slots=True, kw_only=True)
class FetchedArchive:
    """One archive. `fault`: why its record could not be read; `outcome`: decided without a look at its files."""

    ref: ArchiveRef
    data: bytes | Path
    line: Line
    record: Record | None = None
    fault: Fault | None = None
    outcome: Disposition | None = None
    opened: ExitStack = field(default_factory=ExitStack)
    """The source's context: ends when the archive is closed."""

    @property
    def key(self) -> tuple[str, str]:
        """(uri, etag): what tells archives apart."""
        return self.ref.uri, self.ref.etag

    def close(self) -> None:
        """Let its bytes go; a file of them is the source's to delete."""
        self.data = b""
        self.opened.close()

    def quarantine_entry(self, path: str | None, schema_id: str | None, faults: tuple[Fault, ...]) -> QuarantineEntry:
        """The entry for one of its files, or (None) for all of it."""
        return QuarantineEntry(
            record_id=self.line.entry.record_id,
            archive_uri=self.ref.uri,
            archive_etag=self.ref.etag,
            source_file=path,
            content_hash=self.line.entry.content_hash,
            schema_id=schema_id,
            faults=faults,
            record=self.record,
        )

    def lineage(self, record: Record, path: str, schema_id: str | None) -> Lineage:
        """Where rows of one of its files come from."""
        return Lineage(
            record=record,
            source_file=path,
            archive_uri=self.ref.uri,
            archive_etag=self.ref.etag,
            schema_id=schema_id,
            run_id=self.line.run_id,
        )


def fetch(source: Source, ref: ArchiveRef, app_id: str | None, run_id: str) -> FetchedArchive:
    """Open the archive. Raises what the source raises; that says nothing of the archive."""
    if (ref.size or 0) > MAX_ARCHIVE_BYTES:
        return _rejected_archive(ref, too_large(ref.size or 0).fault, run_id)
    opened = ExitStack()
    try:
        source_archive = opened.enter_context(source.open(ref))
    except ArchiveRejected as rejected:
        return _rejected_archive(ref, rejected.fault, run_id)
    try:
        return replace(_identify(ref, source_archive, app_id, run_id), opened=opened)
    except BaseException:
        opened.close()
        raise


def _identify(ref: ArchiveRef, source_archive: OpenedArchive, app_id: str | None, run_id: str) -> FetchedArchive:
    """Whose archive it is: from what the source knows, else from metadata.json inside."""
    record, fault, data = None, None, source_archive.data
    if has_desktop_signature(_read_first_bytes(data)):
        # What a desktop left beside archives: the ledger names it, and it is no fault.
        line = _anonymous_line(ref, sha256_of(data), run_id)
        return FetchedArchive(ref=ref, data=data, line=line, outcome=Disposition.EMPTY)
    metadata_beside = source_archive.metadata if source_archive.metadata is not None else ref.metadata
    metadata: Mapping[str, Any] = metadata_beside or {}
    try:
        metadata = metadata or _read_metadata_inside(data)
        record = record_of(metadata, app_id)
    except ArchiveRejected as rejected:
        fault = rejected.fault
    except MACHINERY:
        raise
    except Exception as error:
        fault = unforeseen(error)
    entry = LedgerEntry(
        record_id=record.record_id if record else id_in(metadata, "recordid"),
        archive_uri=ref.uri,
        archive_etag=ref.etag,
        content_hash=sha256_of(data),
        disposition=Disposition.EMPTY,
        exported_on=record.exported_on if record else None,
        healthcode=record.healthcode if record else id_in(metadata, "healthcode"),
    )
    line = Line(entry, metadata_hash({key.lower(): value for key, value in metadata.items()}), run_id)
    return FetchedArchive(ref=ref, data=data, line=line, record=record, fault=fault)


def _read_first_bytes(data: bytes | Path) -> bytes:
    if isinstance(data, bytes):
        return data[:8]
    with data.open("rb") as file:
        return file.read(8)


def _rejected_archive(ref: ArchiveRef, fault: Fault, run_id: str) -> FetchedArchive:
    """The source itself cannot make sense of it: of its metadata, say."""
    content_hash = hashlib.sha256(f"{ref.uri}\n{ref.etag}".encode()).hexdigest()
    return FetchedArchive(ref=ref, data=b"", line=_anonymous_line(ref, content_hash, run_id), fault=fault)


def _anonymous_line(ref: ArchiveRef, content_hash: str, run_id: str) -> Line:
    """The line of an archive that is of no record."""
    entry = LedgerEntry(
        record_id=None,
        archive_uri=ref.uri,
        archive_etag=ref.etag,
        content_hash=content_hash,
        disposition=Disposition.EMPTY,
        exported_on=None,
        healthcode=None,
    )
    return Line(entry, "", run_id)


def sha256_of(data: bytes | Path) -> str:
    """The hash of an archive's bytes, in hexadecimal."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_metadata_inside(data: bytes | Path) -> Mapping[str, Any]:
    """metadata.json of an archive that came without any."""
    with open_archive(data) as archive:
        if archive.metadata is None:
            raise ArchiveRejected("metadata", "required", "there is no metadata of the record, beside it or inside it")
        try:
            return metadata_in(archive.read(archive.metadata, MAX_METADATA_BYTES))
        except FileRejected as rejected:  # damaged, or too long
            raise ArchiveRejected("metadata", rejected.fault.keyword, rejected.fault.message) from None
