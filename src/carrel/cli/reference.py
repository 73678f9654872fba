"""The page docs/reference/commands.md, made from the commands themselves: `python -m carrel.cli.reference`."""

from collections.abc import Iterator
from operator import itemgetter

import click

from carrel.cli.main import carrel

INTRO = """# Commands

Every command and option of `carrel`. `carrel COMMAND --help` says the same at the terminal.
This page is made by `python -m carrel.cli.reference`; a test fails when it leaves a command or an option out.

**Exit codes**: 0 when all went well (or there was nothing to do), 1 when something failed or a problem was found, 2
when the command line itself is wrong, 130 when a run was interrupted. `carrel exec` gives the program's own.

**Environment**: `EXECUTOR` (auto, docker, podman or bubblewrap) says what runs actions; `TOOLCHAINS_DIR` where the
toolchains for bubblewrap are; `DOCKER_REGISTRY` where images come from; `OPENCODELISTS_BASE_URL` which OpenCodelists is
used. `carrel config show` prints what is in force.
"""

RUNNING = """What a run leaves in the study: outputs where `project.yaml` says, `metadata/ACTION.log` for each action,
`metadata/manifest.json` (what each output is and what made it) and `metadata/jobs/` (one record an action). Each action
gets a copy of the study's files without outputs, `.git` and `metadata/`, and the outputs of the actions it needs; it
has no network. Actions that read a database get none here and use their dummy data. A run that is stopped (Ctrl-C)
removes all it started; what a killed run left is removed by the next one, or by `carrel clean`. Only one run at a time
is let into a study."""

NOTES = {"run": RUNNING}


def page() -> str:
    """Return the whole page as Markdown."""
    with click.Context(carrel, info_name="carrel") as top:
        sections = (
            "\n".join(_section(path, command)) for path, command in sorted(_walk(carrel, top), key=itemgetter(0))
        )
        parts = [part for section in sections for part in ("", section)]
    return INTRO + "\n".join(parts) + "\n"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield the full name of every command and sub-command there is, with the command."""
    with click.Context(carrel, info_name="carrel") as top:
        yield from _walk(carrel, top)


def _walk(group: click.Group, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None:
            continue
        inner = click.Context(command, parent=ctx, info_name=name)
        yield inner.command_path, command
        if isinstance(command, click.Group):
            yield from _walk(command, inner)


def _section(path: str, command: click.Command) -> Iterator[str]:
    ctx = click.Context(command, info_name=path)
    yield f"## {path}"
    yield ""
    yield f"`{' '.join([path, *command.collect_usage_pieces(ctx)])}`"
    yield ""
    yield "\n\n".join(" ".join(text.split()) for text in (command.help or "").split("\n\n"))
    if note := NOTES.get(path.removeprefix("carrel ")):
        yield ""
        yield note
    options = [option for option in command.params if isinstance(option, click.Option)]
    rows = [row for option in options if (row := option.get_help_record(ctx))]
    if rows:
        yield ""
        yield "| option | |"
        yield "|---|---|"
        yield from (f"| `{_cell(names)}` | {_cell(text)} |" for names, text in rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    click.echo(page(), nl=False)
