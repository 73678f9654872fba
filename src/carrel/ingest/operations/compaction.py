"""Many small files into few large ones, rows of a record together, so that readers and look-ups stay fast.

`compact` merges all that are small, when somebody says so. `tidy` merges some, when a run has made many: files of about
the same size, so that a row is written anew once for each size that its file grows through, and not with every run.
"""

import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
from deltalake.exceptions import DeltaError

from carrel.ingest.operations.ordering import Ordering
from carrel.ingest.operations.withdrawal import resume
from carrel.ingest.store import (
    LEDGER,
    QUARANTINE,
    ROW_GROUP,
    ActiveFile,
    DataFile,
    FileWriter,
    RunNumber,
    RunPlan,
    TableCommit,
    WarehouseLost,
    WarehouseStorage,
    active_files,
    begin,
    carry_out,
    coordinator_lock,
    last_run,
    old_files,
    open_storage,
    open_table,
    plain_schema,
    read_blocks,
    recover,
    schema_bytes,
    table_names,
    vacuum,
)
from carrel.ingest.store.ledger import ROW_GROUP as LEDGER_ROWS
from carrel.telemetry import faults

_ORDER = {LEDGER: ("record_key", "archive_key"), QUARANTINE: ("record_key", "id")}
_ROWS = ("recordid", "_source_file")
"""Rows of one file stay as they were in it: samples follow one another in time, which reads and packs better."""

_AT_ONCE = 8
"""Small files that come to so many large ones are put in order together."""

LOOK_EVERY = 4
"""Each so manieth run looks whether tables have many small files."""
MANY = 16
"""So many files of about one size are merged by the run that finds them."""
_SIZES = (64_000, 500_000, 4_000_000)
"""Bytes where one size ends and the next begins. A size is at most 8 times as large as the one before, so that `MANY`
files of one make a file of the next, however well they pack together."""
KEEP_HOURS = 30 * 24
"""Files that were merged stay so long for who reads an older version; its log is kept no longer either (Delta's
`logRetentionDuration`)."""

_NOT_NOW = (OSError, pa.ArrowException, DeltaError)
"""A full disk, a bucket that does not answer, a damaged file: nothing that the run before could help."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MergeLimits:
    """`target_bytes`: about how large files become, and files smaller than half of it are merged; `memory_bytes`:
    about how much of their rows is held at once."""

    target_bytes: int
    memory_bytes: int


_TIDY = MergeLimits(64_000_000, 128_000_000)


@dataclass(frozen=True, slots=True)
class Compacted:
    """table -> (files before, files after); and how many old files were deleted."""

    tables: dict[str, tuple[int, int]]
    deleted: int = 0


def compact(
    warehouse: str,
    target_bytes: int = 64_000_000,
    vacuum_hours: int | None = None,
    memory_bytes: int = 256_000_000,
) -> Compacted:
    """Merge small files: one commit per table, of the same rows. `vacuum_hours`: then delete files that only versions
    older than so many hours need (time travel to those ends). WarehouseBusy when somebody else is at it."""
    limits = MergeLimits(target_bytes, memory_bytes)
    storage = open_storage(warehouse)
    with coordinator_lock(storage):
        resume(storage)
        number = begin(storage)
        names = [*table_names(storage), QUARANTINE, LEDGER]
        groups = {name: _small_files(storage, name, limits) for name in names}
        merges = (_merge(storage, number, name, groups[name], limits) for name in names)
        commits = tuple(commit for commit in merges if commit)
        carry_out(storage, _plan(number, commits))
        deleted = 0
        if vacuum_hours is not None:
            deleted = sum(len(vacuum(storage, name, number.number, vacuum_hours)) for name in names)
        return Compacted({commit.table: (len(commit.remove), len(commit.add)) for commit in commits}, deleted)


def tidy(storage: WarehouseStorage) -> None:
    """After a run, under its lock: merge where there are many small files, and delete what was merged long ago.

    The run is done, whatever happens here: what is not finished is finished or undone by whoever writes next.
    """
    if last_run(storage) % LOOK_EVERY:
        return
    try:
        _tidy(storage)
    except WarehouseLost as lost:
        logger.warning("small files were not merged: %s", lost)
    except _NOT_NOW as error:
        logger.warning("small files were not merged, a later run tries again: %s", error)
        with suppress(*_NOT_NOW):
            recover(storage)


def _tidy(storage: WarehouseStorage) -> None:
    names = [*table_names(storage), QUARANTINE]
    groups = {name: crowded_groups(active_files(table)) for name in names if (table := open_table(storage, name))}
    if not any(groups.values()):
        return
    number = begin(storage)
    carry_out(storage, _plan(number, _sound_merges(storage, number, groups)))
    for name in [*(name for name, of_name in groups.items() if of_name), LEDGER]:
        vacuum(storage, name, number.number, KEEP_HOURS)


def crowded_groups(files: Iterable[ActiveFile]) -> list[list[ActiveFile]]:
    """Groups of a table's files to merge: of one partition and about one size, either many or enough for a large
    one."""
    groups: dict[tuple[tuple[object, ...], int], list[ActiveFile]] = {}
    for file in files:
        if file.size < _TIDY.target_bytes // 2:
            groups.setdefault((file.partition, bisect_right(_SIZES, file.size)), []).append(file)
    crowds = []
    for group in groups.values():
        are_large = len(group) > 1 and sum(file.size for file in group) > _TIDY.target_bytes
        if len(group) < MANY and not are_large:
            continue
        # As many as come to one large file, and at least two: what one run spends on it has a bound.
        size, count = 0, 0
        while count < len(group) and (count < 2 or size < _TIDY.target_bytes):
            size, count = size + group[count].size, count + 1
        crowds.append(group[:count])
    return crowds


def _sound_merges(
    storage: WarehouseStorage, number: RunNumber, groups: Mapping[str, list[list[ActiveFile]]]
) -> tuple[TableCommit, ...]:
    """A table with a damaged file stays as it is, and keeps no other from being merged."""
    commits = []
    for name, of_name in groups.items():
        try:
            commits.append(_merge(storage, number, name, of_name, _TIDY))
        except (pa.ArrowException, FileNotFoundError) as error:
            logger.warning("small files of %s were not merged: %s", name, error)
    return tuple(commit for commit in commits if commit)


def _plan(number: RunNumber, commits: tuple[TableCommit, ...]) -> RunPlan:
    return RunPlan(number=number.number, run_id=number.run_id, kind="compact", commits=commits)


def count_old_files(warehouse: str, hours: int) -> dict[str, int]:
    """table -> how many files only versions older than `hours` need. Changes nothing."""
    storage = open_storage(warehouse)
    last = last_run(storage)
    names = [*table_names(storage), QUARANTINE, LEDGER]
    counts = {name: len(old_files(storage, name, last, hours)) for name in names}
    return {name: count for name, count in counts.items() if count}


def delete_old_files(warehouse: str, hours: int) -> int:
    """Delete those files for good; how many. WarehouseBusy when somebody else is at it."""
    storage = open_storage(warehouse)
    with coordinator_lock(storage):
        resume(storage)
        last = last_run(storage)
        return sum(len(vacuum(storage, name, last, hours)) for name in [*table_names(storage), QUARANTINE, LEDGER])


def _small_files(storage: WarehouseStorage, name: str, limits: MergeLimits) -> list[list[ActiveFile]]:
    """Groups of a table's small files, each of one partition: a file holds rows of one, now and afterwards."""
    table = open_table(storage, name)
    partitions: dict[tuple[object, ...], list[ActiveFile]] = {}
    for file in active_files(table) if table else ():
        if file.size < limits.target_bytes // 2:
            partitions.setdefault(file.partition, []).append(file)
    return [group for files in partitions.values() for group in _groups(files, _AT_ONCE * limits.target_bytes)]


