"""The contract's plain Parquet folders: `<table>/assessmentid=/year=/month=/day=/part-....parquet`."""

import uuid
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from carrel.ingest.tables.bridge import PARTITIONS

_PARTITIONING = ds.partitioning(pa.schema([(name, pa.string()) for name in PARTITIONS]), flavor="hive")
_NAMES = uuid.UUID("6f1d6c4e-3c62-4a35-9d4b-8b9a4f0f6f1d")
"""Names of part files are derived from the export and the table, so that the same export gives the same files."""


def write_bridge(
    folder: str, tables: Mapping[str, pa.Table], export_id: str, filesystem: fs.FileSystem | None = None
) -> int:
    """Write `bridge_tables` under `folder` (`.../parquet`), Snappy-compressed; how many files.

    Files of other exports stay; writing the same export again replaces its own.
    """
    count = 0
    for name, table in sorted(tables.items()):
        part = uuid.uuid5(_NAMES, f"{export_id}\0{name}")
        written: list[str] = []
        ds.write_dataset(
            table.sort_by([(key, "ascending") for key in PARTITIONS]),
            f"{folder}/{name}",
            format="parquet",
            file_options=ds.ParquetFileFormat().make_write_options(compression="snappy"),
            partitioning=_PARTITIONING,
            basename_template=f"part-{{i}}-{part}.c000.snappy.parquet",
            existing_data_behavior="overwrite_or_ignore",
            filesystem=filesystem or fs.LocalFileSystem(),
            file_visitor=lambda file, seen=written: seen.append(file.path),
            max_partitions=100_000,
            use_threads=False,
        )
        count += len(written)
    return count


def read_bridge(folder: str, table: str, filesystem: fs.FileSystem | None = None) -> pa.Table:
    """One table of the layout, partition columns as strings."""
    found = ds.dataset(
        f"{folder}/{table}",
        format="parquet",
        partitioning=_PARTITIONING,
        filesystem=filesystem or fs.LocalFileSystem(),
    )
    return found.to_table()
