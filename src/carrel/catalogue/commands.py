"""`carrel catalogue`: what data a backend has, and what can run there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carrel.messages.catalogue import DEFAULT_DATABASE, CatalogueError, dump_catalogue

if TYPE_CHECKING:
    from carrel.messages.catalogue import CatalogueDatabase, CatalogueTable

CATALOGUE = click.Path(path_type=Path)


@contextmanager
def told() -> Iterator[None]:
    """Turn what the parts of a catalogue raise into one sentence each, and exit code 1."""
    from carrel.catalogue.databases import DatabaseUnreadable
    from carrel.catalogue.dummy import DummyError
    from carrel.catalogue.publication import CatalogueNotTaken
    from carrel.project.model_files import ModelFileError

    try:
        yield
    except (CatalogueError, DatabaseUnreadable, DummyError, ModelFileError, CatalogueNotTaken) as error:
        raise click.ClickException(str(error)) from None


@click.group()
def catalogue() -> None:
    """Say what data a backend has, and what can run there.

    A catalogue is made where the data is, put to the job server, and held against the SQL of studies. It names tables,
    columns and types, and holds no values.
    """


@catalogue.command()
@click.option("--database", "databases", multiple=True, metavar="[NAME=]URL",
              help="A database of the backend. NAME alone: the address is that of NAME_DATABASE_URL, as the agent has "
              "it. Repeat for several.  [default: default]")  # fmt: skip
@click.option("--backend", envvar="BACKEND", required=True, help="The backend's name on the job server.")
@click.option("--notes", "notes", multiple=True, type=CATALOGUE, metavar="FILE",
              help="The backend's own notes on its data (YAML). Repeat for several databases.")  # fmt: skip
@click.option("--output", type=CATALOGUE, help="The file to write.  [default: standard output]")
def build(databases: tuple[str, ...], backend: str, notes: tuple[Path, ...], output: Path | None) -> None:
    """Make the catalogue of a backend from its databases and its notes.

    An address that holds a password belongs in the environment (DEFAULT_DATABASE_URL), not in the command line.
    """
    from carrel.catalogue.building import build_catalogue
    from carrel.units.files import write_atomically

    with told():
        urls = dict(map(_database, databases or (DEFAULT_DATABASE,)))
        catalogue, warnings = build_catalogue(backend, urls, notes)
    data = dump_catalogue(catalogue)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if output is None:
        sys.stdout.buffer.write(data)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, data, synced="file")
    tables = [table for database in catalogue.databases for table in database.tables]
    click.echo(f"{output}: {len(tables)} tables, {sum(len(table.columns) for table in tables)} columns of {backend}")


def _database(text: str) -> tuple[str, str]:
    """Return name and address of what `--database` says. UsageError for an address with a password."""
    from carrel.catalogue.databases import has_password

    before = text.partition("://")[0]
    if "://" not in text:
        variable = f"{text.upper()}_DATABASE_URL"
        if not (url := os.environ.get(variable, "")):
            raise click.UsageError(f"the database {text} has no address: set {variable}, or give --database {text}=URL")
        return text, url
    name, _, url = text.partition("=") if "=" in before else (DEFAULT_DATABASE, "", text)
    if has_password(url):
        raise click.UsageError(
            f"a password in a command line is seen by everyone on the machine: set {name.upper()}_DATABASE_URL, "
            f"and give --database {name}"
        )
    return name, url


@catalogue.command()
@click.argument("file", type=CATALOGUE)
@click.option("--table", help="Show the columns of this table.")
@click.option("--search", "text", help="Show the tables that these words are in.")
def show(file: Path, table: str | None, text: str | None) -> None:
    """Show the catalogue in FILE: its tables, or the columns of one."""
    from carrel.catalogue.files import read_catalogue
    from carrel.catalogue.search import search

    with told():
        document = read_catalogue(file)
    if table is not None:
        _show_columns(_table(document.databases, table))
        return
    click.echo(f"{document.backend}, made {document.built}")
    click.echo("".join(f"{said}\n" for said in (document.description, document.access, document.contact) if said))
    names = None
    if text is not None:
        names = {(hit.database.name, hit.table.qualified_name) for hit in search([document], text, limit=5_000).hits}
    for database in document.databases:
        click.echo(f"database {database.name} ({database.dialect})")
        for data_set in database.data_sets:
            tables = [
                listed for listed in data_set.tables if names is None or (database.name, listed.qualified_name) in names
            ]
            if tables:
                click.echo(f"  {data_set.title or data_set.name}")
            for listed in tables:
                facts = [f"{len(listed.columns)} columns", f"rows: {listed.rows_in_words}"]
                facts += [f"changed {listed.changed}"] if listed.changed else []
                click.echo(f"    {listed.qualified_name}  {', '.join(facts)}")


def _table(databases: "tuple[CatalogueDatabase, ...]", name: str) -> "CatalogueTable":
    """Return the table of that name, with its schema or without. ClickException where there is none."""
    from carrel.project.problems import did_you_mean

    tables = [table for database in databases for table in database.tables]
    for table in tables:
        if name in (table.qualified_name, table.name):
            return table
    raise click.ClickException(f"no table is called {name}{did_you_mean(name, [table.name for table in tables])}")


def _show_columns(table: "CatalogueTable") -> None:
    click.echo(f"{table.qualified_name}  rows: {table.rows_in_words}")
    if table.description:
        click.echo(table.description)
    if table.permission:
        click.echo(f"needs the permission {table.permission}")
    width = max((len(column.name) for column in table.columns), default=0)
    kinds = max((len(column.type) for column in table.columns), default=0)
    for column in table.columns:
        click.echo(f"  {column.name:<{width}}  {column.type:<{kinds}}  {column.description}".rstrip())


@catalogue.command()
@click.argument("study", type=click.Path(path_type=Path, exists=True))
@click.option("--catalogue", "paths", multiple=True, required=True, type=CATALOGUE, metavar="FILE",
              help="A backend's catalogue, or a folder of them. Repeat for several.")  # fmt: skip
@click.option("--database", default=DEFAULT_DATABASE, show_default=True, help="The database that the study will ask.")
@click.pass_context
def check(ctx: click.Context, study: Path, paths: tuple[Path, ...], database: str) -> None:
    """Say on which backends the actions of STUDY (a folder, or its project.yaml) can run.

    The same as `carrel check --catalogue FILE`.
    """
    whole = ctx.find_root().command
    assert isinstance(whole, click.Group)
    same = whole.get_command(ctx, "check")
    assert same is not None
    file = study / "project.yaml" if study.is_dir() else study
    ctx.invoke(same, files=(file,), form="text", catalogues=paths, database=database)


@catalogue.command()
@click.argument("file", type=CATALOGUE)
@click.option("--to", "server", required=True, metavar="URL", help="The job server's address.")
@click.option("--token-file", required=True, type=CATALOGUE, help="A file with the backend's token, and nothing else.")
def publish(file: Path, server: str, token_file: Path) -> None:
    """Put the catalogue in FILE to the job server. Doing it again changes nothing."""
    from carrel.catalogue import publication
    from carrel.catalogue.files import read_catalogue

    with told():
        document = read_catalogue(file)
        publication.publish(document, server, publication.read_token(token_file))
    click.echo(f"the job server has the catalogue of {document.backend}")


@catalogue.command()
@click.argument("file", type=CATALOGUE)
@click.option("--table", required=True, help="The table whose columns to take.")
@click.option("--rows", type=int, default=100, show_default=True, help="How many rows to make.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same rows.")
@click.option("--output", type=CATALOGUE, required=True, help="The file to write: .csv, .csv.gz or .parquet.")
def dummy(file: Path, table: str, rows: int, seed: int, output: Path) -> None:
    """Make dummy data with the columns and types of a table in FILE. Nothing of it comes from real data."""
    from carrel.catalogue.dummy import dummy_rows, write_dummy
    from carrel.catalogue.files import read_catalogue

    with told():
        chosen = _table(read_catalogue(file).databases, table)
        write_dummy(dummy_rows(chosen, rows, seed), output)
    click.echo(f"{output}: {rows} rows of dummy data for {chosen.qualified_name}")
