"""What the coordinator and the workers hand one another: small, frozen, picklable."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from carrel.ingest.schemas import Schemas
from carrel.ingest.sources import Source
from carrel.ingest.store import DataFile
from carrel.ingest.store.ledger import Line
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.tables import DatasetSchema
from carrel.ingest.values import ArchiveRef, Disposition

FAULTY = frozenset({Disposition.PARTIAL, Disposition.QUARANTINED, Disposition.UNREADABLE})
"""Dispositions of archives of which something is in quarantine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """How a run works. Sizes in bytes."""

    app_id: str | None = None
    """For records whose metadata names no app."""
    reject_records: bool = False
    """One bad file rejects its whole record (the contract's way); default: that file alone."""
    batch_bytes: int = 16_000_000
    """At most so many bytes of archives (unless one alone is larger) go to a worker at once."""
    batch_archives: int = 200
    """At most so many archives go to a worker at once."""
    stream_from: int = 32_000_000
    """A JSON file that unpacks to more than this is taken block by block."""
    flush_bytes: int = 24_000_000
    """A worker turns JSON into Parquet whenever it holds this much."""
    file_bytes: int = 256_000_000
    """A Parquet file that has grown beyond this is closed, and another begun."""
    raw_json: bool = False
    """Keep each file that is taken as raw JSON too. A warehouse that does so once does so in every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every batch of a run shares."""

    warehouse: str
    run_id: str
    source: Source
    schemas: Schemas
    options: IngestOptions
    catalog: Mapping[str, DatasetSchema]
    """dataset -> the schema that its tables have already."""
    ledger_version: int | None
    tombstones: frozenset[str]
    is_replay: bool = False
    """These archives are in the ledger and are taken anew: what it says of themselves does not count."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Archives for one worker."""

    number: int
    refs: tuple[ArchiveRef, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A file that a worker wrote. `schema`: `TableSchema.to_bytes()`; `records`: whose rows are in it."""

    dataset: str
    table: str
    file: DataFile
    schema: bytes
    records: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousRows:
    """What the ledger said of a record that is taken again: which runs wrote rows of it, and into which tables."""

    record_id: str
    runs: frozenset[str]
    tables: frozenset[str]
    has_faults: bool
    """It may have lines in quarantine."""
    raw_json: frozenset[str] = frozenset()
    """Keys of its raw JSON."""
    archives: frozenset[int] = frozenset()
    """Keys of the archives that the ledger says its rows come from."""
    is_lost: bool = False
    """A replay found that nothing of it can be taken any more: its rows go although none replace them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """Raw JSON of one file, as `name` in a pack; `archive`: (uri, etag); `key`: its place below `raw_json/`."""

    record_id: str
    archive: tuple[str, str]
    source_file: str
    pack: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An archive that could not be fetched or worked on, for no fault of its own; it is tried again in the next run."""

    ref: ArchiveRef
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a batch. `dropped`: (record, uri, etag) of archives whose rows, written already, must not stay."""

    parts: tuple[Part, ...] = ()
    schemas: tuple[DatasetSchema, ...] = ()
    lines: tuple[Line, ...] = ()
    quarantine: tuple[QuarantineLine, ...] = ()
    previous: tuple[PreviousRows, ...] = ()
    failures: tuple[Failure, ...] = ()
    dropped: frozenset[tuple[str, str, str]] = field(default_factory=frozenset)
    raw_files: tuple[RawFile, ...] = ()
    bytes_read: int = 0
    json_bytes: int = 0
