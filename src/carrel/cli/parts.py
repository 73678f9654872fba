"""`carrel manage`, `agent`, `controller` and `web`: the parts of an installation, each as its own process."""

import sys
from pathlib import Path

import click

from carrel.units.words import split_list

PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@click.command(context_settings={**PASS_ON, "allow_interspersed_args": False})
@click.option("--site", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Run it on the site that `carrel up` has in DIR.")  # fmt: skip
@click.argument("arguments", metavar="COMMAND [ARGS]...", nargs=-1, type=click.UNPROCESSED)
def manage(site: Path | None, arguments: tuple[str, ...]) -> None:
    """Run a management command (migrate, pause, init, ...) of what CARREL_APPS names, which is a controller unless it
    is set; `carrel manage help` lists them."""
    import os

    from carrel.cli.managing import misplaced, site_environment
    from carrel.site.layout import SiteError
    from carrel.units.privacy import close_to_others

    close_to_others()
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    if site is not None:
        if not arguments:
            raise click.UsageError("--site needs a command behind DIR: carrel manage --site .carrel pause on north")
        try:
            os.environ.update(site_environment(site, arguments[0]))
        except SiteError as error:
            raise click.ClickException(str(error)) from None
    elif arguments and (problem := misplaced(arguments[0], split_list(os.environ.get("CARREL_APPS", "controller")))):
        raise click.ClickException(problem)
    from django.core.management import execute_from_command_line

    execute_from_command_line(["carrel manage", *arguments])


@click.command()
def agent() -> None:
    """Run the agent of one backend until it is stopped. Its settings come from the environment."""
    from carrel.agent.service import main

    sys.exit(main())


@click.command()
def controller() -> None:
    """Run the controller's sweep (lease expiry, retries, regular tasks) and links to job servers until stopped."""
    from carrel.controller.service_main import main

    sys.exit(main())


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any free port.")
@click.option("--threads", type=click.IntRange(1), help="Requests answered at once.  [default: by backends]")
@click.option("--with-sweep", is_flag=True, help="Run the controller's sweep in this process too.")
def web(host: str, port: int, threads: int | None, with_sweep: bool) -> None:
    """Serve what CARREL_APPS names until it is stopped: a controller's APIs, a job server's pages, or both."""
    from carrel.web.serve import serve

    def ready(taken: int) -> None:
        click.echo(f"Serving on http://{host}:{taken}/")

    try:
        serve(host, port, threads, with_sweep=with_sweep, on_ready=ready)
    except OSError as error:
        raise click.ClickException(f"{host}:{port} cannot be listened on: {error.strerror}") from None
