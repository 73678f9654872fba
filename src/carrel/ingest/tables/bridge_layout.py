"""The contract's plain Parquet folders: `<table>/assessmentid=/year=/month=/day=/part-....parquet`."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from carrel.ingest.tables.bridge import PARTITIONS
from carrel.ingest.tables.raw_json import folder_value
from carrel.ingest.tables.spilled_partitions import DEFAULT, Blocks, Bounds, partition_blocks

_PARTITIONING = ds.partitioning(pa.schema([(name, pa.string()) for name in PARTITIONS]), flavor="hive")
_NAMES = uuid.UUID("6f1d6c4e-3c62-4a35-9d4b-8b9a4f0f6f1d")
"""Names of part files are derived from the table's, so that the same export gives the same names."""
_LONGEST = 200
"""Bytes of a folder's name."""
_NULL = "__HIVE_DEFAULT_PARTITION__"
FILE_BYTES = 256_000_000
"""A part that has grown beyond this is closed, and another begun."""


@dataclass(frozen=True, slots=True)
class PartFile:
    """A finished file. `key`: its place below `parquet/`; `path`: where it lies until somebody puts it there."""

    key: str
    path: Path
    rows: int


def part_files(
    table: str, blocks: Blocks, scratch: Path, bounds: Bounds = DEFAULT, file_bytes: int = FILE_BYTES
) -> Iterator[PartFile]:
    """One table of the layout, partition by partition, Snappy-compressed; `blocks` are those of `Bridge`."""
    name = uuid.uuid5(_NAMES, table)
    path = scratch / f"{name}.parquet"
    for values, chunks in partition_blocks(blocks, PARTITIONS, scratch, bounds):
        folders = [
            f"{column}={_NULL if value is None else folder_value(str(value))}"
            for column, value in zip(PARTITIONS, values, strict=True)
        ]
        for number, rows in enumerate(_write_files(chunks, path, file_bytes)):
            key = f"{'/'.join((_folder(table), *folders))}/part-{number:05d}-{name}.c000.snappy.parquet"
            yield PartFile(key, path, rows)


def _folder(table: str) -> str:
    """The name of a table's folder. Keys of the JSON are in the names of child tables, as they are; what no folder can
    be called is escaped."""
    is_name = "/" not in table and table.isprintable() and len(table.encode()) <= _LONGEST
    return table if is_name else folder_value(table)


def _write_files(chunks: Iterator[pa.Table], path: Path, file_bytes: int) -> Iterator[int]:
    """Write the rows of one partition to `path`, in as few files as their size allows, and tell the number of rows of
    each; it is to be taken away before the next."""
    chunk = next(chunks, None)
    while chunk is not None:
        schema = pa.schema([field for field in chunk.schema if field.name not in PARTITIONS])
        rows = 0
        with pq.ParquetWriter(path, schema, compression="snappy") as writer:
            while chunk is not None and not (rows and path.stat().st_size > file_bytes):
                writer.write_table(chunk.select(schema.names))
                rows += chunk.num_rows
                chunk = next(chunks, None)
        yield rows


def read_bridge(folder: str, table: str, filesystem: fs.FileSystem | None = None) -> pa.Table:
    """One table of the layout, partition columns as strings."""
    layout = ds.dataset(
        f"{folder}/{_folder(table)}",
        format="parquet",
        partitioning=_PARTITIONING,
        filesystem=filesystem or fs.LocalFileSystem(),
    )
    return layout.to_table()
