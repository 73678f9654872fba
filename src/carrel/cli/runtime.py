"""`carrel exec`, `pull`, `info` and `clean`."""

import os
import sys
from pathlib import Path

import click

from carrel.cli.common import MemorySize, executor_option, explained


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("image", metavar="IMAGE[:VERSION]")
@click.argument("args", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.option("-e", "--env", "env", multiple=True, metavar="NAME[=VALUE]", help="Set a variable; repeat for several.")
@click.option("-u", "--user", help="User to run as; `none` for the image's own.")
@click.option("-m", "--memory", type=MemorySize(), help="Most memory.")
@click.option("--cpus", type=click.FloatRange(0, min_open=True), help="Most processors.")
@click.option("--entrypoint", help="Program to start in the place of the image's.")
@executor_option
@click.option("-v", "--verbose", is_flag=True, help="Say what is run.")
def exec_command(
    image: str,
    args: tuple[str, ...],
    env: tuple[str, ...],
    user: str | None,
    memory: int | None,
    cpus: float | None,
    entrypoint: str | None,
    executor: str | None,
    verbose: bool,
) -> None:
    """Run ARGS in IMAGE on this folder, which it sees as /workspace. The exit code is the program's."""
    from carrel.local.execution import Execution, execute
    from carrel.local.settings import LocalSettings

    settings = LocalSettings.from_env().with_executor(executor)
    if verbose:
        click.echo(f"Running {settings.image_named(image)} {' '.join(args)}", err=True)
    args = args[1:] if args[:1] == ("--",) else args
    pairs = (text.partition("=") for text in env)  # NAME=value, or NAME alone for the value it has here
    variables = {name: value if sign else os.environ.get(name, "") for name, sign, value in pairs}
    execution = Execution(
        image=image, args=args, env=variables, user=user, entrypoint=entrypoint, memory=memory, cpus=cpus
    )
    with explained():
        sys.exit(execute(execution, settings))


@click.command()
@click.argument("images", metavar="[IMAGE[:VERSION]|all]...", nargs=-1)
@click.option("--force", is_flag=True, help="Fetch images that are not here yet too.")
@click.option("--project", type=click.Path(path_type=Path, dir_okay=False), help="Fetch what this project.yaml names.")
def pull(images: tuple[str, ...], force: bool, project: Path | None) -> None:
    """Fetch the newest IMAGE... from the registry; all images that are here if none is named."""
    from carrel.local.machine import open_images
    from carrel.local.settings import LocalSettings
    from carrel.local.study import load

    with explained(), open_images(LocalSettings.from_env()) as here:
        named = [*images, *sorted(load(project, str(project)).action_images if project else ())]
        references = here.references_to_pull(named, force or project is not None)
        if not references:
            click.echo("No such images here. Use --force to fetch them all the same.")
        for reference in references:
            click.echo(f"{reference}: {'updated' if here.pull(reference) else 'up to date'}")


@click.command()
def info() -> None:
    """Show versions, what runs actions here, and the images or toolchains there are."""
    from carrel.local.machine import describe_machine
    from carrel.local.settings import LocalSettings

    with explained():
        for line in describe_machine(LocalSettings.from_env()):
            click.echo(line)


@click.command()
def clean() -> None:
    """Remove what killed runs of the study in this folder, and killed `carrel exec` calls, left behind."""
    from carrel.local.execution import clean_executions
    from carrel.local.run import recover
    from carrel.local.settings import LocalSettings
    from carrel.local.study import PROJECT_FILE, Study

    settings = LocalSettings.from_env()
    with explained():
        for name in clean_executions(settings):
            click.echo(f"Removed {name}")
        if not Path(PROJECT_FILE).is_file():
            click.echo("This folder is no study: only what `carrel exec` left was looked for.")
            return
        study = Study.at(Path())
        with study.lock():
            recover(study, settings)
        click.echo(f"Nothing is left of interrupted runs in {study.folder}")
