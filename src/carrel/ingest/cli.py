"""`carrel ingest`: archives become typed tables. Each sub-command is imported only when it is used."""

from importlib import import_module

import click

from carrel.units.parts import how_to_install

COMMANDS = {
    "run": ("running:run", "Take every archive of a source that was not taken yet."),
    "watch": ("running:watch", "Run again and again, as archives arrive."),
    "status": ("looking:status", "Show what the warehouse holds, and how its last run went."),
    "reconcile": ("looking:reconcile", "Explain each archive that is not simply in the tables."),
    "tables": ("looking:tables", "List the tables, or the columns of one."),
    "sql": ("looking:sql", "Query the tables with DuckDB."),
    "quarantine": ("looking:quarantine", "See what was not taken, and why."),
    "replay": ("running:replay", "Take archives again, after a schema or rule was repaired."),
    "withdraw": ("keeping:withdraw", "Remove a participant or record for good, and prove it."),
    "compact": ("keeping:compact", "Merge small files into large ones."),
    "archive": ("keeping:archive", "Keep a copy of a dataset as it is now."),
    "export": ("keeping:export", "Write the tables in BridgeDownstream's layout."),
    "check": ("schemas:check", "Check the mapping file, and that it fits schemas and tables."),
    "schemas": ("schemas:schemas", "Fill and list the schema store."),
    "diff-schema": ("schemas:diff_schema", "Say what a new schema would change, by trying it on real archives."),
    "generate": ("making:generate", "Make synthetic archives with their ground truth."),
    "artifacts": ("carrel.ingest.aws.commands:artifacts", "Keep the parts of AWS deployments in a bucket."),
}
"""name -> (module and attribute, below `carrel.ingest.commands` unless named whole; one line of help)"""


def not_installed(error: ModuleNotFoundError) -> str:
    """What to do about a library that is missing; raises `error` again when it is a part of Carrel."""
    name = error.name or ""
    if not name or name.partition(".")[0] == "carrel":
        raise error
    return f"{name} is not there: {how_to_install('ingest')}"


class _Lazy(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        whole = module if "." in module else f"carrel.ingest.commands.{module}"
        try:
            command: click.Command = getattr(import_module(whole), attribute)
        except ModuleNotFoundError as error:
            raise click.ClickException(not_installed(error)) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def ingest() -> None:
    """Turn archives into typed tables, each record exactly once.

    Exit codes: 0 done, 1 it could not be done, 2 wrong usage, 3 done, and something needs a look (files in quarantine,
    archives that are missing, a schema that does not fit), 4 some archives could not be fetched (the next run tries
    again), 5 another ingest works on the warehouse, 130 stopped by Ctrl-C.
    """
