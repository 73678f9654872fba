"""`carrel ingest artifacts`: thin over `artifacts`."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from carrel.ingest.aws.artifacts import ArtifactsError, count_files, list_refs, remove, upload


@click.command()
@click.option("--upload", "action", flag_value="upload", help="Make the ref hold the folders given, and nothing else.")
@click.option("--remove", "action", flag_value="remove", help="Remove everything of the ref.")
@click.option("--list", "action", flag_value="list", help="List the refs there are.")
@click.option("--ref", help="Name of a branch or version; artifacts of each ref are apart.")
@click.option("--bucket", required=True, envvar="CARREL_ARTIFACTS_BUCKET", help="The bucket of artifacts.")
@click.option(
    "--folder",
    "folders",
    multiple=True,
    metavar="NAME=PATH",
    help="A folder to upload as Carrel/REF/NAME; default: templates=deploy/aws/templates, mapping=deploy/aws/mapping.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def artifacts(action: str | None, ref: str | None, bucket: str, folders: tuple[str, ...], as_json: bool) -> None:
    """Keep what deployments are made of (templates, mapping and schemas) in a bucket, by ref."""
    if action is None:
        raise click.UsageError("Say one of --upload, --remove and --list.")
    if action != "list" and ref is None:
        raise click.UsageError(f"--{action} needs --ref NAME.")
    try:
        _perform(action, ref or "", bucket, folders, as_json)
    except ArtifactsError as error:
        raise click.ClickException(str(error)) from error


def _perform(action: str, ref: str, bucket: str, folders: tuple[str, ...], as_json: bool) -> None:
    import boto3

    client = boto3.client("s3")
    if action == "list":
        names = list_refs(client, bucket)
        click.echo(json.dumps(names) if as_json else "\n".join(names))
        return
    if action == "remove" and sys.stdin.isatty():
        click.confirm(f"Remove {count_files(client, bucket, ref)} files of {ref} for good?", abort=True, err=True)
    changes = upload(client, bucket, ref, _folders(folders)) if action == "upload" else remove(client, bucket, ref)
    counts: dict[str, Any] = {
        "written": len(changes.written),
        "same": len(changes.same),
        "removed": len(changes.removed),
    }
    text = ", ".join(f"{number} {what}" for what, number in counts.items())
    click.echo(json.dumps({"ref": ref, **counts}) if as_json else f"{ref}: {text}")


def _folders(options: tuple[str, ...]) -> dict[str, Path]:
    if not options:
        return {name: Path("deploy/aws") / name for name in ("templates", "mapping")}
    pairs = [text.partition("=") for text in options]
    if any(not name or not path for name, _, path in pairs):
        raise click.UsageError("--folder is NAME=PATH.")
    return {name: Path(path) for name, _, path in pairs}
