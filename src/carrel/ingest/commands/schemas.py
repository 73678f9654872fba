"""check, schemas, diff-schema."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carrel.ingest.commands.shared import explains_faults, json_option, load_schemas, mapping_options
from carrel.ingest.exits import EXIT_FOUND, EXIT_TAKEN
from carrel.ingest.run.report import many

if TYPE_CHECKING:
    from carrel.ingest.schemas.diff import SchemaChange
    from carrel.ingest.schemas.samples import SampleComparison


@click.command()
@mapping_options
@click.option("--warehouse", envvar="CARREL_WAREHOUSE", show_envvar=True, help="Also check against the tables there.")
@json_option
@click.pass_context
@explains_faults
def check(
    ctx: click.Context, mapping_file: Path | None, schema_folder: Path, warehouse: str | None, as_json: bool
) -> None:
    """Check the mapping file, with the schema store and the tables: what is wrong, and what looks it.

    Exit code 1 when there are errors; warnings do not count.
    """
    from carrel.ingest.mapping_checks import check_mapping
    from carrel.ingest.store import catalog, open_storage

    current = load_schemas(mapping_file, schema_folder)
    entries = catalog.load_all(open_storage(warehouse)) if warehouse else {}
    built = {name: entry.schema for name, entry in entries.items()}
    partitioned = {name: entry.partition_by for name, entry in entries.items()}
    findings = check_mapping(current.mapping, current.library, built, partitioned)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        click.echo("\n".join(map(str, findings)) or "nothing is wrong")
    ctx.exit(1 if any(finding.severity == "error" for finding in findings) else 0)


@click.command("diff-schema")
@click.argument("uri")
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sample", "source", help="Try both schemas on representative archives of this source.")
@click.option("--app", help="App id of records whose metadata names none.")
@mapping_options
@click.pass_context
@explains_faults
def diff_schema(
    ctx: click.Context,
    uri: str,
    new: Path,
    source: str | None,
    app: str | None,
    mapping_file: Path | None,
    schema_folder: Path,
) -> None:
    """Say what the schema in the file NEW would change against the stored one, URI.

    With --sample, one record for each assessment revision, operating system and app version is checked by both.

    Exit code 0: compatible. 3: not, or nobody knows: a column would change its kind, files of the sample that are taken
    now would be refused, or files may be refused and no file of a sample shows that they are not. 1: it could not be
    said (NEW is no schema, URI is not in the store, ...).
    """
    from carrel.ingest.operations.trial import try_schema, with_document
    from carrel.ingest.schemas.diff import diff_schema as compare
    from carrel.ingest.schemas.incoming import document_of
    from carrel.ingest.sources import whole_source_of

    current = load_schemas(mapping_file, schema_folder)
    if uri not in current.library:
        raise click.ClickException(f"{uri} is not in the store; `carrel ingest schemas list` lists what is")
    document = document_of(new.read_bytes(), str(new), uri)
    if not document.uris:
        raise click.ClickException(f"{new} is an archive map, not a schema; `carrel ingest check` looks at those")
    if len(document.uris) > 1:
        click.echo(f"Note: the $id of {new} is {document.uris[1]}: adding it would not change {uri}.", err=True)
    proposed = with_document(current.library, uri, document.data)
    changes = compare(current.library.document(uri), proposed.document(uri), current.library, proposed)
    for change in changes:
        click.echo(f"{change.change.value:<9} {change.pointer or 'the whole'}: {change.message}")
    click.echo(many(len(changes), "change"))
    outcomes = list(try_schema(whole_source_of(source), current, proposed, uri, app)) if source else []
    for outcome in outcomes:
        click.echo(f"{outcome.verdict}: {' '.join(map(str, outcome.group))}: {outcome.source_file}")
        for fault in outcome.after:
            click.echo(f"  {fault.keyword} at {fault.pointer or 'the whole'}: {fault.message}")
    objections = _objections(changes, outcomes)
    click.echo("; ".join(objections) or "compatible")
    ctx.exit(EXIT_FOUND if objections else EXIT_TAKEN)


def _objections(changes: "list[SchemaChange]", outcomes: "list[SampleComparison]") -> list[str]:
    """What speaks against the new schema."""
    from carrel.ingest.schemas.diff import ChangeClass

    classes = {change.change for change in changes}
    refused = sum(outcome.verdict == "refused now" for outcome in outcomes)
    objections = []
    if ChangeClass.KIND in classes:
        objections.append("a column would change its kind: choose a policy, or a new dataset version")
    if refused:
        objections.append(
            f"{many(refused, 'file')} of the sample would be refused, and {'is' if refused == 1 else 'are'} taken now"
        )
    if ChangeClass.NARROWING in classes and not outcomes:
        objections.append("files may be refused: try it with --sample SOURCE on archives that have such files")
    return objections


@click.group()
def schemas() -> None:
    """Fill and list the schema store. Runs read schemas from it alone, never from the network."""


_folder = click.option(
    "--schemas",
    "folder",
    envvar="CARREL_INGEST_SCHEMAS",
    show_envvar=True,
    default="schemas",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The schema store's folder.",
)


@schemas.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--url", help="Where the one file comes from, when it has no absolute $id.")
@_folder
@explains_faults
def add(paths: tuple[Path, ...], url: str | None, folder: Path) -> None:
    """Take schemas, or an archive map, from files and folders."""
    from carrel.ingest.schemas import SchemaStore

    for stored in SchemaStore(folder).add(paths, url):
        click.echo(f"{stored.change:<9}  {stored.uri}")


@schemas.command()
@mapping_options
@explains_faults
def pull(mapping_file: Path | None, schema_folder: Path) -> None:
    """Fetch the archive map that the mapping names, and every schema that it names."""
    from carrel.ingest.mapping import load
    from carrel.ingest.schemas import SchemaStore

    source = load(mapping_file).archive_map
    if source is None:
        raise click.ClickException("the mapping names no archive_map")
    base = mapping_file.parent if mapping_file else None
    for stored in SchemaStore(schema_folder).pull(source, base):
        click.echo(f"{stored.change:<9}  {stored.uri}")


@schemas.command("list")
@_folder
@explains_faults
def list_schemas(folder: Path) -> None:
    """Every schema in the store, with the hash of its bytes."""
    from carrel.ingest.schemas import SchemaStore

    library = SchemaStore(folder).library()
    for uri, sha in sorted(library.hashes.items()):
        click.echo(f"{sha[:12]}  {uri}")
