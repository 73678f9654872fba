"""`carrel plan` and `carrel graph`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from carrel.local.run import RunOptions
    from carrel.local.study import Study


@click.command()
@click.argument("actions", metavar="[ACTION]...", nargs=-1)
@click.option("-f", "--force-run-dependencies", is_flag=True, help="As if the actions needed were to run again too.")
@click.option("--backend", help="Plan as this backend would.")
@click.option("--site", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Plan `carrel submit` to the site that `carrel up` keeps in DIR.")  # fmt: skip
@click.option("--workspace", help="With --site. Default: the folder's name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    actions: tuple[str, ...], force_run_dependencies: bool, backend: str | None, site: Path | None,
    workspace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what `carrel run ACTION...` would do, and why; all actions if none is named. Nothing is run.

    With --site: what `carrel submit` would do, of project.yaml as it is here, on each backend; and which outputs that
    are there were made from data that has changed since."""
    from carrel.cli.common import explained
    from carrel.local.run import RunOptions, with_all_actions
    from carrel.local.study import Study

    options = with_all_actions(RunOptions(actions=actions, force=force_run_dependencies, backend=backend))
    with explained(as_json):
        study = Study.at(Path())
        if site is None:
            show_plan(study, options, as_json)
        else:
            show_plan_at_site(site, workspace, study, options, as_json)


def show_plan(study: "Study", options: "RunOptions", as_json: bool) -> None:
    """Print the plan, in dependency order."""
    from carrel.local.run import plan_run
    from carrel.local.tables import plan_lines, plan_rows

    _, planned = plan_run(study, options)
    click.echo(json.dumps(plan_rows(planned), indent=2) if as_json else "\n".join(plan_lines(planned)))


def show_plan_at_site(site: Path, workspace: str | None, study: "Study", options: "RunOptions", as_json: bool) -> None:
    """Print the plan of each backend, or of the one asked for."""
    from carrel.jobs.plan import plan
    from carrel.site.status_tables import AGAIN, planned_lines, planned_rows
    from carrel.site.study_requests import workspace_name
    from carrel.site.workspaces import workspaces

    rows: list[dict[str, Any]] = []
    whole = study.pipeline()
    for there in workspaces(site, workspace or workspace_name(str(study.folder)), options.backend):
        pipeline = whole.for_backend(there.backend)
        planned, data = plan(options.actions, pipeline, there.latest, options.force), there.data(pipeline)
        rows += planned_rows(there.backend, planned, data)
        if not as_json:
            click.echo("\n".join([f"{there.backend}:", *planned_lines(planned, data)]))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif any(row["data"]["tables"] for row in rows):
        click.echo(AGAIN)


@click.command()
@click.option("--format", "form", type=click.Choice(["mermaid", "dot", "svg"]), default="mermaid", help="How to draw.")
@click.option("--backend", help="Only what runs on this backend.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else printed.")
def graph(form: str, backend: str | None, output: Path | None) -> None:
    """Draw which action needs which."""
    from carrel.cli.common import explained
    from carrel.local.graph import draw
    from carrel.local.study import Study

    with explained():
        study = Study.at(Path())
        pipeline = study.pipeline().for_backend(backend) if backend else study.pipeline()
        text = draw({name: action.needs for name, action in pipeline.actions.items()}, form)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
