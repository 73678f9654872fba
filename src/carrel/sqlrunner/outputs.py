"""Batches of rows into one file, whose suffix says the format. The same rows give the same bytes.

The file is made under another name beside its place and renamed at the end: whoever looks sees a whole file or none.
"""

import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from carrel.sqlrunner import csvtext
from carrel.sqlrunner.engines import Rows
from carrel.sqlrunner.errors import DatabaseFault, UnfitValue, UsageError
from carrel.telemetry.faults import point
from carrel.units import files

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".arrow")


def suffix_of(path: Path) -> str:
    """Return the one of SUFFIXES that the name has; `UsageError` for any other."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return suffix
    raise UsageError(f"{path} must end in one of {', '.join(SUFFIXES)}.")


class Writer(ABC):
    """A format: told the columns, then batches, then that there are no more."""

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class Sink(Protocol):
    """What the CSV writers ask of a file: a packed one is none of BinaryIO's."""

    def write(self, data: bytes, /) -> int: ...

    def close(self) -> None: ...


class CsvWriter(Writer):
    def __init__(self, stream: Sink, schema: pa.Schema) -> None:
        csvtext.check(schema)
        self.stream = stream
        stream.write(csvtext.header(schema.names))

    def write(self, batch: pa.RecordBatch) -> None:
        self.stream.write(csvtext.lines(batch))

    def close(self) -> None:
        """Leave the stream open: it is its owner's to close."""


class GzipCsvWriter(CsvWriter):
    def __init__(self, stream: BinaryIO, schema: pa.Schema) -> None:
        # Neither name nor time in the header, so that equal rows are equal bytes.
        packed = gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0)
        super().__init__(packed, schema)

    def close(self) -> None:
        self.stream.close()


class ArrowWriter(Writer):
    """Parquet or an Arrow IPC file: pyarrow's writers have one shape."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, parquet: bool) -> None:
        if parquet:
            from pyarrow import parquet as pq

            try:
                self.writer = pq.ParquetWriter(stream, schema, compression="zstd")
            except pa.ArrowNotImplementedError as error:
                raise UnfitValue(f"Parquet cannot hold a column of the query: {error}. Cast it to text.") from error
        else:
            self.writer = pa.ipc.new_file(stream, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    def write(self, batch: pa.RecordBatch) -> None:
        self.writer.write_batch(batch)

    def close(self) -> None:
        self.writer.close()


def write_rows(rows: Rows, path: Path) -> int:
    """Write the file and return how many rows it has; a file of no rows still has its header or schema."""
    count = 0
    with replacing_output(path) as stream:
        writer = _writer(suffix_of(path), stream, rows.schema)
        for batch in rows.batches:
            writer.write(batch)
            count += batch.num_rows
            point("sqlrunner.batch")
        writer.close()
    return count


def _writer(suffix: str, stream: BinaryIO, schema: pa.Schema) -> Writer:
    if suffix == ".csv":
        return CsvWriter(stream, schema)
    if suffix == ".csv.gz":
        return GzipCsvWriter(stream, schema)
    return ArrowWriter(stream, schema, parquet=suffix == ".parquet")


@contextmanager
def replacing_output(path: Path) -> Iterator[BinaryIO]:
    """Write a new file that takes the place of `path` when the block ends well, and is removed when it does not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path, synced="file") as stream:
            yield stream
            stream.flush()
            point("sqlrunner.rename")
    except OSError as error:
        raise DatabaseFault(f"The output {path} cannot be written: {error.strerror}.", str(error)) from error
