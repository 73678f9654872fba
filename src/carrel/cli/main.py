"""The `carrel` command. Each sub-command is imported only when it is used."""

import sys

import click

from carrel import __version__
from carrel.units.lazy_commands import LazyGroup

COMMANDS = {
    "run": ("carrel.cli.run:run", "Run actions of this study on this machine."),
    "check": ("carrel.cli.check:check", "Check project.yaml: every error and warning, with its line."),
    "plan": ("carrel.cli.plan:plan", "Show what would run, and why."),
    "graph": ("carrel.cli.plan:graph", "Draw which action needs which."),
    "status": ("carrel.cli.status:status", "Show what ran, from which commit, and what is out of date."),
    "logs": ("carrel.cli.status:logs", "Show the log of an action."),
    "check-outputs": ("carrel.cli.outputs:check_outputs", "Check the moderately sensitive outputs as a checker would."),
    "exec": ("carrel.cli.runtime:exec_command", "Run a program of an image on this folder."),
    "pull": ("carrel.cli.runtime:pull", "Fetch or update images."),
    "info": ("carrel.cli.runtime:info", "Show versions, the runtime and the images or toolchains here."),
    "clean": ("carrel.cli.runtime:clean", "Remove what interrupted runs left behind."),
    "unzip": ("carrel.cli.unzip:unzip", "Unpack .gz outputs to look at them."),
    "release": ("carrel.cli.release:release_group", "Request, check and release outputs inside a backend."),
    "codelists": ("carrel.cli.codelists:codelists", "Add, update and check codelists."),
    "schema": ("carrel.cli.check:schema", "Print the JSON Schema of project.yaml, for editors."),
    "toolchain": ("carrel.cli.toolchain:toolchain_group", "Build and list toolchains for bubblewrap."),
    "config": ("carrel.cli.config:config", "Show the settings in force."),
    "submit": ("carrel.cli.submit:submit", "Run a study on a site that is up, and watch it."),
    "up": ("carrel.cli.up:up", "Start a controller and agents on this machine."),
    "demo": ("carrel.cli.demo:demo", "Set up and run an example study on two backends."),
    "manage": ("carrel.cli.parts:manage", "Run a Django management command of this installation."),
    "agent": ("carrel.cli.parts:agent", "Run the agent of one backend."),
    "controller": ("carrel.cli.parts:controller", "Run the controller's sweep."),
    "web": ("carrel.cli.parts:web", "Serve the web application."),
    "catalogue": ("carrel.catalogue.commands:catalogue", "Say what data a backend has, and what can run there."),
    "ingest": ("carrel.ingest.cli:ingest", "Turn archives into typed tables."),
}

VERSION_TEXT = "carrel %(version)s"


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "--version", message=VERSION_TEXT)
@click.option("-d", "--debug", is_flag=True, help="Show the traceback when something fails.")
@click.pass_context
def carrel(ctx: click.Context, debug: bool) -> None:
    """Carrel: a trusted research environment that runs anywhere."""
    ctx.obj = {"debug": debug}
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Entry point. An exception becomes its message on stderr and exit code 1; `--debug` shows the traceback."""
    try:
        carrel.main(prog_name="carrel")
    except Exception as error:
        if not {"-d", "--debug"}.isdisjoint(sys.argv[1:]):
            raise
        from carrel.units.faults import in_words

        said = in_words(error) if isinstance(error, OSError) else error
        click.echo(f"{said or type(error).__name__}", err=True)
        sys.exit(1)
