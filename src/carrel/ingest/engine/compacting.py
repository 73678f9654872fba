"""Many small files into few large ones, rows of a record together, so that readers and look-ups stay fast."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from carrel.ingest.commit import (
    LEDGER,
    QUARANTINE,
    ActiveFile,
    Plan,
    RunNumber,
    Storage,
    TableCommit,
    active_files,
    apply,
    begin,
    blocks,
    coordinator_lock,
    decide,
    existing,
    finish,
    open_storage,
    schema_bytes,
    table_names,
    vacuum,
    write_file,
)
from carrel.ingest.engine.withdrawing import resume
from carrel.ingest.ledger import ROW_GROUP
from carrel.telemetry import faults

_ORDER = {LEDGER: ("record_key", "archive_key"), QUARANTINE: ("record_key", "id")}
_ROWS = ("recordid", "_source_file", "_row_key")


@dataclass(frozen=True, slots=True)
class Compacted:
    """table -> (files before, files after); and how many old files were deleted."""

    tables: dict[str, tuple[int, int]]
    deleted: int = 0


def compact(warehouse: str, target_bytes: int = 64_000_000, vacuum_hours: int | None = None) -> Compacted:
    """Merge files smaller than half of `target_bytes`. `vacuum_hours`: then delete files that only versions older than
    so many hours need (time travel to those ends). WarehouseBusy when somebody else is at it."""
    storage = open_storage(warehouse)
    with coordinator_lock(storage):
        resume(storage)
        number = begin(storage)
        names = [*table_names(storage), QUARANTINE, LEDGER]
        made = {name: list(_merged(storage, number, name, target_bytes)) for name in names}
        commits = tuple(commit for each in made.values() for commit in each)
        plan = Plan(number.number, number.run_id, "compact", commits)
        decide(storage, plan)
        apply(storage, plan)
        finish(storage, plan)
        hours = vacuum_hours
        deleted = sum(len(vacuum(storage, name, hours)) for name in names) if hours is not None else 0
        return Compacted({each.table: (len(each.remove), len(each.add)) for each in commits}, deleted)


def _merged(storage: Storage, number: RunNumber, name: str, target: int) -> Iterator[TableCommit]:
    table = existing(storage, name)
    if table is None:
        return
    schema = pa.schema(table.schema().to_arrow())
    add, remove = [], []
    small = [file for file in active_files(table) if file.size < target // 2]
    for group in (each for part in _by_partition(small) for each in _groups(part, target)):
        rows = pa.concat_tables(
            (block for file in group for block in blocks(storage, name, file.path)), promote_options="default"
        )
        rows = rows.sort_by([(key, "ascending") for key in _ORDER.get(name, _ROWS)]).combine_chunks()
        row_group = ROW_GROUP if name == LEDGER else 131_072
        add.append(write_file(storage, number.run_id, name, "compacted", rows, row_group))
        faults.point("ingest.files_merged")
        remove += [file.path for file in group]
    if remove:
        yield TableCommit(name, schema_bytes(schema), tuple(add), tuple(remove), moves=True)


def _by_partition(files: list[ActiveFile]) -> list[list[ActiveFile]]:
    """A file of a partitioned table holds rows of one partition, now and afterwards."""
    found: dict[tuple[object, ...], list[ActiveFile]] = {}
    for file in files:
        found.setdefault(file.partition, []).append(file)
    return list(found.values())


def _groups(files: list[ActiveFile], target: int) -> Iterator[list[ActiveFile]]:
    """Groups of at least two files, each of about `target` bytes."""
    group: list[ActiveFile] = []
    for file in files:
        if group and sum(each.size for each in group) + file.size > target:
            yield from [group] if len(group) > 1 else []
            group = []
        group.append(file)
    yield from [group] if len(group) > 1 else []
