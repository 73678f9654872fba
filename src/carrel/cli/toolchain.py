"""`carrel toolchain ...`."""

import os
from pathlib import Path

import click


@click.group("toolchain")
def toolchain_group() -> None:
    """Build and list toolchains: what stands for images under bubblewrap.

    TOOLCHAINS_DIR is the folder they are in.
    """


@toolchain_group.command()
@click.argument("image", metavar="NAME:VERSION")
@click.option(
    "-r",
    "--requirements",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="A requirements file with hashes.",
)
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="In the place of TOOLCHAINS_DIR."
)
@click.option(
    "--python", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Interpreter to build for."
)
def build(image: str, requirements: Path, folder: Path | None, python: Path | None) -> None:
    """Build NAME:VERSION (python:v2) from a requirements file; nothing is done when it is there already."""
    from carrel.executors import toolchains

    name, _, version = image.partition(":")
    try:
        toolchain = toolchains.build(name, version, requirements, folder or _folder(), python)
    except toolchains.ToolchainBuildFailed as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{toolchain.name}:{toolchain.version} is ready in {toolchain.folder}")


@toolchain_group.command("list")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="In the place of TOOLCHAINS_DIR."
)
def list_toolchains(folder: Path | None) -> None:
    """List the toolchains there are."""
    from carrel.executors.toolchains import existing

    for toolchain in existing(folder or _folder()):
        click.echo(f"{toolchain.name}:{toolchain.version}  {toolchain.id[:19]}  {toolchain.folder}")


def _folder() -> Path:
    from carrel.local.settings import LocalSettings

    return LocalSettings.from_env(os.environ).toolchains_dir
