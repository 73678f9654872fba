"""A warehouse in BridgeDownstream's layout: plain Parquet folders with its names and columns, and its raw JSON."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from carrel.ingest.operations.export_folders import ExportFolder, FolderInUse, NotExported, address_of
from carrel.ingest.operations.raw_keys import current_lines
from carrel.ingest.operations.withdrawal import resume
from carrel.ingest.store import (
    WarehouseStorage,
    active_files,
    catalog,
    coordinator_lock,
    open_data_file,
    open_storage,
    open_table,
)
from carrel.ingest.store.ledger import Ledger
from carrel.ingest.store.raw_files import RAW_JSON, is_kept
from carrel.ingest.tables import Bridge, CatalogEntry, TableSchema, conform, part_files
from carrel.ingest.tables.bridge import PARTITIONS, Dates
from carrel.ingest.tables.spilled_partitions import DEFAULT, Bounds

__all__ = ["Exported", "FolderInUse", "NoRawJson", "NoSuchDataset", "NotExported", "export_bridge"]


class NoSuchDataset(NotExported):
    """A dataset was asked for that is not in the catalog."""


class NoRawJson(NotExported):
    """The warehouse has no raw JSON, or not that which its ledger names."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported of a dataset, or (None) of the raw JSON. `without`: records that have no raw JSON."""

    dataset: str | None
    files: int
    rows: int = 0
    without: int = 0


def export_bridge(
    warehouse: str,
    folder: str,
    datasets: Collection[str] | None = None,
    dates: Dates = "plain",
    raw_json: bool = False,
    bounds: Bounds = DEFAULT,
) -> Iterator[Exported]:
    """Export to `folder` (or s3:// URL): `parquet/` and, if asked for, `raw_json/`. Says what it did as it goes on.

    The warehouse is held meanwhile, so that everything is of one moment and nobody withdraws in between: WarehouseBusy
    when somebody else is at it. Raises NotExported. Reads row group by row group.
    """
    storage = open_storage(warehouse)
    with coordinator_lock(storage):
        resume(storage)
        if raw_json and not is_kept(storage):
            raise NoRawJson(
                "this warehouse keeps no raw JSON: `carrel ingest replay SOURCE --all --raw-json` makes it, and every "
                "later run keeps it"
            )
        entries = catalog.load_all(storage, datasets)
        if unknown := sorted(set(datasets or ()) - set(entries)):
            raise NoSuchDataset(f"there is no dataset {', '.join(unknown)}; `carrel ingest tables` lists the tables")
        target = ExportFolder(address_of(folder), address_of(warehouse))
        target.begin()
        for dataset, entry in entries.items():
            yield _dataset(storage, entry, target, dates, bounds, dataset)
        if raw_json:
            yield _raw_json(storage, target, datasets)
        target.finish()


def _dataset(
    storage: WarehouseStorage, entry: CatalogEntry, target: ExportFolder, dates: Dates, bounds: Bounds, dataset: str
) -> Exported:
    bridge = Bridge(entry.schema, dates)
    files = rows = 0
    for native_name, bridge_name in bridge.names.items():
        source = _Source(storage, entry.schema.tables[native_name], bridge)
        for part in part_files(bridge_name, source.blocks, target.scratch, bounds):
            target.put(part.path, f"parquet/{part.key}")
            files, rows = files + 1, rows + part.rows
    return Exported(dataset, files, rows)


class _Source:
    """One native table, block by block, as the contract has it."""

    def __init__(self, storage: WarehouseStorage, schema: TableSchema, bridge: Bridge):
        self.storage = storage
        self.schema = schema
        self.bridge = bridge
        table = open_table(storage, schema.name)
        self.paths = [file.path for file in active_files(table)] if table else []

    def blocks(self, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """With all columns, or only those of the folders."""
        for path in self.paths:
            with open_data_file(self.storage, self.schema.name, path) as file:
                # A file has the table's columns, but for those that came after it.
                names = set(file.schema_arrow.names)
                columns_then = tuple(column for column in self.schema.columns if column.name in names)
                schema_then = replace(self.schema, columns=columns_then)
                for number in range(file.num_row_groups):
                    if columns is None:
                        block = conform(file.read_row_group(number), schema_then, self.schema)
                        yield self.bridge.table(self.schema.name, block)
                    else:
                        yield self.bridge.partitions(file.read_row_group(number, list(PARTITIONS)))


def _raw_json(storage: WarehouseStorage, target: ExportFolder, datasets: Collection[str] | None) -> Exported:
    """What the ledger says of the records whose rows are in the tables."""
    lines = current_lines(Ledger(storage).lines())
    folders = None if datasets is None else {f"dataset={dataset}" for dataset in datasets}
    keys = sorted(key for line in lines for key in line.raw if folders is None or key.partition("/")[0] in folders)
    for key in keys:
        _copy(storage, f"{RAW_JSON}/{key}", target)
    return Exported(None, len(keys), without=sum(not line.raw for line in lines))


def _copy(storage: WarehouseStorage, key: str, target: ExportFolder) -> None:
    local = target.scratch / "raw.ndjson"
    try:
        with storage.open(key) as stream, local.open("wb") as file:
            shutil.copyfileobj(stream, file, 1_000_000)
    except FileNotFoundError:
        raise NoRawJson(
            "raw JSON that the ledger names is not in the warehouse: somebody deleted it. `carrel ingest replay SOURCE "
            "--all --raw-json` makes it again"
        ) from None
    target.put(local, key)
