"""Values that the phases of ingest hand to one another. Frozen, picklable (they cross process borders), free of I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Disposition(StrEnum):
    """What became of one archive of one record in one run; the ledger keeps it."""

    INGESTED = "ingested"
    """All its mapped files are in the tables."""
    PARTIAL = "partial"
    """Some of its files are in the tables, some in quarantine."""
    QUARANTINED = "quarantined"
    """No file of it could be taken; each is in quarantine with its reason."""
    UNREADABLE = "unreadable"
    """The archive itself, or its metadata, could not be read; quarantine has the reason."""
    UNCHANGED = "unchanged"
    """The very same content was ingested before."""
    SUPERSEDED = "superseded"
    """A later export of the record is already in the tables."""
    WITHDRAWN = "withdrawn"
    """The participant or record was withdrawn; nothing of it is kept."""
    EMPTY = "empty"
    """Readable, but no file of it is mapped to a dataset."""


class Policy(StrEnum):
    """Where a change of kind goes (an integer column that meets text). Widening of numbers is always allowed but in
    `freeze`."""

    EVOLVE = "evolve"
    """The column becomes text."""
    VARIANT = "variant"
    """The column keeps its kind; other values go as JSON text to `<name>_variant`."""
    QUARANTINE = "quarantine"
    """The column keeps its kind; the file with other values is rejected."""
    FREEZE = "freeze"
    """As quarantine, and new columns, new tables and widening are rejected too, once the dataset is in the catalog."""


@dataclass(frozen=True, slots=True)
class ArchiveRef:
    """One archive as a source lists it. `metadata`: user metadata with lower-case keys, all strings, where known."""

    uri: str
    etag: str
    size: int | None = None
    metadata: Mapping[str, str] | None = None
    receipt: str | None = None
    """What the source needs to acknowledge it (a queue's receipt handle); opaque to everyone else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Who and what an archive is about, from its metadata. Times are timezone-aware UTC."""

    record_id: str
    app_id: str | None
    assessment_id: str | None
    assessment_revision: int | None
    uploaded_on: datetime
    exported_on: datetime | None
    healthcode: str | None
    client_info: str
    metadata: Mapping[str, str]
    """All metadata keys verbatim (lower-case keys, strings)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file (or an archive) was not taken. `pointer` is a JSON pointer; `message` never quotes the data."""

    stage: str
    """source, archive, metadata, json, schema, mapping or types."""
    keyword: str
    message: str
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineEntry:
    """One file that was not taken: a pointer to the original bytes and every reason found (capped)."""

    record_id: str | None
    archive_uri: str
    archive_etag: str
    source_file: str | None
    """Path of the entry inside the zip; None: the whole archive."""
    content_hash: str
    schema_id: str | None
    faults: tuple[Fault, ...]
    record: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One archive's line in the ledger."""

    record_id: str | None
    archive_uri: str
    archive_etag: str
    content_hash: str
    """sha256 of the archive's bytes."""
    disposition: Disposition
    exported_on: datetime | None
    healthcode: str | None
    rows: Mapping[str, int] = field(default_factory=dict)
    """table -> rows"""
    skipped: tuple[str, ...] = ()
    """Entries that no mapping wants (info.json, taskResult.json): named, so that nothing vanishes."""
    repeated_keys: tuple[str, ...] = ()
    """Files that were taken although an object has a key more than once: `path#pointer` of the first such key."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Which dataset one file of a record belongs to, and what it is checked against. `dataset` None: not mapped."""

    dataset: str | None
    """Identifier with version, as `MotionRecord_v1`."""
    schema_id: str | None
    schema_hash: str | None
    """sha256 of the stored schema; None: legacy mapping, not validated."""
    reason: str
    """How it was found (self reference, archive map, app default, legacy mapping) or why it was not."""
    fault: Fault | None = None
    """Set when the file should be taken and cannot be (its schema is not in the store): it goes to quarantine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a row comes from; on every row of every table."""

    record: Record
    source_file: str
    archive_uri: str
    archive_etag: str
    schema_id: str | None
    run_id: str
