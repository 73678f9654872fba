"""`carrel check` and `carrel schema`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carrel.local.study import PROJECT_FILE, load

if TYPE_CHECKING:
    from carrel.catalogue.report import WhereActionRuns
    from carrel.messages.catalogue import Catalogue
    from carrel.project import Problem


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="How to print.")
@click.option("--catalogue", "catalogues", multiple=True, metavar="FILE", type=click.Path(path_type=Path, exists=True),
              help="What data a backend has, or a folder of such files: say where each action can run. Repeat for "
              "several.  [default: CATALOGUES_DIR, else those of a site that is here]")  # fmt: skip
@click.option("--database", default="default", show_default=True, help="The database that the study will ask.")
def check(files: tuple[Path, ...], form: str, catalogues: tuple[Path, ...], database: str) -> None:
    """Check FILE (project.yaml here), and backends.yaml beside it.

    Prints every error and warning as file:line:column: message. The exit code is 1 when there are errors.

    With catalogues of backends it says where each action finds the tables and columns that its SQL reads: a warning
    where one lacks some, an error where an action could run nowhere.
    """
    from carrel.local.settings import LocalSettings

    catalogues_by_backend = _catalogues(catalogues or LocalSettings.from_env().catalogue_folders)
    problems: list[Problem] = []
    rows: list[WhereActionRuns] = []
    for file in files or (Path(PROJECT_FILE),):
        some_problems, some_rows = _checked(file, catalogues_by_backend, database)
        problems += some_problems
        rows += some_rows
    if form == "json" and catalogues_by_backend:
        where = [row.as_json() for row in rows]
        click.echo(json.dumps({"problems": _as_json(problems), "where_actions_run": where}, indent=2))
    else:
        _print(problems, form)
    if not problems and form == "text":
        click.echo("No problems found.")
    if form == "text" and rows:
        click.echo(f"Where each action can run, by the catalogues of {', '.join(catalogues_by_backend)}:")
        click.echo("\n".join(f"  {row.line()}" for row in rows))
    sys.exit(1 if any(problem.severity == "error" for problem in problems) else 0)


def _catalogues(paths: Sequence[Path]) -> "dict[str, Catalogue]":
    """Read the catalogues; a fault in one is no fault of the study."""
    from carrel.catalogue.files import read_catalogues
    from carrel.messages.catalogue import CatalogueError

    try:
        return read_catalogues(paths)
    except CatalogueError as error:
        raise click.ClickException(str(error)) from None


def _checked(
    path: Path, catalogues: "Mapping[str, Catalogue]", database: str
) -> "tuple[list[Problem], list[WhereActionRuns]]":
    """Return what is wrong with a study, and where its actions find their data."""
    from carrel.catalogue.files import study_text
    from carrel.catalogue.report import backends_to_check, data_problems, where_actions_run
    from carrel.catalogue.runnable import runnable
    from carrel.project import ProjectValidationError

    try:
        pipeline = load(path, str(path), tuple(catalogues))
    except ProjectValidationError as error:
        return list(error.problems), []
    if not catalogues:
        return list(pipeline.warnings), []
    backends = backends_to_check(pipeline, catalogues)
    checks = runnable(pipeline, lambda name: study_text(path.parent, name), backends, database=database)
    backend_names = [f"`{backend}`" for backend in catalogues]
    warnings = [
        problem
        for problem in pipeline.warnings
        if problem.rule != "backend-unknown" or not any(name in problem.message for name in backend_names)
    ]
    return [*warnings, *data_problems(pipeline, checks)], where_actions_run(checks)


def _as_json(problems: "Sequence[Problem]") -> list[dict[str, object]]:
    fields = ("filename", "line", "column", "severity", "rule", "message")
    return [{name: getattr(problem, name) for name in fields} for problem in problems]


def _print(problems: "Sequence[Problem]", form: str) -> None:
    if form == "json":
        click.echo(json.dumps(_as_json(problems), indent=2))
        return
    for problem in problems:
        if form == "github":
            # An annotation, as GitHub's workflow commands write them (percent and line ends escaped).
            message = problem.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
            position = f"file={problem.filename},line={problem.line},col={problem.column}"
            click.echo(f"::{problem.severity} {position}::{message}")
        else:
            mark = "warning: " if problem.severity == "warning" else ""
            click.echo(f"{problem.filename}:{problem.line}:{problem.column}: {mark}{problem.message}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of project.yaml, for editors."""
    from carrel.project.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
