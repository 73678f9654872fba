"""`carrel config`."""

import click


@click.group()
def config() -> None:
    """Show the settings in force."""


@config.command()
@click.option(
    "--process",
    type=click.Choice(["local", "agent", "controller"]),
    default="local",
    show_default=True,
    help="Which process.",
)
def show(process: str) -> None:
    """Show the settings of a process as this environment makes them, and where each came from. Secrets are masked."""
    from carrel.cli.settings_in_force import in_force
    from carrel.local.tables import columns

    click.echo("\n".join(columns(in_force(process))))
