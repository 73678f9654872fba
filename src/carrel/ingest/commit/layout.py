"""Names in a warehouse. Data files carry the id of the run that wrote them, so that strays can be told."""

LEDGER = "_ledger"
QUARANTINE = "_quarantine"
TABLES = "tables"


def table_key(table: str) -> str:
    """The folder of a data table, or of the ledger or quarantine under its own name."""
    return table if table in (LEDGER, QUARANTINE) else f"{TABLES}/{table}"


def file_prefix(run_id: str) -> str:
    """What the name of each data file of a run begins with."""
    return f"part-{run_id}-"


def run_key(run_id: str, name: str) -> str:
    """A file about a run: plan.json, report.json, ..."""
    return f"_runs/{run_id}/{name}"
