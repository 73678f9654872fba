"""Tables of a batch into Parquet files: one open file per table, a new one when its schema changes or it is large."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from carrel.ingest.commit import FileWriter, Storage
from carrel.ingest.engine.values import Part
from carrel.ingest.tables import DatasetSchema, Flat, TableSchema
from carrel.telemetry import faults


@dataclass(slots=True)
class _Open:
    dataset: str
    schema: bytes
    writer: FileWriter
    records: set[str] = field(default_factory=set)


class Writers:
    """The open files of one batch (or of one streamed file, which may be abandoned)."""

    def __init__(self, storage: Storage, run_id: str, name: str, file_bytes: int):
        self.storage = storage
        self.run_id = run_id
        self.name = name
        self.file_bytes = file_bytes
        self._open: dict[str, _Open] = {}
        self._parts: list[Part] = []
        self._schemas: list[DatasetSchema] = []

    def write(self, flat: Flat) -> None:
        """Add the tables of one `finish`."""
        self._schemas.append(flat.schema)
        for name, rows in flat.tables.items():
            if rows.num_rows:
                self._write(flat.schema.dataset, flat.schema.table(name), rows)

    def _write(self, dataset: str, about: TableSchema, rows: pa.Table) -> None:
        schema = about.to_bytes()
        mine = self._open.get(about.name)
        if mine and (mine.schema != schema or mine.writer.size > self.file_bytes):
            self._close(about.name)
            mine = None
        if mine is None:
            writer = FileWriter(self.storage, self.run_id, about.name, self.name, about.to_arrow())
            mine = self._open[about.name] = _Open(dataset, schema, writer)
        mine.writer.write(rows)
        mine.records |= set(rows.column("recordid").unique().to_pylist())

    def _close(self, table: str) -> None:
        done = self._open.pop(table)
        file = done.writer.close()
        self._parts.append(Part(done.dataset, table, file, done.schema, frozenset(done.records)))
        faults.point("ingest.part_written")

    def close(self) -> tuple[list[Part], list[DatasetSchema]]:
        """Every file that was written, and every schema that was found."""
        for table in sorted(self._open):
            self._close(table)
        return self._parts, list(_distinct(self._schemas))

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
