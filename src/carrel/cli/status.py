"""`carrel status` and `carrel logs`."""

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.option("--backend", help="Only the actions of this backend.")
@click.option("--site", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="What ran at the site that `carrel up` keeps in DIR, in place of here.")  # fmt: skip
@click.option("--workspace", help="With --site. Default: the folder's name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(backend: str | None, site: Path | None, workspace: str | None, as_json: bool) -> None:
    """Show what ran here, when, from which commit, and whether its code, inputs or image have changed since.

    With --site: what ran there, and whether the data that it read has changed since. Nothing is run again by that."""
    from carrel.cli.common import explained

    with explained(as_json):
        lines = _at_site(site, workspace, backend, as_json) if site else _here(backend, as_json)
    click.echo("\n".join(lines))


def _here(backend: str | None, as_json: bool) -> list[str]:
    from carrel.local.settings import LocalSettings
    from carrel.local.status import read_statuses
    from carrel.local.study import Study
    from carrel.local.tables import columns, status_rows

    actions = read_statuses(Study.at(Path()), LocalSettings.from_env(), backend)
    if as_json:
        return [json.dumps([asdict(action) for action in actions], indent=2)]
    return list(columns(status_rows(actions)))


def _at_site(site: Path, workspace: str | None, backend: str | None, as_json: bool) -> list[str]:
    from carrel.local.study import Study
    from carrel.site.status_tables import status_lines, status_rows
    from carrel.site.study_requests import workspace_name
    from carrel.site.workspaces import workspaces

    study = Study.at(Path())
    chosen = workspaces(site, workspace or workspace_name(str(study.folder)), backend)
    rows = list(status_rows(chosen, study.pipeline()))
    return [json.dumps(rows, indent=2)] if as_json else list(status_lines(rows))


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
