"""`carrel plan` and `carrel graph`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carrel.local.run import Options
    from carrel.local.study import Study


@click.command()
@click.argument("actions", metavar="[ACTION]...", nargs=-1)
@click.option("-f", "--force-run-dependencies", is_flag=True, help="As if the actions needed were to run again too.")
@click.option("--backend", help="Plan as this backend would.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(actions: tuple[str, ...], force_run_dependencies: bool, backend: str | None, as_json: bool) -> None:
    """Show what `carrel run ACTION...` would do, and why; all actions if none is named. Nothing is run."""
    from carrel.cli.common import explained
    from carrel.local.run import Options, with_all_actions
    from carrel.local.study import Study

    options = with_all_actions(Options(actions, force=force_run_dependencies, backend=backend))
    with explained(as_json):
        show_plan(Study.at(Path()), options, as_json)


def show_plan(study: "Study", options: "Options", as_json: bool) -> None:
    """Print the plan, in dependency order."""
    from carrel.local.run import plan_run
    from carrel.local.show import plan_lines, plan_rows

    _, planned = plan_run(study, options)
    click.echo(json.dumps(plan_rows(planned), indent=2) if as_json else "\n".join(plan_lines(planned)))


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
