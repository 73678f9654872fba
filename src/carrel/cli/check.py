"""`carrel check` and `carrel schema`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carrel.local.study import PROJECT_FILE, load

if TYPE_CHECKING:
    from carrel.project import Problem


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="How to print.")
def check(files: tuple[Path, ...], form: str) -> None:
    """Check FILE (project.yaml here), and backends.yaml beside it.

    Prints every error and warning as file:line:column: message. The exit code is 1 when there are errors.
    """
    problems = [problem for file in files or (Path(PROJECT_FILE),) for problem in _problems(file)]
    _print(problems, form)
    failed = any(problem.severity == "error" for problem in problems)
    if not problems and form == "text":
        click.echo("No problems found.")
    sys.exit(1 if failed else 0)


def _problems(path: Path) -> "list[Problem]":
    from carrel.project import ProjectValidationError

    try:
        return list(load(path, str(path)).warnings)
    except ProjectValidationError as error:
        return list(error.problems)


def _print(problems: "list[Problem]", form: str) -> None:
    if form == "json":
        fields = ("filename", "line", "column", "severity", "rule", "message")
        click.echo(json.dumps([{name: getattr(problem, name) for name in fields} for problem in problems], indent=2))
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
