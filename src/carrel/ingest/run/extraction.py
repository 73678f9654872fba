"""Taking the files of archives: resolve, parse, check, flatten, write. Rejection is per file."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

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
from carrel.ingest.run.fetching import Arrival
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
    Policy,
    declared_kinds,
    flatten_stream,
    merge_declared,
)
from carrel.ingest.tables.names import RESERVED
from carrel.ingest.values import Disposition, Fault, Lineage, QuarantineEntry, Record, Resolution
from carrel.telemetry import faults
from carrel.units.limits import MAX_POINTER_CHARACTERS

_CHUNK = 1_000_000


@dataclass(slots=True)
class Files:
    """What became of the files of one archive."""

    arrival: Arrival
    unreadable: bool = False
    taken: int = 0
    skipped: list[str] = field(default_factory=list)
    held: list[QuarantineEntry] = field(default_factory=list)
    repeated: dict[str, str] = field(default_factory=dict)
    """Path of a file that has a key more than once in one object -> the first such place, as a JSON pointer."""
    rows: Counter[str] = field(default_factory=Counter)
    datasets: Counter[str] = field(default_factory=Counter)
    """How many files of it belong to each dataset, taken or not."""

    @property
    def disposition(self) -> Disposition:
        if self.unreadable:
            return Disposition.UNREADABLE
        if self.taken:
            return Disposition.PARTIAL if self.held else Disposition.INGESTED
        return Disposition.QUARANTINED if self.held else Disposition.EMPTY


class _Unsound(Exception):
    """A file does not keep to its schema."""

    def __init__(self, found: tuple[Fault, ...]):
        super().__init__()
        self.faults = found


class Taker:
    """Takes archives of one batch, one after the other; then `close`."""

    def __init__(self, context: Context, storage: WarehouseStorage, name: str):
        self.context = context
        self.storage = storage
        self.name = name
        self.resolver = context.schemas.resolver()
        self.checker = context.schemas.checker()
        self.writers = self._new_writers(name)
        self.flatteners: dict[str, Flattener] = {}
        self.files: dict[tuple[str, str], Files] = {}
        self.dropped: set[tuple[str, str, str]] = set()
        self.parts: list[Part] = []
        self.schemas: list[DatasetSchema] = []
        self.json_bytes = 0
        self.raw: tuple[RawFile, ...] = ()
        self.packer = Packer(storage, context.run_id, name) if context.options.raw_json else None
        self._pending = 0

    def take(self, arrival: Arrival) -> None:
        """Its files into tables, or into quarantine."""
        files = self.files[arrival.key] = Files(arrival)
        try:
            if arrival.record is None:
                raise _whole_archive(arrival.fault)
            with open_archive(arrival.data) as archive:
                self._archive(archive, arrival.record, files)
        except ArchiveRejected as rejected:
            files.unreadable = True
            files.held = [arrival.held(None, None, (rejected.fault,))]
        except MACHINERY:
            raise
        except Exception as error:  # before any file of it was looked at
            files.unreadable = True
            files.held = [arrival.held(None, None, (unforeseen(error),))]
        if files.held and self.context.options.reject_records:
            self._drop(files)

    def take_back(self, arrival: Arrival) -> None:
        """Forget all about an archive: it was not what it seemed."""
        if arrival.key in self.files:
            self._drop(self.files[arrival.key])

    def close(self) -> None:
        """Finish the tables; `parts`, `schemas`, `files` and `dropped` then say everything."""
        self._flush()
        self._keep(self.writers)
        self.raw = self.packer.close() if self.packer else ()

    def _archive(self, archive: Archive, record: Record, files: Files) -> None:
        for path, fault in sorted(archive.rejected.items()):
            files.held.append(files.arrival.held(path, None, (fault,)))
        files.skipped += archive.beside
        told = self_description(archive)
        resolved = {entry.path: self.resolver.resolve(record, entry.path, told) for entry in archive.entries}
        files.datasets = Counter(each.dataset for each in resolved.values() if each.dataset)
        for entry in archive.entries:
            resolution = resolved[entry.path]
            if resolution.fault:
                files.held.append(files.arrival.held(entry.path, resolution.schema_id, (resolution.fault,)))
            elif resolution.dataset is None:
                files.skipped.append(entry.path)
            else:
                self._file(archive, entry, resolution, files.arrival.lineage(record, entry.path, resolution.schema_id))

    def _file(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution, lineage: Lineage) -> None:
        files = self.files[lineage.archive_uri, lineage.archive_etag]
        try:
            if entry.size > self.context.options.stream_from and self._streams(archive, entry, resolution):
                self._streamed(archive, entry, resolution, lineage)
            else:
                self._whole(archive, entry, resolution, lineage)
        except _Unsound as unsound:
            self._hold(files, entry, resolution, unsound.faults)
        except FileRejected as rejected:
            self._hold(files, entry, resolution, (rejected.fault,))
        except MACHINERY:
            raise
        except Exception as error:
            self._hold(files, entry, resolution, (unforeseen(error),))
        else:
            files.taken += 1
            self.json_bytes += entry.size
        if self._pending > self.context.options.flush_bytes:
            self._flush()

    def _hold(self, files: Files, entry: ArchiveEntry, resolution: Resolution, found: tuple[Fault, ...]) -> None:
        files.held.append(files.arrival.held(entry.path, resolution.schema_id, found))
        files.repeated.pop(entry.path, None)
        if self.packer:
            self.packer.leave_out(files.arrival.key, entry.path)

    def _whole(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution, lineage: Lineage) -> None:
        data = archive.read(entry)
        value = parse(data)
        if repeated := repeated_key(data, value):
            self._note_repeated(lineage, repeated)
        del data
        self._check(resolution, lineage)(value)
        assert resolution.dataset
        if self.packer:
            self.packer.add(lineage, resolution.dataset, value, self._is_alone(lineage, resolution.dataset))
        # Last, because it cannot be taken back.
        self._flattener(resolution.dataset).add(lineage, _completed(value, resolution.dataset, lineage.record))
        self._pending += entry.size

    def _note_repeated(self, lineage: Lineage, place: tuple[str | int, ...]) -> None:
        files = self.files[lineage.archive_uri, lineage.archive_etag]
        files.repeated.setdefault(lineage.source_file, pointer_of(place)[:MAX_POINTER_CHARACTERS])

    def _streams(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution) -> bool:
        """A long top-level array whose elements can be checked block by block."""
        if resolution.schema_hash and resolution.schema_id and not self.checker.blockwise(resolution.schema_id):
            return False
        with archive.stream(entry) as stream:
            return stream.read(4_096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["

    def _streamed(self, archive: Archive, entry: ArchiveEntry, resolution: Resolution, lineage: Lineage) -> None:
        """Files of its own, so that a fault at its end can take back all of it."""
        assert resolution.dataset
        self._flush()
        writers = self._new_writers(f"{self.name}s{len(self.parts):04d}")
        rows: Counter[str] = Counter()
        try:
            with archive.stream(entry) as stream, self._packing(resolution.dataset, lineage) as pack:
                flattener = self._new_flattener(resolution.dataset)
                check = self._check(resolution, lineage, pack)
                repeats = partial(self._note_repeated, lineage)
                for flat in flatten_stream(flattener, lineage, _chunks(stream), check=check, repeats=repeats):
                    _refuse(flat)
                    rows.update({name: table.num_rows for name, table in flat.tables.items()})
                    writers.write(flat)
        except BaseException:
            writers.abandon()
            raise
        self._keep(writers)
        self.files[lineage.archive_uri, lineage.archive_etag].rows.update(rows)

    def _packing(self, dataset: str, lineage: Lineage) -> AbstractContextManager[Callable[[Any], None]]:
        """For the blocks of a long array, when they have been checked."""
        if self.packer is None:
            return nullcontext(lambda block: None)
        return self.packer.blocks(lineage, dataset, self._is_alone(lineage, dataset))

    def _is_alone(self, lineage: Lineage, dataset: str) -> bool:
        return self.files[lineage.archive_uri, lineage.archive_etag].datasets[dataset] == 1

    def _check(
        self, resolution: Resolution, lineage: Lineage, sound: Callable[[Any], None] = lambda value: None
    ) -> Callable[[Any], None]:
        """For a whole value, or for the blocks of a long array one after the other; then `sound` gets it."""
        seen = 0

        def check(value: Any) -> None:
            nonlocal seen
            found = self.checker.check(value, resolution, lineage.record, lineage.source_file, seen)
            if found:
                raise _Unsound(found)
            seen += len(value) if isinstance(value, list) else 0
            sound(value)

        return check

    def _flush(self) -> None:
        for flattener in self.flatteners.values():
            for flat in flattener.finish_all():
                self._count(flat)
                self.writers.write(flat)
        self._pending = 0
        faults.point("ingest.flushed")

    def _count(self, flat: FlatTables) -> None:
        """Rows of each archive; and take back files that only the types could refuse."""
        for rejection in flat.rejected:
            lineage = rejection.lineage
            files = self.files[lineage.archive_uri, lineage.archive_etag]
            files.taken -= 1
            files.repeated.pop(lineage.source_file, None)
            files.held.append(files.arrival.held(lineage.source_file, lineage.schema_id, (rejection.fault,)))
            if self.packer:
                self.packer.leave_out(files.arrival.key, lineage.source_file)
            if self.context.options.reject_records:
                self._drop(files)
        for table, archives in flat.rows.items():
            for archive, rows in archives.items():
                self.files[archive].rows[table] += rows

    def _drop(self, files: Files) -> None:
        """The whole record is rejected: rows that are written already must not be committed."""
        if files.taken and files.arrival.record:
            self.dropped.add((files.arrival.record.record_id, *files.arrival.key))
        if self.packer:
            self.packer.leave_out(files.arrival.key)
        files.taken = 0

    def _keep(self, writers: Writers) -> None:
        parts, schemas = writers.close()
        self.parts += parts
        self.schemas += schemas

    def _new_writers(self, name: str) -> Writers:
        def partition_by(dataset: str) -> tuple[str, ...]:
            return self.context.schemas.mapping.options(dataset).partition_by

        return Writers(self.storage, self.context.run_id, name, self.context.options.file_bytes, partition_by)

    def _flattener(self, dataset: str) -> Flattener:
        if dataset not in self.flatteners:
            self.flatteners[dataset] = self._new_flattener(dataset)
        return self.flatteners[dataset]

    def _new_flattener(self, dataset: str) -> Flattener:
        schemas = self.context.schemas
        options = schemas.mapping.options(dataset)
        return Flattener(
            dataset,
            declarations(schemas, dataset),
            Policy(options.policy),
            existing=self.context.known.get(dataset),
            max_columns=options.max_columns,
            max_tables=options.max_tables,
        )


def _whole_archive(fault: Fault | None) -> ArchiveRejected:
    assert fault
    return ArchiveRejected(fault.stage, fault.keyword, fault.message, fault.pointer)


def _refuse(flat: FlatTables) -> None:
    if flat.rejected:
        raise _Unsound((flat.rejected[0].fault,))


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def self_description(archive: Archive) -> Mapping[str, str]:
    """Which schema each file has, as metadata.json at the root of the zip says; nothing when it cannot be read."""
    if archive.metadata is None:
        return {}
    try:
        return described_schemas(parse_leniently(archive.read(archive.metadata)))
    except FileRejected:
        return {}  # metadata.json itself goes to quarantine when its turn comes


def _completed(value: Any, dataset: str, record: Record) -> Any:
    """An archive's metadata.json also carries the record's metadata, where it has no such key itself."""
    if not dataset.startswith("ArchiveMetadata_") or not isinstance(value, dict):
        return value
    return {**{key: text for key, text in record.metadata.items() if key not in RESERVED}, **value}


_declared: dict[tuple[str, str], Declared] = {}


def declarations(schemas: Schemas, dataset: str) -> Declared:
    """What all schemas of a dataset declare together; computed once per process."""
    key = schemas.library.digest, dataset
    if key not in _declared:
        _declared[key] = _declarations(schemas, dataset)
    return _declared[key]


def _declarations(schemas: Schemas, dataset: str) -> Declared:
    documents = schemas.library.registry()
    return merge_declared(
        *(declared_kinds(dataset, documents[uri], documents) for uri in schemas.resolver().schemas_of(dataset))
    )
