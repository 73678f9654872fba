"""`carrel unzip`."""

from pathlib import Path

import click

from carrel.local.unzip import unzip as unpack


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def unzip(path: Path) -> None:
    """Unpack PATH, a .gz file, or every .gz file in a folder and below, beside the packed file.

    Files whose unpacked copy is newer are left alone.
    """
    for file in unpack(path):
        click.echo(f"Unzipped {file}")
