"""Parquet files of tables: written to scratch, then put beside the table; invisible until a commit names them."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from carrel.ingest.store.storage import WarehouseStorage
from carrel.ingest.tables.parquet import write_options
from carrel.ingest.tables.reserved_columns import with_dictionaries
from carrel.warehouse.layout import file_prefix, table_key

ROW_GROUP = 131_072
PARTITION_COLUMNS = ("assessmentid", "assessmentrevision", "year", "month", "day")
"""What tables of data may be partitioned by."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a table. `path` is its name in the table's folder; `partition`: the values of
    `PARTITION_COLUMNS` in its first row, as text, which in a partitioned table all its rows share."""

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def stats(self) -> str:
        """Delta statistics: the number of rows alone. Bounds are in the file's own footer, and readers prune by those.

        In the table's log they would outlive a withdrawal; and deltalake's Arrow reader takes a column without bounds
        beside others with bounds for one that holds nothing, and leaves rows out.
        """
        return json.dumps({"numRecords": self.rows})


class FileWriter:
    """One file of one table. `close` makes it part of the folder, `abandon` makes it never have been."""

    def __init__(self, storage: WarehouseStorage, run_id: str, table: str, name: str, schema: pa.Schema):
        self.storage = storage
        self.table = table
        self.path = f"{file_prefix(run_id)}{name}-{os.urandom(4).hex()}.parquet"
        self.local = storage.scratch(run_id) / f"{table.replace('/', '-')}-{self.path}"
        self.schema = with_dictionaries(schema)
        self.rows = 0
        self.partition: dict[str, str | None] = {}
        options = write_options(schema)
        if "_run_id" in schema.names:  # records are looked for by the run that wrote them, so it has bounds too
            options["write_statistics"] = [*options["write_statistics"], "_run_id"]
        # Without Arrow's own schema in the file, what is a dictionary here is plain text to every reader.
        self._writer = pq.ParquetWriter(self.local, self.schema, store_schema=False, **options)

    def write(self, table: pa.Table, row_group: int = ROW_GROUP) -> None:
        """Add rows; `table` has the columns of `schema`."""
        if not self.rows and table.num_rows:
            self.partition = partition_of(table)
        self.rows += table.num_rows
        rows = table.select(self.schema.names).cast(self.schema)
        with self._or_given_up():
            self._writer.write_table(rows.unify_dictionaries(), row_group)

    @property
    def size(self) -> int:
        """How many bytes were written so far."""
        return self.local.stat().st_size

    def close(self) -> DataFile:
        """Finish the file and put it in its table's folder."""
        with self._or_given_up():
            self._writer.close()
        size = self.size
        self.storage.put_file(self.local, f"{table_key(self.table)}/{self.path}")
        return DataFile(self.path, size, self.rows, self.partition)

    def abandon(self) -> None:
        """Throw away what was written."""
        with suppress(OSError), self._or_given_up():
            self._writer.close()
        self.local.unlink(missing_ok=True)

    @contextmanager
    def _or_given_up(self) -> Iterator[None]:
        """On a full disk Arrow would try once more when the writer is forgotten, and print a traceback."""
        try:
            yield
        except OSError:
            self._writer.is_open = False
            raise


def partition_of(rows: pa.Table) -> dict[str, str | None]:
    """The values of `PARTITION_COLUMNS` in the first row, as Delta's log has them."""
    first = {name: rows.column(name)[0].as_py() for name in PARTITION_COLUMNS if name in rows.column_names}
    return {name: None if value is None else str(value) for name, value in first.items()}


def write_file(
    storage: WarehouseStorage, run_id: str, table: str, name: str, rows: pa.Table, row_group: int = ROW_GROUP
) -> DataFile:
    """Write `rows` as one file of a table."""
    writer = FileWriter(storage, run_id, table, name, rows.schema)
    writer.write(rows, row_group)
    return writer.close()


@contextmanager
def open_data_file(storage: WarehouseStorage, table: str, path: str) -> Iterator[pq.ParquetFile]:
    """Open a file of a table for reading."""
    with storage.open(f"{table_key(table)}/{path}") as stream, pq.ParquetFile(stream) as file:
        yield file


def read_blocks(storage: WarehouseStorage, table: str, path: str) -> Iterator[pa.Table]:
    """Read a file, row group by row group; text is as `plain_schema` has it."""
    with open_data_file(storage, table, path) as file:
        schema = plain_schema(file.schema_arrow)
        for number in range(file.num_row_groups):
            block = file.read_row_group(number)
            yield block if block.schema.equals(schema) else block.cast(schema)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` with Arrow's usual text and lists. Files that others wrote into a table (deltalake, when somebody
    deletes rows by hand) ask for views, which Arrow's functions do not take."""
    return pa.schema([field.with_type(_plain_kind(field.type)) for field in schema])


def _plain_kind(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(kind.value_field.with_type(_plain_kind(kind.value_type)))
    return kind


def rewrite_file(
    storage: WarehouseStorage,
    run_id: str,
    table: str,
    path: str,
    change: Callable[[pa.Table], pa.Table],
    schema: pa.Schema | None = None,
) -> DataFile | None:
    """A new file with what `change` makes of each block of an old one, in `schema` (default: as it was); None when no
    row is left."""
    with open_data_file(storage, table, path) as file:
        schema = schema or plain_schema(file.schema_arrow)
    writer = FileWriter(storage, run_id, table, "rewritten", schema)
    try:
        for block in read_blocks(storage, table, path):
            changed = change(block)
            if changed.num_rows:
                writer.write(changed)
    except BaseException:
        writer.abandon()
        raise
    if not writer.rows:
        writer.abandon()
        return None
    return writer.close()
