"""Old versions in a versioned bucket: `python3 -m carrel.ingest.aws.versions s3://bucket/prefix/` counts them.

What a withdrawal, a compaction or a deletion took away stays as an old version until the bucket's rule forgets it.
`--forget` forgets at once what is not current below the prefix; `--forget-all` whatever is there, current or not.
Needs s3:ListBucketVersions and s3:DeleteObjectVersion, which neither the Lambda nor the task has.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click


class NotForgotten(Exception):
    """S3 kept versions that it should have deleted; the sentence says how many and why."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or (`size` None) the mark that it was deleted. Sizes in bytes."""

    key: str
    version_id: str
    is_current: bool
    size: int | None


def list_versions(client: Any, bucket: str, prefix: str) -> Iterator[ObjectVersion]:
    """Every version and mark below the prefix, current ones too."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for kind in ("Versions", "DeleteMarkers"):
            for entry in page.get(kind, ()):
                yield ObjectVersion(entry["Key"], entry["VersionId"], entry["IsLatest"], entry.get("Size"))


def is_old(version: ObjectVersion) -> bool:
    """Whether nobody sees it who does not ask for old versions."""
    return not version.is_current or version.size is None


def forget(client: Any, bucket: str, versions: list[ObjectVersion]) -> None:
    """Delete these versions for good. Raises NotForgotten; then calling again goes on."""
    # Marks last: without its mark, an object whose old versions are still there would be current again.
    ordered = sorted(versions, key=lambda version: version.size is None)
    for start in range(0, len(ordered), 1000):
        batch = ordered[start : start + 1000]
        objects = [{"Key": version.key, "VersionId": version.version_id} for version in batch]
        errors = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors")
        if errors:
            raise NotForgotten(f"{len(errors)} versions were not deleted; {errors[0]['Key']}: {errors[0]['Code']}")


@click.command(help=__doc__)
@click.argument("url", metavar="PLACE")
@click.option("--forget", "which", flag_value="old", help="Forget old versions below PLACE.")
@click.option("--forget-all", "which", flag_value="all", help="Forget everything below PLACE.")
@click.option("--yes", is_flag=True, help="Do not ask (nobody is asked but at a terminal).")
def main(url: str, which: str | None, yes: bool) -> None:
    import boto3

    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise click.UsageError("PLACE is s3://BUCKET/PREFIX; a whole bucket is not taken.")
    client, prefix = boto3.client("s3"), f"{parts.path.strip('/')}/"
    every = list_versions(client, parts.netloc, prefix)
    chosen = [version for version in every if which == "all" or is_old(version)]
    size = sum(version.size or 0 for version in chosen)
    if which and chosen:
        click.echo(f"{url}: {len(chosen)} versions to forget ({size / 1e6:.1f} MB)")
        if not yes and sys.stdin.isatty():
            click.confirm("Forget them for good?", abort=True)
    if which:
        try:
            forget(client, parts.netloc, chosen)
        except NotForgotten as fault:
            raise click.ClickException(str(fault)) from None
    what = "versions forgotten" if which else "old versions"
    click.echo(f"{url}: {len(chosen)} {what} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    sys.exit(main())
