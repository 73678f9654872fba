"""Options that several commands have, and how their outcomes end the process."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carrel.ingest.engine.exits import EXIT_BUSY

if TYPE_CHECKING:
    from carrel.ingest.engine import Pool
    from carrel.ingest.engine.running import Progress
    from carrel.ingest.schemas import Schemas

Command = Callable[..., Any]

warehouse_option = click.option(
    "--warehouse", required=True, envvar="CARREL_WAREHOUSE", help="Folder or s3:// URL of the tables."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


def mapping_options(command: Command) -> Command:
    """--mapping and --schemas."""
    command = click.option(
        "--mapping",
        "mapping_file",
        envvar="CARREL_INGEST_MAPPING",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Your mapping file, laid over the shipped one.",
    )(command)
    return click.option(
        "--schemas",
        "schema_folder",
        envvar="CARREL_INGEST_SCHEMAS",
        default="schemas",
        show_default=True,
        type=click.Path(path_type=Path),
        help="Folder of the schema store.",
    )(command)


def pool_options(command: Command) -> Command:
    """--workers and --scheduler."""
    command = click.option(
        "--workers", type=click.IntRange(0), help="Worker processes; 0: none; default: one per processor."
    )(command)
    return click.option("--scheduler", help="Address of a Dask scheduler, as tcp://host:8786, to use its workers.")(
        command
    )


def schemas_of(mapping_file: Path | None, folder: Path) -> "Schemas":
    """The mapping and the store, for a run."""
    from carrel.ingest.mapping import load
    from carrel.ingest.schemas import Schemas, SchemaStore

    return Schemas(load(mapping_file), SchemaStore(folder).library())


def pool_of(workers: int | None, scheduler: str | None) -> "Pool":
    """Where batches run."""
    from carrel.ingest import engine

    if scheduler:
        return engine.dask(scheduler)
    return engine.inline() if workers == 0 else engine.processes(workers)


@contextmanager
def progress_bar() -> "Iterator[Progress]":
    """A bar on a terminal, nothing elsewhere."""
    from carrel.ingest.engine.running import no_progress

    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("Archives"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("archives", total=None)
        yield lambda done, todo: bar.update(task, completed=done, total=todo)


def ending(command: Command) -> Command:
    """Faults that are nobody's mistake in the code end in a sentence and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from carrel.ingest.commit import WarehouseBusy, WarehouseFault
        from carrel.ingest.mapping import MappingInvalid
        from carrel.ingest.mapping.partitioning import PartitionsChanged
        from carrel.ingest.schemas import StoreFault
        from carrel.ingest.sources import SourceFault

        try:
            return command(*args, **kwargs)
        except WarehouseBusy as busy:
            click.echo(str(busy), err=True)
            sys.exit(EXIT_BUSY)
        except (MappingInvalid, PartitionsChanged, StoreFault, SourceFault, WarehouseFault) as fault:
            raise click.ClickException(str(fault)) from fault

    return wrapped


def looking(command: Command) -> Command:
    """What a command shows may hold rows that a withdrawal has not reached yet: it says so, on the standard error."""

    @functools.wraps(command)
    def wrapped(*args: Any, warehouse: str, **kwargs: Any) -> Any:
        from carrel.ingest.commit import open_storage
        from carrel.ingest.engine.asked import unfinished

        if warning := unfinished(open_storage(warehouse)):
            click.echo(f"Warning: {warning}", err=True)
        return command(*args, warehouse=warehouse, **kwargs)

    return wrapped


def write_file(path: Path, data: bytes) -> None:
    """All or nothing, because a collector may read it at any time."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