def _merge(
    storage: WarehouseStorage, number: RunNumber, name: str, groups: list[list[ActiveFile]], limits: MergeLimits
) -> TableCommit | None:
    """Merge the files of each group; None when there are none."""
    table = open_table(storage, name)
    if table is None or not groups:
        return None
    schema = plain_schema(pa.schema(table.schema().to_arrow()))
    add, remove = [], []
    for group in groups:
        add += _Merge(storage, number, name, schema, limits).files(group)
        faults.point("ingest.files_merged")
        remove += [file.path for file in group]
    return TableCommit(table=name, schema=schema_bytes(schema), add=tuple(add), remove=tuple(remove), moves=True)


class _Merge:
    """A group of files into one, or a few."""

    def __init__(self, storage: WarehouseStorage, number: RunNumber, name: str, schema: pa.Schema, limits: MergeLimits):
        self.storage = storage
        self.number = number
        self.name = name
        self.schema = schema
        self.limits = limits
        self.row_group = LEDGER_ROWS if name == LEDGER else ROW_GROUP

    def files(self, group: list[ActiveFile]) -> list[DataFile]:
        """What was made of them, in the table's folder."""
        finished: list[DataFile] = []
        writer = self._writer()
        try:
            for rows in self._row_groups(group):
                if writer.rows and writer.size > self.limits.target_bytes:
                    finished.append(writer.close())
                    writer = self._writer()
                writer.write(rows, self.row_group)
        except BaseException:
            writer.abandon()
            raise
        return [*finished, writer.close()]

    def _writer(self) -> FileWriter:
        return FileWriter(self.storage, self.number.run_id, self.name, "compacted", self.schema)

    def _row_groups(self, group: list[ActiveFile]) -> Iterator[pa.Table]:
        """The group's rows in order, so many at a time as make a row group, or less where they are large."""
        ordering = Ordering(
            self.storage.scratch(self.number.run_id), _ORDER.get(self.name, _ROWS), self.limits.memory_bytes
        )
        files = (read_blocks(self.storage, self.name, file.path) for file in group)
        pending: list[pa.Table] = []
        count = size = 0
        for rows in ordering.order(_complete(block, self.schema) for blocks in files for block in blocks):
            while rows.num_rows:
                part = rows.slice(0, self.row_group - count)
                rows = rows.slice(part.num_rows)
                pending.append(part)
                count, size = count + part.num_rows, size + part.nbytes
                if count == self.row_group or size > self.limits.memory_bytes // 4:
                    yield pa.concat_tables(pending)
                    pending, count, size = [], 0, 0
        if pending:
            yield pa.concat_tables(pending)


def _complete(block: pa.Table, schema: pa.Schema) -> pa.Table:
    """With columns that came after the file was written."""
    have = set(block.column_names)
    columns = [
        block.column(field.name).cast(field.type) if field.name in have else pa.nulls(block.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _groups(files: list[ActiveFile], most: int) -> Iterator[list[ActiveFile]]:
    """Groups of at least two files, each of about `most` bytes; what they unpack to must fit on the local disk."""
    group: list[ActiveFile] = []
    for number, file in enumerate(files, 1):
        group.append(file)
        is_full = sum(member.size for member in group) > most and len(group) > 1
        if is_full and number < len(files) - 1:
            yield group
            group = []
    if len(group) > 1:
        yield group
