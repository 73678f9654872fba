"""`carrel codelists ...`."""

import os
from pathlib import Path

import click

from carrel.local.codelists import Codelists, UpstreamChanged
from carrel.project.codelists import FOLDER


@click.group()
def codelists() -> None:
    """Add, update and check the codelists in codelists/.

    OPENCODELISTS_BASE_URL is the address of the OpenCodelists to use.
    """


@codelists.command()
@click.argument("url")
def add(url: str) -> None:
    """Add the codelist at URL (its page on OpenCodelists) and fetch it."""
    codelist = Codelists(Path()).add(url)
    click.echo(f"Added {codelist.id} as {FOLDER}/{codelist.filename}")


@codelists.command()
def update() -> None:
    """Fetch every codelist named in codelists/codelists.txt."""
    for codelist in Codelists(Path()).update():
        click.echo(f"Fetched {codelist.id}")


@codelists.command()
def check() -> None:
    """Check that the files are those named and fetched, and still those on OpenCodelists."""
    if not Path(FOLDER).is_dir():
        click.echo(f"No {FOLDER} folder here: nothing to check.")
        return
    here = Codelists(Path())
    here.check()
    _check_upstream(here, only_say=bool(os.environ.get("GITHUB_WORKFLOW")))


@codelists.command("check-upstream")
def check_upstream() -> None:
    """Check only against OpenCodelists."""
    if not Path(FOLDER).is_dir():
        click.echo(f"No {FOLDER} folder here: nothing to check.")
        return
    _check_upstream(Codelists(Path()), only_say=False)


def _check_upstream(here: Codelists, only_say: bool) -> None:
    # In a study's continuous integration a change upstream is no fault of the commit being tested.
    try:
        here.check_upstream()
    except UpstreamChanged as error:
        if not only_say:
            raise
        click.echo(f"Warning: {error}")
        return
    click.echo("Codelists OK")
