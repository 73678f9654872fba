"""The command: `sqlrunner QUERY --output FILE [--dummy-data-file FILE] [--dsn URL] [--log-file FILE]`."""

import argparse
import os
import shutil
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from carrel.sqlrunner import settings
from carrel.sqlrunner.errors import DatabaseFault, SqlrunnerError
from carrel.sqlrunner.joblog import JobLog
from carrel.sqlrunner.query import Query, check_dissent, check_unique, read_query


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line; a wrong one exits with 2."""
    command = argparse.ArgumentParser(prog="sqlrunner", description="Run one SQL query and write its rows to a file.")
    command.add_argument("query", type=Path, help="file with one SELECT, UTF-8")
    command.add_argument("--output", type=Path, required=True, help="file to write: .csv, .csv.gz, .parquet or .arrow")
    command.add_argument("--dummy-data-file", type=Path, help="used instead of a database where there is none")
    command.add_argument("--dsn", help="address of the database (default: DATABASE_URL)")
    command.add_argument(
        "--log-file", type=Path, help="file for the full log, as JSON lines; may hold values from rows"
    )
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code (0, or the one of the `SqlrunnerError` met)."""
    options = parser().parse_args(argv)
    dsn = options.dsn if options.dsn is not None else os.environ.get("DATABASE_URL", "")
    log = JobLog(options.log_file, dsn)
    try:
        rows = _run(options, dsn, log)
        log.say(f"Wrote {options.output}.", rows=rows)
        return 0
    except SqlrunnerError as error:
        return log.fail(error)
    except Exception as error:  # a traceback could hold values of rows: its class is all the job's log may say
        return log.fail(DatabaseFault(f"Internal error ({type(error).__name__}).", traceback.format_exc()))


def _run(options: argparse.Namespace, dsn: str, log: JobLog) -> int:
    from carrel.sqlrunner.outputs import suffix_of

    suffix_of(options.output)
    query = read_query(options.query)
    if settings.require_type_one_dissent():
        check_dissent(query)
    if dsn:
        return _from_database(query, dsn, options.output)
    return _from_dummy_data(query, options.dummy_data_file, options.output, log)


def _from_database(query: Query, dsn: str, output: Path) -> int:
    from carrel.sqlrunner.engines import engine_for
    from carrel.sqlrunner.outputs import write_rows

    engine = engine_for(dsn)
    with _scratch(output) as scratch, engine(dsn, query.text, scratch) as rows:
        check_unique(tuple(rows.schema.names))
        return write_rows(rows, output)


def _from_dummy_data(query: Query, dummy: Path | None, output: Path, log: JobLog) -> int:
    from carrel.sqlrunner.dummy import copy_dummy_data, write_empty_row

    if dummy is None:
        log.say("No database and no --dummy-data-file: writing the query's columns and one empty row.")
        return write_empty_row(query, output)
    log.say(f"No database: using the dummy data in {dummy}.")
    return copy_dummy_data(query, dummy, output)


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """Make a hidden folder beside the output, where there is disk (/tmp of a container is memory); a kill leaves it."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".sqlrunner-", dir=output.parent))
    except OSError as error:
        raise DatabaseFault(f"The output {output} cannot be written: {error.strerror}.", str(error)) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
