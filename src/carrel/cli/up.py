"""`carrel up`: a controller, a job server and an agent for each backend on this machine, in one terminal."""

from pathlib import Path

import click


@click.command()
@click.option("--backend", "backends", multiple=True, metavar="NAME[=URL]",
              help="A backend, and the database its jobs may query. Repeat for several.  "
                   "[default: north and south, as the example studies have it, with dummy data]")  # fmt: skip
@click.option("--dir", "root", type=click.Path(file_okay=False, path_type=Path), default=Path(".carrel"),
              show_default=True, help="Where everything of this site is kept.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any free port.")
@click.option(
    "--pages-port",
    type=click.IntRange(0, 65535),
    help="Where people find the job server's pages.  [default: the port after --port, else any free one]",
)
@click.option("--executor", default="auto", show_default=True, envvar="EXECUTOR",
              help="auto, docker, podman or bubblewrap.")  # fmt: skip
def up(backends: tuple[str, ...], root: Path, port: int, pages_port: int | None, executor: str) -> None:
    """Start a controller, a job server and an agent for each backend on this machine; Ctrl-C stops them."""
    from carrel.site.examples import DEFAULT_BACKENDS
    from carrel.site.up import bring_up
    from carrel.units.privacy import close_to_others

    close_to_others()
    bring_up(backends or DEFAULT_BACKENDS, root, port=port, pages_port=pages_port, executor=executor, tell=click.echo)
