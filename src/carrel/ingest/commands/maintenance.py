"""withdraw, compact, archive, export."""

import sys
from typing import Literal

import click

from carrel.ingest.commands.shared import explains_faults, open_warehouse, warehouse_option
from carrel.ingest.exits import EXIT_FOUND, EXIT_TAKEN
from carrel.ingest.run.report import many


@click.command()
@warehouse_option
@click.option("--healthcode", "healthcodes", multiple=True, help="A participant.")
@click.option("--record", "records", multiple=True, help="A record.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
@explains_faults
def withdraw(
    ctx: click.Context,
    warehouse: str,
    healthcodes: tuple[str, ...],
    records: tuple[str, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove participants or records from tables, ledger, quarantine and raw JSON, for good, and prove it.

    Says first what will be removed, and which codes nothing is known of. Earlier versions of the tables that were
    touched can no longer be read. Archives of who withdrew are never taken again. Exit code 1 when a file still holds a
    code; of --dry-run 3 when a code is not known.
    """
    from carrel.ingest.operations.withdrawal import preview_withdrawal
    from carrel.ingest.operations.withdrawal import withdraw as remove

    if not (healthcodes or records):
        raise click.UsageError("Say whom: --healthcode H or --record R.")
    if not all(code.strip() for code in (*healthcodes, *records)):
        raise click.UsageError("A code is empty: nobody has that one.")
    open_warehouse(warehouse)
    foreseen = preview_withdrawal(warehouse, healthcodes, records)
    for line in foreseen.lines():
        click.echo(line)
    if dry_run:
        click.echo("Nothing was changed.")
        ctx.exit(EXIT_FOUND if foreseen.unknown else EXIT_TAKEN)
    if not yes:
        counts = [(len(healthcodes), "participant"), (len(records), "record")]
        whom = " and ".join(many(number, noun) for number, noun in counts if number)
        click.confirm(f"Remove {whom} for good?", abort=True)
    proof = remove(warehouse, healthcodes, records)
    click.echo(proof.text())
    ctx.exit(1 if proof.holding else 0)


@click.command()
@warehouse_option
@click.option(
    "--target-mb", type=click.IntRange(1), default=64, show_default=True, help="About how large files become."
)
@click.option("--vacuum-hours", type=click.IntRange(0), help="Delete files that only versions older than this need.")
@click.option("--yes", is_flag=True, help="Do not ask before files are deleted (nobody is asked but at a terminal).")
@explains_faults
def compact(warehouse: str, target_mb: int, vacuum_hours: int | None, yes: bool) -> None:
    """Merge small files into large ones, rows of a record together. Runs do so by themselves when there are many.

    Merging deletes nothing. Before old files are deleted, says how many of which table.
    """
    from carrel.ingest.operations.compaction import compact as merge
    from carrel.ingest.operations.compaction import count_old_files, delete_old_files

    open_warehouse(warehouse)
    merged = merge(warehouse, target_mb * 1_000_000)
    for name, (before, after) in sorted(merged.tables.items()):
        click.echo(f"{name}: {before} files became {after}")
    deleted = 0
    if vacuum_hours is not None and (old := count_old_files(warehouse, vacuum_hours)):
        for name, count in sorted(old.items()):
            click.echo(f"{name}: {many(count, 'old file')} to delete; versions before that can no longer be read")
        if not yes and sys.stdin.isatty():
            click.confirm("Delete them for good?", abort=True)
        deleted = delete_old_files(warehouse, vacuum_hours)
    click.echo(f"{many(len(merged.tables), 'table')} compacted, {many(deleted, 'old file')} deleted")


@click.command()
@click.argument("dataset")
@warehouse_option
@explains_faults
def archive(dataset: str, warehouse: str) -> None:
    """Keep a copy of DATASET (as MotionRecord_v1) as it is now, with its history."""
    from carrel.ingest.operations.copies import copy_dataset

    open_warehouse(warehouse)
    try:
        key = copy_dataset(warehouse, dataset)
    except KeyError:
        raise click.ClickException(f"there is no dataset {dataset}; `carrel ingest tables` lists the tables") from None
    click.echo(f"{dataset} is kept in {warehouse.rstrip('/')}/{key}")


@click.command()
@click.argument("folder")
@warehouse_option
@click.option("--layout", type=click.Choice(["bridge"]), default="bridge", show_default=True, help="Whose.")
@click.option("--dataset", "datasets", multiple=True, help="Only these; default: all.")
@click.option(
    "--dates", type=click.Choice(["plain", "padded"]), default="plain", show_default=True, help="Months as 9 or as 09."
)
@click.option("--raw-json", is_flag=True, help="Also the raw JSON that `run --raw-json` keeps.")
@click.pass_context
@explains_faults
def export(
    ctx: click.Context,
    folder: str,
    warehouse: str,
    layout: str,
    datasets: tuple[str, ...],
    dates: Literal["plain", "padded"],
    raw_json: bool,
) -> None:
    """Write plain Parquet folders, with BridgeDownstream's names and columns, to FOLDER (or an s3:// URL).

    FOLDER must be new or empty; it is finished when it has a file _SUCCESS. No run can begin meanwhile. Exit code 3
    when records have no raw JSON, because they were taken before it was kept.
    """
    from carrel.ingest.operations.export import NotExported, export_bridge
    from carrel.ingest.operations.withdrawal_requests import unfinished_withdrawal

    if warning := unfinished_withdrawal(open_warehouse(warehouse)):
        raise click.ClickException(f"nothing was exported. {warning}")
    try:
        without = 0
        for done in export_bridge(warehouse, folder, datasets or None, dates, raw_json):
            click.echo(f"{done.dataset or 'raw JSON'}: {many(done.files, 'file')}")
            if done.without:
                click.echo(
                    f"{many(done.without, 'record')} without raw JSON: taken before it was kept. "
                    "`carrel ingest replay SOURCE --all` makes it.",
                    err=True,
                )
                without += done.without
    except NotExported as error:
        raise click.ClickException(str(error)) from None
    ctx.exit(EXIT_FOUND if without else EXIT_TAKEN)
