"""`carrel status` and `carrel logs`."""

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.option("--backend", help="Only the actions of this backend.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(backend: str | None, as_json: bool) -> None:
    """Show what ran here, when, from which commit, and whether its code, inputs or image have changed since."""
    from carrel.cli.common import explained
    from carrel.local.settings import LocalSettings
    from carrel.local.show import columns, status_rows
    from carrel.local.status import statuses
    from carrel.local.study import Study

    with explained(as_json):
        found = statuses(Study.at(Path()), LocalSettings.from_env(), backend)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
    else:
        click.echo("\n".join(columns(status_rows(found))))


@click.command()
@click.argument("action")
@click.option("--no-timestamps", is_flag=True, help="Only what the action itself printed.")
def logs(action: str, no_timestamps: bool) -> None:
    """Show the log of the last finished run of ACTION."""
    from carrel.cli.common import explained
    from carrel.local.report import program_lines
    from carrel.local.study import Study

    with explained():
        log = Study.at(Path()).log_of(action)
    text = "\n".join(program_lines(log)) if no_timestamps else log.read_text("utf-8", "backslashreplace")
    click.echo(text.rstrip("\n"))
