"""Dummy data: what an action gives where there is no database, as on the laptop where the study is written."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from carrel.sqlrunner.engines import Rows
from carrel.sqlrunner.errors import BadDataFile, UsageError
from carrel.sqlrunner.outputs import replacing_output, suffix_of, write_rows
from carrel.sqlrunner.query import Query


def copy_dummy_data(query: Query, dummy: Path, output: Path) -> int:
    """Put the dummy file where the output goes, in the output's format; `BadDataFile` when it does not fit."""
    table = _read(dummy)
    _check_columns(dummy, table.column_names, query.columns_if_known)
    if suffix_of(dummy) == suffix_of(output):
        with replacing_output(output) as stream:
            stream.write(dummy.read_bytes())
        return int(table.num_rows)
    return write_rows(Rows(table.schema, iter(table.to_batches())), output)


def write_empty_row(query: Query, output: Path) -> int:
    """Write a file of the query's columns and one row in which all is missing, so that what reads it can be tried."""
    schema = pa.schema([(name, pa.string()) for name in query.columns])
    row = pa.RecordBatch.from_arrays([pa.nulls(1, pa.string()) for _ in schema], schema=schema)
    return write_rows(Rows(schema, iter([row])), output)


def _read(path: Path) -> pa.Table:
    """Read the file as a table; a text that looks like numbers or dates throughout becomes such."""
    try:
        suffix = suffix_of(path)
        if suffix == ".parquet":
            return pq.read_table(path)
        if suffix == ".arrow":
            return pa.ipc.open_file(path).read_all()
        with gzip.open(path) if suffix == ".csv.gz" else path.open("rb") as stream:
            # From memory: a thread of Arrow's that still reads a Python file when the process ends would abort it.
            return pacsv.read_csv(
                pa.BufferReader(stream.read()),
                convert_options=pacsv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False),
            )
    except UsageError as error:
        raise BadDataFile(f"The dummy data file {error}") from error
    except OSError as error:
        reason = error.strerror or "not a file of the kind its name says"
        raise BadDataFile(f"The dummy data file {path} cannot be read: {reason}.", str(error)) from error
    except (pa.ArrowException, EOFError) as error:
        raise BadDataFile(f"The dummy data file {path} cannot be read: {error}", str(error)) from error


def _check_columns(path: Path, names: Sequence[str], expected: Sequence[str] | None) -> None:
    """Compare names without regard to case, as databases do; the order does not matter."""
    if expected is None:
        return
    folded, expected_folded = {name.lower() for name in names}, {name.lower() for name in expected}
    missing = [name for name in expected if name.lower() not in folded]
    more = [name for name in names if name.lower() not in expected_folded]
    if missing or more:
        reasons = [f"it lacks {', '.join(missing)}"] * bool(missing) + [f"it also has {', '.join(more)}"] * bool(more)
        raise BadDataFile(f"The dummy data file {path} does not have the query's columns: {'; '.join(reasons)}.")
