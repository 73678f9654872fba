"""Options that several commands have, and how their outcomes end the process."""

import functools
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carrel.ingest.commands.faults import explain_error
from carrel.ingest.exits import EXIT_BUSY, EXIT_STOPPED
from carrel.units.parts import how_to_install

if TYPE_CHECKING:
    from carrel.ingest.run import Pool
    from carrel.ingest.run.coordinator import Progress
    from carrel.ingest.schemas import Schemas
    from carrel.ingest.store import WarehouseStorage

Command = Callable[..., Any]

warehouse_option = click.option(
    "--warehouse",
    required=True,
    envvar="CARREL_WAREHOUSE",
    show_envvar=True,
    help="Folder or s3:// URL of the tables.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


mapping_option = click.option(
    "--mapping",
    "mapping_file",
    envvar="CARREL_INGEST_MAPPING",
    show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your mapping file, laid over the shipped one.",
)

counting_mapping_option = click.option(
    "--mapping",
    "mapping_file",
    envvar="CARREL_INGEST_MAPPING",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Your mapping file, laid over the shipped one.",
)
"""For a count beside other things, which are told without the mapping too."""


def mapping_options(command: Command) -> Command:
    """Give a command the options --mapping and --schemas."""
    command = mapping_option(command)
    return click.option(
        "--schemas",
        "schema_folder",
        envvar="CARREL_INGEST_SCHEMAS",
        show_envvar=True,
        default="schemas",
        show_default=True,
        type=click.Path(path_type=Path),
        help="Folder of the schema store.",
    )(command)


def pool_options(command: Command) -> Command:
    """Give a command the options --workers and --scheduler."""
    command = click.option(
        "--workers", type=click.IntRange(0), help="Worker processes; 0: none; default: one per processor."
    )(command)
    return click.option("--scheduler", help="Address of a Dask scheduler, as tcp://host:8786, to use its workers.")(
        command
    )


def load_schemas(mapping_file: Path | None, folder: Path) -> "Schemas":
    """The mapping and the store, for a run."""
    from carrel.ingest.mapping import load
    from carrel.ingest.schemas import Schemas, SchemaStore

    return Schemas(load(mapping_file), SchemaStore(folder).library())


def make_pool(workers: int | None, scheduler: str | None) -> "Pool":
    """The pool that batches run on, by these options."""
    from carrel.ingest.run import pools

    if scheduler:
        return _cluster(scheduler)
    return pools.inline() if workers == 0 else pools.processes(workers)


def _cluster(scheduler: str) -> "Pool":
    from carrel.ingest.run import pools

    try:
        return pools.dask(scheduler)
    except ImportError:
        raise click.ClickException(f"a cluster needs Dask: {how_to_install('ingest', 'dask')}") from None
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"no Dask scheduler answers at {scheduler} ({type(error).__name__}): look whether it runs and the address "
            "is right, as tcp://host:8786. Nothing was changed"
        ) from None


@contextmanager
def progress_bar() -> "Iterator[Progress]":
    """A bar on a terminal, nothing elsewhere."""
    from carrel.ingest.run.coordinator import no_progress

    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("Archives"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("archives", total=None)
        yield lambda done, todo: bar.update(task, completed=done, total=todo)


def explains_faults(command: Command) -> Command:
    """Faults that are nobody's mistake in the code end in a sentence and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return _run_with_own_faults(command, *args, **kwargs)
        except KeyboardInterrupt:
            click.echo("Stopped. Nothing is lost: the next run finishes or undoes what was begun.", err=True)
            sys.exit(EXIT_STOPPED)
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _is_output_closed():
                # Else the interpreter would fail once more, and say so, as it writes what it still holds.
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.exit(1)
            explanation = explain_error(error)
            context = click.get_current_context(silent=True)
            is_debugging = context is not None and context.find_root().params.get("debug")
            if explanation is None or is_debugging:
                raise
            raise click.ClickException(explanation) from error

    return wrapped


def _run_with_own_faults(command: Command, *args: Any, **kwargs: Any) -> Any:
    """Run the command, its own faults in their own words. Any library that is imported here may be missing."""
    from carrel.ingest.mapping import MappingInvalid
    from carrel.ingest.mapping.partitioning import PartitionsChanged
    from carrel.ingest.schemas import StoreFault
    from carrel.ingest.sources import SourceFault
    from carrel.ingest.store import WarehouseBusy, WarehouseFault

    try:
        return command(*args, **kwargs)
    except WarehouseBusy as busy:
        click.echo(f"Error: {busy}", err=True)
        sys.exit(EXIT_BUSY)
    except (MappingInvalid, PartitionsChanged, StoreFault, SourceFault, WarehouseFault) as fault:
        raise click.ClickException(str(fault)) from fault


def _is_output_closed() -> bool:
    """Whether who was to read our output has gone, as `head` does."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def open_warehouse(location: str) -> "WarehouseStorage":
    """The warehouse that is there. A command that only looks, or removes, must not take a mistyped name for one."""
    from carrel.ingest.store import open_storage
    from carrel.warehouse.layout import STATE

    if "://" not in location and Path(location).is_file():
        raise click.ClickException(f"{location} is a file; a warehouse is a folder, or s3://bucket/prefix")
    storage = open_storage(location)
    if storage.read(STATE) is None:
        raise click.ClickException(
            f"there is no warehouse in {location}: look whether --warehouse (or CARREL_WAREHOUSE) is right. "
            "`carrel ingest run` makes one."
        )
    return storage


def warns_of_withdrawals(command: Command) -> Command:
    """What a command shows may hold rows that a withdrawal has not reached yet: it says so, on the standard error."""

    @functools.wraps(command)
    def wrapped(*args: Any, warehouse: str, **kwargs: Any) -> Any:
        from carrel.ingest.operations.withdrawal_requests import unfinished_withdrawal

        if warning := unfinished_withdrawal(open_warehouse(warehouse)):
            click.echo(f"Warning: {warning}", err=True)
        return command(*args, warehouse=warehouse, **kwargs)

    return wrapped
