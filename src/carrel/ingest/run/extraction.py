"""The files of archives into tables: resolve, parse, check, flatten, write. Rejection is per file."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from carrel.ingest.archives import (
    Archive,
    ArchiveEntry,
    ArchiveRejected,
    FileRejected,
    open_archive,
    parse,
    parse_leniently,
    repeated_key,
)
from carrel.ingest.archives.faults import MACHINERY, unforeseen
from carrel.ingest.json_pointers import pointer_of
from carrel.ingest.run.fetching import FetchedArchive
from carrel.ingest.run.packing import Packer
from carrel.ingest.run.values import Context, Part, RawFile
from carrel.ingest.run.writing import Writers
from carrel.ingest.schemas import Schemas, described_schemas
from carrel.ingest.store import WarehouseStorage
from carrel.ingest.tables import (
    DatasetSchema,
    Declared,
    FlatTables,
    Flattener,
    declared_kinds,
    flatten_stream,
    merge_declared,
)
from carrel.ingest.tables.names import RESERVED
from carrel.ingest.values import Disposition, Fault, Lineage, QuarantineEntry, Record, Resolution
from carrel.telemetry import faults
from carrel.units.limits import MAX_POINTER_CHARACTERS

_CHUNK = 1_000_000
"""Bytes of a long file that are parsed at a time."""


@dataclass(slots=True, kw_only=True)
class FileOutcomes:
    """What became of the files of one archive."""

    archive: FetchedArchive
    unreadable: bool = False
    taken: int = 0
    skipped: list[str] = field(default_factory=list)
    quarantine: list[QuarantineEntry] = field(default_factory=list)
    repeated: dict[str, str] = field(default_factory=dict)
    """Path of a file that has a key more than once in one object -> the first such place, as a JSON pointer."""
    rows: Counter[str] = field(default_factory=Counter)
    datasets: Counter[str] = field(default_factory=Counter)
    """How many files of it belong to each dataset, taken or not."""

    @property
    def disposition(self) -> Disposition:
        """What the ledger says of the archive."""
        if self.unreadable:
            return Disposition.UNREADABLE
        if self.taken:
            return Disposition.PARTIAL if self.quarantine else Disposition.INGESTED
        return Disposition.QUARANTINED if self.quarantine else Disposition.EMPTY


class _FileInvalid(Exception):
    """A file does not keep to its schema."""

    def __init__(self, faults: tuple[Fault, ...]):
        super().__init__()
        self.faults = faults


class Extractor:
    """Brings archives of one batch into tables, one after the other; then `close`."""

    def __init__(self, context: Context, storage: WarehouseStorage, name: str):
        self.context = context
        self.storage = storage
        self.name = name
        self.resolver = context.schemas.resolver()
        self.checker = context.schemas.checker()
        self.writers = self._new_writers(name)
        self.flatteners: dict[str, Flattener] = {}
        self.files: dict[tuple[str, str], FileOutcomes] = {}
        self.dropped: set[tuple[str, str, str]] = set()
        self.parts: list[Part] = []
        self.schemas: list[DatasetSchema] = []
        self.json_bytes = 0
        self.raw_files: tuple[RawFile, ...] = ()
        self.packer = Packer(storage, context.run_id, name) if context.options.raw_json else None
        self._pending = 0

    def extract(self, archive: FetchedArchive) -> None:
        """Bring its files into tables, or into quarantine."""
        files = self.files[archive.key] = FileOutcomes(archive=archive)
        try:
            if archive.record is None:
                fault = archive.fault
                assert fault
                raise ArchiveRejected(fault.stage, fault.keyword, fault.message, fault.pointer)
            with open_archive(archive.data) as opened:
                self._extract_entries(opened, archive.record, files)
        except ArchiveRejected as rejected:
            files.unreadable = True
            files.quarantine = [archive.quarantine_entry(None, None, (rejected.fault,))]
        except MACHINERY:
            raise
        except Exception as error:  # before any file of it was looked at
            files.unreadable = True
            files.quarantine = [archive.quarantine_entry(None, None, (unforeseen(error),))]
        if files.quarantine and self.context.options.reject_records:
            self._drop(files)

    def discard(self, archive: FetchedArchive) -> None:
        """Forget all about an archive: it was not what it seemed."""
        if archive.key in self.files:
            self._drop(self.files[archive.key])

    def close(self) -> None:
        """Finish the tables; `parts`, `schemas`, `files` and `dropped` then say everything."""
        self._flush()
        self._close_writers(self.writers)
        self.raw_files = self.packer.close() if self.packer else ()

    def _extract_entries(self, archive: Archive, record: Record, files: FileOutcomes) -> None:
        for path, fault in sorted(archive.rejected.items()):
            files.quarantine.append(files.archive.quarantine_entry(path, None, (fault,)))
        files.skipped += archive.beside
        schema_urls = read_self_description(archive)
        resolutions = {entry.path: self.resolver.resolve(record, entry.path, schema_urls) for entry in archive.entries}
        files.datasets = Counter(resolution.dataset for resolution in resolutions.values() if resolution.dataset)
        for entry in archive.entries:
            resolution = resolutions[entry.path]
            if resolution.fault:
                fault = resolution.fault
                files.quarantine.append(files.archive.quarantine_entry(entry.path, resolution.schema_id, (fault,)))
            elif resolution.dataset is None:
                files.skipped.append(entry.path)
            else:
                lineage = files.archive.lineage(record, entry.path, resolution.schema_id)
                self._extract_file(archive, entry, resolution, lineage)

    def _extract_file(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution, lineage: Lineage) -> None:
        files = self.files[lineage.archive_uri, lineage.archive_etag]
        try:
            if entry.size > self.context.options.stream_from and self._can_stream(archive, entry, resolution):
                self._extract_stream(archive, entry, resolution, lineage)
            else:
                self._extract_whole(archive, entry, resolution, lineage)
        except _FileInvalid as invalid:
            self._reject(files, entry, resolution, invalid.faults)
        except FileRejected as rejected:
            self._reject(files, entry, resolution, (rejected.fault,))
        except MACHINERY:
            raise
        except Exception as error:
            self._reject(files, entry, resolution, (unforeseen(error),))
        else:
            files.taken += 1
            self.json_bytes += entry.size
        if self._pending > self.context.options.flush_bytes:
            self._flush()

    def _reject(
        self, files: FileOutcomes, entry: ArchiveEntry, resolution: Resolution, file_faults: tuple[Fault, ...]
    ) -> None:
        files.quarantine.append(files.archive.quarantine_entry(entry.path, resolution.schema_id, file_faults))
        files.repeated.pop(entry.path, None)
        if self.packer:
            self.packer.leave_out(files.archive.key, entry.path)

    def _extract_whole(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution, lineage: Lineage) -> None:
        data = archive.read(entry)
        value = parse(data)
        if repeated := repeated_key(data, value):
            self._note_repeated(lineage, repeated)
        del data
        self._check(resolution, lineage)(value)
        assert resolution.dataset
        if self.packer:
            self.packer.add(lineage, resolution.dataset, value, self._is_alone(lineage, resolution.dataset))
        if resolution.dataset not in self.flatteners:
            self.flatteners[resolution.dataset] = self._new_flattener(resolution.dataset)
        if resolution.dataset.startswith("ArchiveMetadata_") and isinstance(value, dict):
            # An archive's metadata.json also carries the record's metadata, where it has no such key itself.
            metadata = {key: text for key, text in lineage.record.metadata.items() if key not in RESERVED}
            value = {**metadata, **value}
        # Last, because it cannot be taken back.
        self.flatteners[resolution.dataset].add(lineage, value)
        self._pending += entry.size

    def _note_repeated(self, lineage: Lineage, path: tuple[str | int, ...]) -> None:
        files = self.files[lineage.archive_uri, lineage.archive_etag]
        files.repeated.setdefault(lineage.source_file, pointer_of(path)[:MAX_POINTER_CHARACTERS])

    def _can_stream(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution) -> bool:
        """A long top-level array whose elements can be checked block by block."""
        if resolution.schema_hash and resolution.schema_id and not self.checker.blockwise(resolution.schema_id):
            return False
        with archive.stream(entry) as stream:
            return stream.read(4_096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["

    def _extract_stream(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution, lineage: Lineage) -> None:
        """Files of its own, so that a fault at its end can take back all of it."""
        assert resolution.dataset
        self._flush()
        writers = self._new_writers(f"{self.name}s{len(self.parts):04d}")
        rows: Counter[str] = Counter()
        try:
            pack_blocks: AbstractContextManager[Callable[[Any], None]] = nullcontext(lambda block: None)
            if self.packer:
                is_alone = self._is_alone(lineage, resolution.dataset)
                pack_blocks = self.packer.blocks(lineage, resolution.dataset, is_alone)
            with archive.stream(entry) as stream, pack_blocks as pack:
                flattener = self._new_flattener(resolution.dataset)
                check = self._check(resolution, lineage, pack)
                repeats = partial(self._note_repeated, lineage)
                chunks = iter(partial(stream.read, _CHUNK), b"")
                for flat in flatten_stream(flattener, lineage, chunks, check=check, repeats=repeats):
                    if flat.rejected:
                        raise _FileInvalid((flat.rejected[0].fault,))
                    rows.update({name: table.num_rows for name, table in flat.tables.items()})
                    writers.write(flat)
        except BaseException:
            writers.abandon()
            raise
        self._close_writers(writers)
        self.files[lineage.archive_uri, lineage.archive_etag].rows.update(rows)

    def _is_alone(self, lineage: Lineage, dataset: str) -> bool:
        return self.files[lineage.archive_uri, lineage.archive_etag].datasets[dataset] == 1

    def _check(
        self, resolution: Resolution, lineage: Lineage, accept: Callable[[Any], None] = lambda value: None
    ) -> Callable[[Any], None]:
        """For a whole value, or for the blocks of a long array one after the other; then `accept` gets it."""
        checked_count = 0

        def check(value: Any) -> None:
            nonlocal checked_count
            value_faults = self.checker.check(value, resolution, lineage.record, lineage.source_file, checked_count)
            if value_faults:
                raise _FileInvalid(value_faults)
            checked_count += len(value) if isinstance(value, list) else 0
            accept(value)

        return check

    def _flush(self) -> None:
        for flattener in self.flatteners.values():
            for flat in flattener.finish_all():
                self._count_rows(flat)
                self.writers.write(flat)
        self._pending = 0
        faults.point("ingest.flushed")

    def _count_rows(self, flat: FlatTables) -> None:
        """Rows of each archive; and take back files that only the types could refuse."""
        for rejection in flat.rejected:
            lineage = rejection.lineage
            files = self.files[lineage.archive_uri, lineage.archive_etag]
            files.taken -= 1
            files.repeated.pop(lineage.source_file, None)
            rejected = files.archive.quarantine_entry(lineage.source_file, lineage.schema_id, (rejection.fault,))
            files.quarantine.append(rejected)
            if self.packer:
                self.packer.leave_out(files.archive.key, lineage.source_file)
            if self.context.options.reject_records:
                self._drop(files)
        for table, archives in flat.rows.items():
            for archive, rows in archives.items():
                self.files[archive].rows[table] += rows

    def _drop(self, files: FileOutcomes) -> None:
        """The whole record is rejected: rows that are written already must not be committed."""
        if files.taken and files.archive.record:
            self.dropped.add((files.archive.record.record_id, *files.archive.key))
        if self.packer:
            self.packer.leave_out(files.archive.key)
        files.taken = 0

    def _close_writers(self, writers: Writers) -> None:
        parts, schemas = writers.close()
        self.parts += parts
        self.schemas += schemas

    def _new_writers(self, name: str) -> Writers:
        def partition_by(dataset: str) -> tuple[str, ...]:
            return self.context.schemas.mapping.options(dataset).partition_by

        return Writers(self.storage, self.context.run_id, name, self.context.options.file_bytes, partition_by)

    def _new_flattener(self, dataset: str) -> Flattener:
        schemas = self.context.schemas
        options = schemas.mapping.options(dataset)
        return Flattener(
            dataset,
            declarations(schemas, dataset),
            options.policy,
            existing=self.context.catalog.get(dataset),
            max_columns=options.max_columns,
            max_tables=options.max_tables,
        )


def read_self_description(archive: Archive) -> Mapping[str, str]:
    """Which schema each file has, as metadata.json at the root of the zip says; nothing when it cannot be read."""
    if archive.metadata is None:
        return {}
    try:
        return described_schemas(parse_leniently(archive.read(archive.metadata)))
    except FileRejected:
        return {}  # metadata.json itself goes to quarantine when its turn comes


_declared: dict[tuple[str, str], Declared] = {}


def declarations(schemas: Schemas, dataset: str) -> Declared:
    """What all schemas of a dataset declare together; computed once per process."""
    key = schemas.library.digest, dataset
    if key not in _declared:
        documents = schemas.library.registry()
        uris = schemas.resolver().schemas_of(dataset)
        _declared[key] = merge_declared(*(declared_kinds(dataset, documents[uri], documents) for uri in uris))
    return _declared[key]
