"""`carrel demo`: an example study on two backends of this machine."""

import sys
from pathlib import Path

import click


@click.command()
@click.option("--dir", "root", type=click.Path(file_okay=False, path_type=Path), default=Path(".carrel/demo"),
              show_default=True, help="Where everything of the demo is kept.")  # fmt: skip
@click.option("--executor", default="auto", show_default=True, help="auto, docker, podman or bubblewrap.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free port.")
@click.option("--keep", is_flag=True, help="Leave the site up until Ctrl-C.")
def demo(root: Path, executor: str, port: int, keep: bool) -> None:
    """Set up example data and two backends, run a study on both, and show what came out."""
    from rich.console import Console

    from carrel.site.demo import Demo, run_demo
    from carrel.units.privacy import close_to_others

    close_to_others()
    good = run_demo(Demo(root.resolve(), executor, port, keep), Console())
    sys.exit(0 if good else 1)
