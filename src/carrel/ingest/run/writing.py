"""Tables of a batch into Parquet files: one open file per table, a new one when its schema changes or it is large."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from carrel.ingest.run.values import Part
from carrel.ingest.store import FileWriter, WarehouseStorage
from carrel.ingest.tables import DatasetSchema, FlatTables, TableSchema
from carrel.ingest.tables.partitions import Values, partitions
from carrel.telemetry import faults

MAX_OPEN = 100
"""Files of partitioned tables that are open at once; beyond that, all are closed and others begun."""
MAX_OPEN_TABLES = 300
"""The same of tables that are not: files of maps, before they are refused, would open more than a process may."""
FileKey = tuple[str, Values]
"""(table, values of the columns that it is partitioned by)"""


@dataclass(slots=True)
class _OpenFile:
    dataset: str
    schema: bytes
    writer: FileWriter
    records: set[str] = field(default_factory=set)


class Writers:
    """The open files of one batch (or of one streamed file, which may be abandoned)."""

    def __init__(
        self,
        storage: WarehouseStorage,
        run_id: str,
        name: str,
        file_bytes: int,
        partition_by: Callable[[str], tuple[str, ...]] = lambda dataset: (),
    ):
        self.storage = storage
        self.run_id = run_id
        self.name = name
        self.file_bytes = file_bytes
        self.partition_by = partition_by
        self._open: dict[FileKey, _OpenFile] = {}
        self._parts: list[Part] = []
        self._schemas: list[DatasetSchema] = []

    def write(self, flat: FlatTables) -> None:
        """Add the tables of one `finish`."""
        self._schemas.append(flat.schema)
        for name, rows in flat.tables.items():
            for values, part in partitions(rows, self.partition_by(flat.schema.dataset)):
                self._write(flat.schema.dataset, flat.schema.table(name), part, (name, values))

    def _write(self, dataset: str, table: TableSchema, rows: pa.Table, key: FileKey) -> None:
        schema = table.to_bytes()
        current = self._open.get(key)
        if current and (current.schema != schema or current.writer.size > self.file_bytes):
            self._close(key)
            current = None
        if current is None and len(self._open) >= (MAX_OPEN if key[1] else MAX_OPEN_TABLES):
            self._close_all()
        if current is None:
            writer = FileWriter(self.storage, self.run_id, table.name, self.name, table.to_arrow())
            current = self._open[key] = _OpenFile(dataset, schema, writer)
        current.writer.write(rows)
        current.records |= set(rows.column("recordid").unique().to_pylist())

    def _close(self, key: FileKey) -> None:
        closed = self._open.pop(key)
        file = closed.writer.close()
        self._parts.append(Part(closed.dataset, key[0], file, closed.schema, frozenset(closed.records)))
        faults.point("ingest.part_written")

    def close(self) -> tuple[list[Part], list[DatasetSchema]]:
        """Close all files: every file that was written, and every schema that was found, each once."""
        self._close_all()
        # Most batches find the same schemas again and again.
        distinct: dict[tuple[str, tuple[tuple[str, bytes], ...]], DatasetSchema] = {}
        for schema in self._schemas:
            tables = tuple(sorted((name, table.to_bytes()) for name, table in schema.tables.items()))
            distinct.setdefault((schema.dataset, tables), schema)
        return self._parts, list(distinct.values())

    def _close_all(self) -> None:
        for key in sorted(self._open, key=str):
            self._close(key)

    def abandon(self) -> None:
        """Delete everything that was written."""
        for file in self._open.values():
            file.writer.abandon()
        for part in self._parts:
            self.storage.delete(f"tables/{part.table}/{part.file.path}")
        self._open, self._parts, self._schemas = {}, [], []
