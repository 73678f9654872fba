"""Reading tables: by Arrow's own file systems, on a folder and on S3."""

from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

import carrel.ingest
from carrel.ingest.store import TableCommit, begin, open_dataset, open_table, read_table, schema_bytes, write_file
from carrel.ingest.store.delta import commit


def test_no_python_code_is_between_arrow_and_the_files(storage):
    # Else a process that ends soon after is aborted (exit code 134) by a thread of Arrow that frees Python's buffers.
    number = begin(storage)
    file = write_file(storage, number.run_id, "t", "rows", pa.table({"a": [1, 2]}))
    commit(storage, 1, TableCommit("t", schema_bytes(pa.schema([("a", pa.int64())])), (file,)))
    dataset = open_dataset(storage, "t")
    assert isinstance(dataset.filesystem, pafs.SubTreeFileSystem)
    assert isinstance(dataset.filesystem.base_fs, pafs.LocalFileSystem | pafs.S3FileSystem)
    assert read_table(storage, "t").to_pydict() == {"a": [1, 2]}
    commit(storage, 2, TableCommit("t", schema_bytes(pa.schema([("a", pa.int64())])), remove=(file.path,)))
    assert read_table(storage, "t").num_rows == 0
    assert open_dataset(storage, "t", open_table(storage, "t", 0)).count_rows() == 2


def test_a_table_that_is_not_there(storage):
    assert open_dataset(storage, "t") is None
    assert read_table(storage, "t") is None


def test_nothing_else_of_ingest_reads_tables_by_deltalakes_own_file_system():
    package = Path(carrel.ingest.__file__).parent
    using = [path for path in package.rglob("*.py") if "to_pyarrow_" in path.read_text()]
    assert [path.name for path in using] == ["reading.py"]
