"""run, watch, replay."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carrel.ingest.commands.shared import (
    explains_faults,
    json_option,
    load_schemas,
    make_pool,
    mapping_options,
    open_warehouse,
    pool_options,
    progress_bar,
    warehouse_option,
)
from carrel.ingest.forkserver import begin_early
from carrel.units.files import write_atomically

if TYPE_CHECKING:
    from carrel.ingest.run import Report, Setting
    from carrel.ingest.sources import Source


def _check_folder_exists(ctx: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file for metrics that could not be written: better before the run than after it."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent} to write it in", ctx, option)
    return path


def _run_options(command: Any) -> Any:
    for option in (
        click.argument("source"),
        warehouse_option,
        mapping_options,
        pool_options,
        click.option("--app", help="App id of records whose metadata names none."),
        click.option(
            "--reject",
            type=click.Choice(["file", "record"]),
            default="file",
            show_default=True,
            help="What one bad file rejects.",
        ),
        click.option(
            "--raw-json",
            is_flag=True,
            help="Also keep each file as raw JSON, as BridgeDownstream does; every later run then does.",
        ),
        click.option(
            "--metrics",
            type=click.Path(path_type=Path, dir_okay=False),
            callback=_check_folder_exists,
            help="Write Prometheus text to this file.",
        ),
        json_option,
    ):
        command = option(command)
    return command


@click.command()
@_run_options
@click.pass_context
@explains_faults
def run(ctx: click.Context, as_json: bool, metrics: Path | None, **options: Any) -> None:
    """Take every archive of SOURCE that was not taken yet.

    SOURCE is a folder, a file, a glob, s3://bucket/prefix, sqs:QUEUE-URL or synapse:syn123. Stopping it at any time is
    safe: the next run finishes or undoes it.
    """
    report = _run_once(_make_setting(**options))
    _print_report(report, as_json)
    _write_metrics(report, metrics)
    ctx.exit(report.exit_code)


@click.command()
@_run_options
@click.option(
    "--every",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds between looks at the source.",
)
@explains_faults
def watch(as_json: bool, metrics: Path | None, every: float, **options: Any) -> None:
    """Run again and again, as archives arrive, until it is told to stop (the run that goes on is finished first)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    setting = _make_setting(**options)
    measured = None
    while not stop.is_set():
        report = _try_once(setting)
        if report is not None and report.run_id:
            _print_report(report, as_json)
        if report is not None:
            measured = report if report.run_id or measured is None else measured
            _write_metrics(measured, metrics)
        # A queue gives a batch at a time: when there was one, there may be more at once.
        more = report is not None and report.run_id and str(options["source"]).startswith("sqs:")
        stop.wait(0 if more else every)


def _try_once(setting: "Setting") -> "Report | None":
    """One run; what may pass by itself (the source, another ingest) is said, and tried again later."""
    from carrel.ingest.sources import SourceFault
    from carrel.ingest.store import WarehouseBusy, WarehouseFault

    try:
        return _run_once(setting)
    except (WarehouseBusy, WarehouseFault, SourceFault) as fault:
        click.echo(str(fault), err=True)
        return None


@click.command()
@_run_options
@click.option("--id", "ids", multiple=True, help="A line of quarantine.")
@click.option("--record", help="A record.")
@click.option("--stage", help="Lines of this stage: archive, metadata, json, schema, types.")
@click.option("--keyword", help="Lines of this keyword.")
@click.option("--schema-id", help="Lines of files of this schema.")
@click.option("--all", "everything", is_flag=True, help="Every archive of the source, in quarantine or not.")
@click.pass_context
@explains_faults
def replay(
    ctx: click.Context, as_json: bool, metrics: Path | None, everything: bool, ids: tuple[str, ...], **options: Any
) -> None:
    """Take archives of SOURCE again, after a schema, mapping or rule was repaired.

    Those with lines in quarantine that the options choose (none: all that have any). Their rows, ledger lines and
    quarantine lines are replaced.
    """
    from carrel.ingest.operations.inspection import QuarantineFilter
    from carrel.ingest.operations.replay import NoSuchLine, choose_archives
    from carrel.ingest.sources import whole_source_of

    chosen = QuarantineFilter(ids, *(options.pop(name) for name in ("record", "stage", "keyword", "schema_id")))
    open_warehouse(options["warehouse"])  # before the source is looked for: what is said first is where it is to go
    setting = _make_setting(**options, open_source=whole_source_of)
    try:
        setting = choose_archives(setting, chosen, everything)
    except NoSuchLine as fault:
        raise click.ClickException(str(fault)) from None
    report = _run_once(setting)
    _print_report(report, as_json)
    _write_metrics(report, metrics)
    ctx.exit(report.exit_code)


def _make_setting(
    *,
    source: str,
    warehouse: str,
    mapping_file: Path | None,
    schema_folder: Path,
    workers: int | None,
    scheduler: str | None,
    app: str | None,
    reject: str,
    raw_json: bool,
    open_source: "Callable[[str], Source] | None" = None,
) -> "Setting":
    if workers != 0 and not scheduler:
        begin_early()  # it imports while we do
    from carrel.ingest.run import IngestOptions, Setting
    from carrel.ingest.sources import source_of

    options = IngestOptions(app_id=app, reject_records=reject == "record", raw_json=raw_json)
    schemas = load_schemas(mapping_file, schema_folder)
    # Without a store every file would go to quarantine; that is a mistyped name, or a step that was left out.
    if schemas.mapping.schemas and not schema_folder.is_dir():
        raise click.ClickException(
            f"there is no schema store in {schema_folder}, so no file could be checked: fill it by "
            "`carrel ingest schemas add FILES` or `carrel ingest schemas pull`, or say where it is by --schemas "
            "(or CARREL_INGEST_SCHEMAS)"
        )
    return Setting(
        warehouse=warehouse,
        source=(open_source or source_of)(source),
        schemas=schemas,
        pool=make_pool(workers, scheduler),
        options=options,
    )


def _run_once(setting: "Setting") -> "Report":
    from carrel.ingest.operations.ingestion import run as run_once

    with progress_bar() as progress:
        return run_once(setting, progress)


def _print_report(report: "Report", as_json: bool) -> None:
    click.echo(report.to_json().decode() if as_json else report.text())


def _write_metrics(report: "Report", metrics: Path | None) -> None:
    if metrics:
        # As a whole: a collector may read it at any time.
        write_atomically(metrics, report.metrics(time.time()), synced="no")
