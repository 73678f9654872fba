"""status, reconcile, tables, sql, quarantine: they change nothing."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from carrel.ingest.commands.shared import (
    ending,
    json_option,
    looking,
    mapping_option,
    warehouse_at,
    warehouse_option,
)
from carrel.ingest.exits import EXIT_FOUND, EXIT_TAKEN


@click.command()
@warehouse_option
@mapping_option
@json_option
@ending
def status(warehouse: str, mapping_file: Path | None, as_json: bool) -> None:
    """Show what the warehouse holds, and how its last run went.

    Counts files of no dataset, but for those that the mapping ignores.
    """
    from carrel.ingest.mapping import load
    from carrel.ingest.operations.status import read_status

    found = read_status(warehouse_at(warehouse), load(mapping_file))
    click.echo(json.dumps(asdict(found), indent=1, default=str) if as_json else found.text())


@click.command()
@click.argument("source")
@warehouse_option
@mapping_option
@json_option
@click.pass_context
@ending
@looking
def reconcile(ctx: click.Context, source: str, warehouse: str, mapping_file: Path | None, as_json: bool) -> None:
    """Explain each archive of SOURCE that is not simply in the tables, and hold the tables' rows to the ledger.

    Exit code 3 when archives wait to be taken, or the tables do not hold the rows that the ledger says. Counts files
    of no dataset, but for those that the mapping ignores.
    """
    from carrel.ingest.mapping import load
    from carrel.ingest.operations.reconciliation import reconcile as compare
    from carrel.ingest.sources import whole_source_of
    from carrel.ingest.store import open_storage

    with whole_source_of(source) as opened:
        found = compare(open_storage(warehouse), opened.list(), load(mapping_file))
    if as_json:
        click.echo(json.dumps(asdict(found) | {"is_sound": found.is_sound}, indent=1))
    else:
        _tell(found)
    ctx.exit(EXIT_TAKEN if found.is_sound else EXIT_FOUND)


def _tell(found: Any) -> None:
    from carrel.ingest.run.report import many
    from carrel.ingest.run.unmapped import unmapped_text

    listed, records = many(found.listed, "archive"), many(found.records, "record")
    click.echo(f"{listed} at the source, {found.in_ledger:,} of them in the ledger; {records}")
    for name, count in found.counts.items():
        click.echo(f"  {name:<12} {count:>10,}")
    if found.open_run:
        click.echo(f"Run {found.open_run} is under way or was interrupted; the next run finishes or undoes it.")
    for each in found.findings:
        click.echo(
            f"{each.kind}: {each.archive_uri or each.record_id or _NOBODY.get(each.kind, 'no record')}: {each.why}"
        )
    _tell_rows(found)
    if found.unmapped_files:
        click.echo(unmapped_text(found.unmapped_files))
    click.echo("Everything is accounted for." if found.is_sound else _next_step({each.kind for each in found.findings}))


_NOBODY = {"withdrawn": "somebody", "damaged": "the warehouse"}


def _tell_rows(found: Any) -> None:
    from carrel.ingest.run.report import many

    differing = {name: counts for name, counts in found.tables.items() if counts[0] != counts[1]}
    for name, (wanted, have) in differing.items():
        click.echo(f"Table {name} has {many(have, 'row')}, the ledger says {wanted:,}.")
    if found.tables and not differing:
        rows = many(sum(have for _, have in found.tables.values()), "row")
        click.echo(f"{rows} in {many(len(found.tables), 'table')}, as many as the ledger says.")


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
@ending
@looking
def tables(table: str | None, warehouse: str, as_json: bool, version: int | None) -> None:
    """List the tables, or the columns of TABLE; of a dataset with `naming: bridge` also by its name there."""
    from carrel.ingest.operations.inspection import find_view
    from carrel.ingest.operations.inspection import list_tables as list_tables
    from carrel.ingest.run.report import size
    from carrel.ingest.store import open_storage, open_table

    storage = open_storage(warehouse)
    if table is None:
        found = [asdict(each) for each in list_tables(storage)]
        shown = found if as_json else [{**each, "size": size(each["size"])} for each in found]
        others = tuple(column for column in ("bridge", "sql") if any(each[column] for each in found))
        _rows(shown, as_json, ("name", "version", "rows", "files", "size", "columns", *others))
        return
    opened = open_table(storage, table)
    view = find_view(storage, table) if opened is None else None
    if view is not None:
        _rows(_columns_of_view(storage, view, version), as_json, ("column", "type"))
        return
    if opened is None:
        raise click.ClickException(f"there is no table {table}; `carrel ingest tables` lists them")
    if version is not None:
        opened = _as_of(opened, table, version)
    _rows(_columns(opened.schema()), as_json, ("column", "type"))


def _columns(schema: Any) -> list[dict[str, Any]]:
    return [{"column": each.name, "type": str(each.type.type)} for each in _fields(schema)]


def _columns_of_view(storage: Any, view: Any, version: int | None) -> list[dict[str, Any]]:
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


def _as_of(table: Any, name: str, version: int) -> Any:
    from deltalake.exceptions import DeltaError

    try:
        table.load_as_version(version)
    except DeltaError:
        raise click.ClickException(
            f"{name} has no version {version}, or it is no longer kept; now it has version {table.version()}"
        ) from None
    return table


def _fields(schema: Any) -> Any:
    from deltalake.schema import PrimitiveType

    for each in schema.fields:
        yield each if isinstance(each.type, PrimitiveType) else _Listed(each.name)


class _Listed:
    """A column that holds lists."""

    def __init__(self, name: str):
        self.name = name
        self.type = self

    def __str__(self) -> str:
        return "list"


def _rows(rows: list[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=1, default=str))
        return
    texts = [[str(row[column] if row[column] is not None else "") for column in columns] for row in rows]
    widths = [max(map(len, each)) for each in zip(columns, *texts, strict=True)]
    for line in [list(columns), *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


@click.command()
@click.argument("query")
@warehouse_option
@click.option("--csv", "as_csv", is_flag=True, help="Answer as CSV, lists and structs as JSON in it.")
@ending
@looking
def sql(query: str, warehouse: str, as_csv: bool) -> None:
    """Answer QUERY with DuckDB, over the tables as they are now; `ledger` and `quarantine` are tables too."""
    import duckdb

    from carrel.ingest.operations.inspection import query as ask

    try:
        _refuse_changes(query)
        found = ask(warehouse, query)
        if found is None:
            return
        if as_csv:
            _csv(found)
        else:
            found.show(max_rows=1_000, max_width=200)
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


def _csv(found: Any) -> None:
    """Batch by batch. A list, struct or map is a cell of JSON."""
    import sys

    from pyarrow import csv

    cells = [_cell(at, kind.id) for at, kind in enumerate(found.types, start=1)]
    names = ['"' + name.replace('"', '""') + '"' for name in found.columns]
    columns = (f"{cell} AS {name}" for cell, name in zip(cells, names, strict=True))
    reader = found.project(", ".join(columns)).to_arrow_reader()
    with csv.CSVWriter(sys.stdout.buffer, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _cell(at: int, kind: str) -> str:
    """The column by its position, since names need not be unique."""
    if kind in _AS_JSON:
        return f"to_json(#{at})::VARCHAR"
    return f"#{at}::VARCHAR" if kind in _AS_TEXT else f"#{at}"


@click.group()
def quarantine() -> None:
    """See what was not taken, and why. `carrel ingest replay` takes it again."""


def _filtered(command: Any) -> Any:
    for name in ("record", "stage", "keyword", "schema-id"):
        command = click.option(f"--{name}", help=f"Only of this {name.replace('-id', '')}.")(command)
    return command


@quarantine.command("list")
@warehouse_option
@json_option
@_filtered
@ending
@looking
def quarantine_list(warehouse: str, as_json: bool, **given: Any) -> None:
    """One line per file that was not taken."""
    from carrel.ingest.operations.inspection import QuarantineFilter
    from carrel.ingest.operations.inspection import quarantine_rows as held
    from carrel.ingest.store import open_storage

    rows = held(open_storage(warehouse), QuarantineFilter(**given))
    _rows(rows, as_json, ("id", "archive_uri", "source_file", "stage", "keyword", "pointer", "message"))


@quarantine.command("show")
@click.argument("line")
@warehouse_option
@ending
@looking
def quarantine_show(line: str, warehouse: str) -> None:
    """Everything about one LINE (its id): every fault, and where its bytes are."""
    from carrel.ingest.operations.inspection import QuarantineFilter
    from carrel.ingest.operations.inspection import quarantine_rows as held
    from carrel.ingest.store import open_storage

    rows = held(open_storage(warehouse), QuarantineFilter((line,)))
    if not rows:
        raise click.ClickException(f"quarantine has no line {line}; `carrel ingest quarantine list` lists them")
    for name, value in rows[0].items():
        if name != "faults" and value is not None:
            click.echo(f"{name:<14} {value}")
    for fault in json.loads(rows[0]["faults"]):
        click.echo(f"  {fault['stage']}/{fault['keyword']} at {fault['pointer'] or 'the whole'}: {fault['message']}")


def _replay_command() -> click.Command:
    from carrel.ingest.commands.run import replay

    return replay


quarantine.add_command(_replay_command(), "replay")
