"""Tables of a batch into Parquet files: one open file per table, a new one when its schema changes or it is large."""

from collections.abc import Callable, Iterator
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
Place = tuple[str, Values]
"""(table, values of the columns that it is partitioned by)"""


@dataclass(slots=True)
class _Open:
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
        self._open: dict[Place, _Open] = {}
        self._parts: list[Part] = []
        self._schemas: list[DatasetSchema] = []

    def write(self, flat: FlatTables) -> None:
        """Add the tables of one `finish`."""
        self._schemas.append(flat.schema)
        for name, rows in flat.tables.items():
            for values, part in partitions(rows, self.partition_by(flat.schema.dataset)):
                self._write(flat.schema.dataset, flat.schema.table(name), part, (name, values))

    def _write(self, dataset: str, about: TableSchema, rows: pa.Table, place: Place) -> None:
        schema = about.to_bytes()
        mine = self._open.get(place)
        if mine and (mine.schema != schema or mine.writer.size > self.file_bytes):
            self._close(place)
            mine = None
        if mine is None and len(self._open) >= (MAX_OPEN if place[1] else MAX_OPEN_TABLES):
            self._close_all()
        if mine is None:
            writer = FileWriter(self.storage, self.run_id, about.name, self.name, about.to_arrow())
            mine = self._open[place] = _Open(dataset, schema, writer)
        mine.writer.write(rows)
        mine.records |= set(rows.column("recordid").unique().to_pylist())

    def _close(self, place: Place) -> None:
        done = self._open.pop(place)
        file = done.writer.close()
        self._parts.append(Part(done.dataset, place[0], file, done.schema, frozenset(done.records)))
        faults.point("ingest.part_written")

    def close(self) -> tuple[list[Part], list[DatasetSchema]]:
        """Every file that was written, and every schema that was found."""
        self._close_all()
        return self._parts, list(_distinct(self._schemas))

    def _close_all(self) -> None:
        for place in sorted(self._open, key=str):
            self._close(place)

    def abandon(self) -> None:
        """Throw away everything."""
        for each in self._open.values():
            each.writer.abandon()
        for part in self._parts:
            self.storage.delete(f"tables/{part.table}/{part.file.path}")
        self._open, self._parts, self._schemas = {}, [], []


def _distinct(schemas: list[DatasetSchema]) -> Iterator[DatasetSchema]:
    """Each once; most batches find the same again and again."""
    seen: set[tuple[str, tuple[tuple[str, bytes], ...]]] = set()
    for each in schemas:
        face = each.dataset, tuple(sorted((name, table.to_bytes()) for name, table in each.tables.items()))
        if face not in seen:
            seen.add(face)
            yield each
