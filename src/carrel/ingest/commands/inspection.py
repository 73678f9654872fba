"""status, reconcile, tables, sql, quarantine: they change nothing."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carrel.ingest.commands.run import replay
from carrel.ingest.commands.shared import (
    counting_mapping_option,
    explains_faults,
    json_option,
    open_warehouse,
    warehouse_option,
    warns_of_withdrawals,
)
from carrel.ingest.exits import EXIT_FOUND, EXIT_TAKEN

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake import Schema as DeltaSchema
    from duckdb import DuckDBPyRelation

    from carrel.ingest.mapping import Mapping
    from carrel.ingest.operations.reconciliation import Reconciliation
    from carrel.ingest.store import WarehouseStorage
    from carrel.warehouse.views import TableView


@click.command()
@warehouse_option
@counting_mapping_option
@json_option
@explains_faults
def status(warehouse: str, mapping_file: Path | None, as_json: bool) -> None:
    """Show what the warehouse holds, and how its last run went.

    Counts files of no dataset, but for those that the mapping ignores.
    """
    from carrel.ingest.operations.status import read_status

    mapping, reason = _load_for_count(mapping_file)
    current = read_status(open_warehouse(warehouse), mapping)
    if reason:
        current = replace(current, unmapped_files=None)
    click.echo(json.dumps(asdict(current), indent=1, default=str) if as_json else current.text())
    if reason:
        click.echo(reason, err=True)


@click.command()
@click.argument("source")
@warehouse_option
@counting_mapping_option
@json_option
@click.pass_context
@explains_faults
@warns_of_withdrawals
def reconcile(ctx: click.Context, source: str, warehouse: str, mapping_file: Path | None, as_json: bool) -> None:
    """Explain each archive of SOURCE that is not simply in the tables, and hold the tables' rows to the ledger.

    Exit code 3 when archives wait to be taken, or the tables do not hold the rows that the ledger says. Counts files
    of no dataset, but for those that the mapping ignores.
    """
    from carrel.ingest.operations.reconciliation import reconcile as compare
    from carrel.ingest.sources import whole_source_of
    from carrel.ingest.store import open_storage

    mapping, reason = _load_for_count(mapping_file)
    with whole_source_of(source) as opened:
        result = compare(open_storage(warehouse), opened.list(), mapping)
    if reason:
        result = replace(result, unmapped_files=None)
        click.echo(reason, err=True)
    if as_json:
        click.echo(json.dumps(asdict(result) | {"is_sound": result.is_sound}, indent=1))
    else:
        _print_reconciliation(result)
    ctx.exit(EXIT_TAKEN if result.is_sound else EXIT_FOUND)


def _load_for_count(mapping_file: Path | None) -> "tuple[Mapping | None, str]":
    """The mapping, and why it cannot be read; no reason to keep back all else that there is to tell."""
    from carrel.ingest.mapping import load

    try:
        return load(mapping_file), ""
    except (ValueError, OSError) as error:
        reason = f"{mapping_file}: {error.strerror}" if isinstance(error, OSError) else str(error)
        return None, f"Files of no dataset: not counted, as the mapping cannot be read ({reason})"


def _print_reconciliation(result: "Reconciliation") -> None:
    from carrel.ingest.run.report import many
    from carrel.ingest.run.unmapped import unmapped_text

    listed, records = many(result.listed, "archive"), many(result.records, "record")
    click.echo(f"{listed} at the source, {result.in_ledger:,} of them in the ledger; {records}")
    for name, count in result.counts.items():
        click.echo(f"  {name:<12} {count:>10,}")
    if result.open_run:
        click.echo(f"Run {result.open_run} is under way or was interrupted; the next run finishes or undoes it.")
    for finding in result.findings:
        subject = finding.archive_uri or finding.record_id or _NOBODY.get(finding.kind, "no record")
        click.echo(f"{finding.kind}: {subject}: {finding.why}")
    differing = {name: counts for name, counts in result.tables.items() if counts[0] != counts[1]}
    for name, (expected, actual) in differing.items():
        click.echo(f"Table {name} has {many(actual, 'row')}, the ledger says {expected:,}.")
    if result.tables and not differing:
        rows = many(sum(actual for _, actual in result.tables.values()), "row")
        click.echo(f"{rows} in {many(len(result.tables), 'table')}, as many as the ledger says.")
    if result.unmapped_files:
        click.echo(unmapped_text(result.unmapped_files))
    kinds = {finding.kind for finding in result.findings}
    click.echo("Everything is accounted for." if result.is_sound else _next_step(kinds))


_NOBODY = {"withdrawn": "somebody", "damaged": "the warehouse"}


def _next_step(kinds: set[str]) -> str:
    steps = ["Something is missing: see above."]
    if kinds & {"rows_missing", "rows_extra"}:
        steps.append(
            "Somebody changed tables by other means than Carrel: `carrel ingest replay --all SOURCE` takes every "
            "record of the source again."
        )
    if "damaged" in kinds:
        steps.append(
            "Files of the warehouse are missing or damaged: restore them from a backup before you run anything."
        )
    return "\n".join(steps)


@click.command()
@click.argument("table", required=False)
@warehouse_option
@json_option
@click.option("--version", type=int, help="Columns as of this version of TABLE.")
@explains_faults
@warns_of_withdrawals
def tables(table: str | None, warehouse: str, as_json: bool, version: int | None) -> None:
    """List the tables, or the columns of TABLE; of a dataset with `naming: bridge` also by its name there."""
    from carrel.ingest.operations.inspection import find_view, list_tables
    from carrel.ingest.run.report import size
    from carrel.ingest.store import open_storage, open_table

    storage = open_storage(warehouse)
    if table is None:
        rows = [asdict(listed) for listed in list_tables(storage)]
        shown = rows if as_json else [{**row, "size": size(row["size"])} for row in rows]
        optional = tuple(column for column in ("bridge", "sql") if any(row[column] for row in rows))
        _print_rows(shown, as_json, ("name", "version", "rows", "files", "size", "columns", *optional))
        return
    opened = open_table(storage, table)
    view = find_view(storage, table) if opened is None else None
    if view is not None:
        _print_rows(_columns_of_view(storage, view, version), as_json, ("column", "type"))
        return
    if opened is None:
        raise click.ClickException(f"there is no table {table}; `carrel ingest tables` lists them")
    if version is not None:
        _load_version(opened, table, version)
    _print_rows(_columns(opened.schema()), as_json, ("column", "type"))


def _columns(schema: "DeltaSchema") -> list[dict[str, Any]]:
    from deltalake.schema import PrimitiveType

    return [
        {"column": field.name, "type": field.type.type if isinstance(field.type, PrimitiveType) else "list"}
        for field in schema.fields
    ]


def _columns_of_view(storage: "WarehouseStorage", view: "TableView", version: int | None) -> list[dict[str, Any]]:
    from deltalake import Schema
    from deltalake.exceptions import DeltaError

    from carrel.ingest.operations.inspection import view_schema

    try:
        return _columns(Schema.from_arrow(view_schema(storage, view, version)))
    except DeltaError:
        why = f"{view.table} has no version {version}, or it is no longer kept"
    except KeyError:
        why = f"version {version} of {view.table} is older than its name {view.name}"
    raise click.ClickException(why)


def _load_version(table: "DeltaTable", name: str, version: int) -> None:
    from deltalake.exceptions import DeltaError

    try:
        table.load_as_version(version)
    except DeltaError:
        raise click.ClickException(
            f"{name} has no version {version}, or it is no longer kept; now it has version {table.version()}"
        ) from None


def _print_rows(rows: list[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=1, default=str))
        return
    texts = [[str(row[column] if row[column] is not None else "") for column in columns] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(columns, *texts, strict=True)]
    for line in [list(columns), *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


@click.command()
@click.argument("query")
@warehouse_option
@click.option("--csv", "as_csv", is_flag=True, help="Answer as CSV, lists and structs as JSON in it.")
@explains_faults
@warns_of_withdrawals
def sql(query: str, warehouse: str, as_csv: bool) -> None:
    """Answer QUERY with DuckDB, over the tables as they are now; `ledger` and `quarantine` are tables too."""
    import duckdb

    from carrel.ingest.operations.inspection import query as ask

    try:
        _refuse_changes(query)
        answer = ask(warehouse, query)
        if answer is None:
            return
        if as_csv:
            _write_csv(answer)
        else:
            answer.show(max_rows=1_000, max_width=200)
    except duckdb.Error as error:
        raise click.ClickException(str(error)) from None


def _refuse_changes(query: str) -> None:
    """Only questions: DuckDB would also write files, and make tables that vanish with the command."""
    import duckdb

    asking = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    statements = duckdb.extract_statements(query)
    if not statements:
        raise click.ClickException(
            "the query is empty; write SELECT ... FROM a table that `carrel ingest tables` lists"
        )
    for statement in statements:
        if statement.type not in asking:
            raise click.ClickException(
                f"{statement.type.name} is not a query: this command only reads, as by SELECT. To keep an answer, "
                "use --csv > FILE; tables change by `carrel ingest run`, `replay` and `withdraw` alone"
            )


_AS_JSON = {"list", "array", "struct", "map", "union"}
_AS_TEXT = {"interval", "blob", "bit", "time with time zone"}  # as DuckDB shows them; Arrow's CSV has no form for them


def _write_csv(answer: "DuckDBPyRelation") -> None:
    """Write it batch by batch. A list, struct or map is a cell of JSON."""
    import sys

    from pyarrow import csv

    cells = []
    for position, kind in enumerate(answer.types, start=1):  # by its position, since names need not be unique
        if kind.id in _AS_JSON:
            cells.append(f"to_json(#{position})::VARCHAR")
        else:
            cells.append(f"#{position}::VARCHAR" if kind.id in _AS_TEXT else f"#{position}")
    names = ['"' + name.replace('"', '""') + '"' for name in answer.columns]
    columns = (f"{cell} AS {name}" for cell, name in zip(cells, names, strict=True))
    reader = answer.project(", ".join(columns)).to_arrow_reader()
    with csv.CSVWriter(sys.stdout.buffer, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


@click.group()
def quarantine() -> None:
    """See what was not taken, and why. `carrel ingest replay` takes it again."""


@quarantine.command("list")
@warehouse_option
@json_option
@click.option("--schema-id", help="Only of this schema.")
@click.option("--keyword", help="Only of this keyword.")
@click.option("--stage", help="Only of this stage.")
@click.option("--record", help="Only of this record.")
@explains_faults
@warns_of_withdrawals
def quarantine_list(warehouse: str, as_json: bool, **filters: Any) -> None:
    """One line per file that was not taken."""
    from carrel.ingest.operations.inspection import QuarantineFilter, quarantine_rows
    from carrel.ingest.store import open_storage

    rows = quarantine_rows(open_storage(warehouse), QuarantineFilter(**filters))
    _print_rows(rows, as_json, ("id", "archive_uri", "source_file", "stage", "keyword", "pointer", "message"))


@quarantine.command("show")
@click.argument("line")
@warehouse_option
@explains_faults
@warns_of_withdrawals
def quarantine_show(line: str, warehouse: str) -> None:
    """Everything about one LINE (its id): every fault, and where its bytes are."""
    from carrel.ingest.operations.inspection import QuarantineFilter, quarantine_rows
    from carrel.ingest.store import open_storage

    rows = quarantine_rows(open_storage(warehouse), QuarantineFilter((line,)))
    if not rows:
        raise click.ClickException(f"quarantine has no line {line}; `carrel ingest quarantine list` lists them")
    for name, value in rows[0].items():
        if name != "faults" and value is not None:
            click.echo(f"{name:<14} {value}")
    for fault in json.loads(rows[0]["faults"]):
        click.echo(f"  {fault['stage']}/{fault['keyword']} at {fault['pointer'] or 'the whole'}: {fault['message']}")


quarantine.add_command(replay, "replay")
