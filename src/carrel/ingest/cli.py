"""`carrel ingest`: archives become typed tables. Each sub-command is imported only when it is used."""

import click

from carrel.ingest.commands.faults import explain_missing_library
from carrel.units.lazy_commands import LazyGroup

COMMANDS = {
    "run": ("carrel.ingest.commands.run:run", "Take every archive of a source that was not taken yet."),
    "watch": ("carrel.ingest.commands.run:watch", "Run again and again, as archives arrive."),
    "status": ("carrel.ingest.commands.inspection:status", "Show what the warehouse holds, and how its last run went."),
    "reconcile": (
        "carrel.ingest.commands.inspection:reconcile",
        "Explain each archive that is not simply in the tables.",
    ),
    "tables": ("carrel.ingest.commands.inspection:tables", "List the tables, or the columns of one."),
    "sql": ("carrel.ingest.commands.inspection:sql", "Query the tables with DuckDB."),
    "quarantine": ("carrel.ingest.commands.inspection:quarantine", "See what was not taken, and why."),
    "replay": ("carrel.ingest.commands.run:replay", "Take archives again, after a schema or rule was repaired."),
    "withdraw": (
        "carrel.ingest.commands.maintenance:withdraw",
        "Remove a participant or record for good, and prove it.",
    ),
    "compact": ("carrel.ingest.commands.maintenance:compact", "Merge small files into large ones."),
    "archive": ("carrel.ingest.commands.maintenance:archive", "Keep a copy of a dataset as it is now."),
    "export": ("carrel.ingest.commands.maintenance:export", "Write the tables in BridgeDownstream's layout."),
    "check": ("carrel.ingest.commands.schemas:check", "Check the mapping file, and that it fits schemas and tables."),
    "schemas": ("carrel.ingest.commands.schemas:schemas", "Fill and list the schema store."),
    "diff-schema": (
        "carrel.ingest.commands.schemas:diff_schema",
        "Say what a new schema would change, by trying it on real archives.",
    ),
    "generate": ("carrel.synthetic.commands:generate", "Make synthetic archives with their ground truth."),
    "artifacts": ("carrel.ingest.aws.commands:artifacts", "Keep the parts of AWS deployments in a bucket."),
}
"""Each command's module, attribute and one line of help, by its name."""


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    explain=explain_missing_library,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def ingest() -> None:
    """Turn archives into typed tables, each record exactly once.

    Exit codes: 0 done, 1 it could not be done, 2 wrong usage, 3 done, and something needs a look (files in quarantine,
    archives that are missing, a schema that does not fit), 4 some archives could not be fetched (the next run tries
    again), 5 another ingest works on the warehouse, 130 stopped by Ctrl-C.
    """
