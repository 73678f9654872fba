"""One Delta table: what is in it now, and one atomic commit per table and run."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from carrel.ingest.store.data_files import DataFile
from carrel.ingest.store.storage import WarehouseStorage
from carrel.telemetry import faults
from carrel.warehouse.layout import APPLICATION, run_of, table_key
from carrel.warehouse.views import PROPERTY as VIEW_PROPERTY

_CONFIGURATION: dict[str, str | None] = {"delta.checkpointInterval": "20"}


@dataclass(frozen=True, slots=True)
class TableCommit:
    """What one run does to one table, at once. `schema`: the table's Arrow schema, serialised.

    `replace`: all files go, and the table has `schema` from now on; else `schema` may only add columns.
    `moves`: the same rows in other files (readers of changes need not look). `partition_by`: of a table that this
    creates; one that is there keeps its own. `view`: the text of its property `carrel.bridge` from now on, "" for none;
    None leaves it as it is.
    """

    table: str
    schema: bytes
    add: tuple[DataFile, ...] = ()
    remove: tuple[str, ...] = ()
    replace: bool = False
    moves: bool = False
    partition_by: tuple[str, ...] = ()
    view: str | None = None


@dataclass(frozen=True, slots=True)
class ActiveFile:
    """A file of the table's current version. `partition`: its values of the partition columns, in their order."""

    path: str
    size: int
    rows: int
    partition: tuple[object, ...] = ()


def open_table(storage: WarehouseStorage, table: str, version: int | None = None) -> DeltaTable | None:
    """Open the table as it is now, or was at `version`; None when there is none."""
    uri = storage.uri(table_key(table))
    options = storage.delta_options()
    return DeltaTable(uri, version, options) if DeltaTable.is_deltatable(uri, options) else None


def active_files(table: DeltaTable) -> list[ActiveFile]:
    """The files of the table's version, in order of their names."""
    actions = pa.table(table.get_add_actions(flatten=False)).to_pylist()
    files = [
        ActiveFile(
            path=action["path"],
            size=action["size_bytes"],
            rows=action["num_records"] or 0,
            partition=tuple((action.get("partition") or {}).values()),
        )
        for action in actions
    ]
    return sorted(files, key=lambda file: file.path)


def commit(storage: WarehouseStorage, number: int, what: TableCommit) -> None:
    """Apply `what` as run `number`; nothing when the table has that run already, even if it got it just now.

    Of two who commit on the same version only one succeeds: on S3 each version is a conditional PUT, and the other
    finds the run's number in what was committed meanwhile. So does who did not hear that its own commit came through.
    """
    try:
        _commit(storage, number, what)
    except DeltaError:
        table = open_table(storage, what.table)
        if table is None or not _has(table, number):
            raise
    if what.view is not None:
        _set_view(storage, number, what.table, what.view)


def view_of(table: DeltaTable) -> str:
    """The text of its property `carrel.bridge`; "" for none."""
    return table.metadata().configuration.get(VIEW_PROPERTY) or ""


def _set_view(storage: WarehouseStorage, number: int, name: str, view: str) -> None:
    """After the rows, so that it names no column that is not there; unless a later run has been at the table.

    Of two who set it on the same version only one succeeds, as with rows.
    """
    table = _without_view(storage, number, name, view)
    if table is None:
        return
    faults.point("ingest.setting_view")
    try:
        table.alter.set_table_properties(
            {VIEW_PROPERTY: view}, raise_if_not_exists=False, commit_properties=_properties(number)
        )
    except DeltaError:
        if _without_view(storage, number, name, view) is not None:
            raise


def _without_view(storage: WarehouseStorage, number: int, name: str, view: str) -> DeltaTable | None:
    """The table, if run `number` was the last at it and has yet to give it this view."""
    table = open_table(storage, name)
    is_ours = table is not None and table.transaction_version(APPLICATION) == number
    return table if table is not None and is_ours and view_of(table) != view else None


def _has(table: DeltaTable, number: int) -> bool:
    return (table.transaction_version(APPLICATION) or 0) >= number


def _commit(storage: WarehouseStorage, number: int, what: TableCommit) -> None:
    schema = Schema.from_arrow(pa.ipc.read_schema(pa.py_buffer(what.schema)))
    table = open_table(storage, what.table)
    if table is None:
        if what.add or what.view is None:
            _create(storage, schema, what, number)
        return
    if _has(table, number):
        return
    by = tuple(table.metadata().partition_columns)
    if not what.replace:
        _add_columns(table, schema)
    sizes = {file.path: file.size for file in active_files(table)} if what.remove else {}
    now = int(time.time() * 1000)
    removes = [RemoveAction(path, not what.moves, now, size=sizes.get(path)) for path in what.remove]
    table.create_write_transaction(
        list(_adds(what, by)) if what.replace else [*removes, *_adds(what, by)],
        "overwrite" if what.replace else "append",
        schema if what.replace else table.schema(),
        partition_by=list(by) or None,
        commit_properties=_properties(number),
    )


def _create(storage: WarehouseStorage, schema: Schema, what: TableCommit, number: int) -> None:
    create_table_with_add_actions(
        storage.uri(table_key(what.table)),
        schema,
        list(_adds(what, what.partition_by)),
        mode="error",
        partition_by=list(what.partition_by) or None,
        configuration=_CONFIGURATION,
        storage_options=storage.delta_options(),
        commit_properties=_properties(number),
    )


def _properties(number: int) -> CommitProperties:
    return CommitProperties(app_transactions=[Transaction(APPLICATION, number)])


def _adds(what: TableCommit, by: Sequence[str]) -> Iterator[AddAction]:
    """The files hold the partition columns too, so that each can be read and rewritten for itself; and they all lie in
    the table's own folder, because a partition is what the log says, and folder names would have to be escaped."""
    now = int(time.time() * 1000)
    for file in what.add:
        partition = {name: file.partition[name] for name in by}
        yield AddAction(file.path, file.size, partition, now, not what.moves, file.stats)


def _add_columns(table: DeltaTable, schema: Schema) -> None:
    """New columns, as a commit of their own before the rows; without effect on who reads the old ones."""
    have = {field.name for field in table.schema().fields}
    missing = [field for field in schema.fields if field.name not in have]
    if missing:
        table.alter.add_columns(missing)
        faults.point("ingest.columns_added")


def vacuum(storage: WarehouseStorage, name: str, number: int, hours: int = 0) -> list[str]:
    """Delete the `old_files`, and give their paths."""
    paths = old_files(storage, name, number, hours)
    for path in paths:
        storage.delete(f"{table_key(name)}/{path}")
    return paths


def old_files(storage: WarehouseStorage, name: str, number: int, hours: int) -> list[str]:
    """Files that no version younger than `hours` names.

    Not those of runs after `number`: another coordinator, who took over while this one slept, has written them, and no
    version names them yet.
    """
    table = open_table(storage, name)
    if table is None:
        return []
    unnamed = table.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True)
    keys = set(storage.keys(f"{table_key(name)}/"))
    return [path for path in unnamed if f"{table_key(name)}/{path}" in keys and run_of(path) <= number]


def schema_bytes(schema: pa.Schema) -> bytes:
    """The schema as `TableCommit.schema` holds it."""
    return bytes(schema.serialize())
