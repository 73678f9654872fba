"""Names in a warehouse. Data files carry the id of the run that wrote them, so that strays can be told."""

import re

LEDGER = "_ledger"
QUARANTINE = "_quarantine"
TABLES = "tables"
ARCHIVE = "archive"
"""Copies of whole datasets: `archive/<dataset>_<number>/<table>`."""


def table_key(table: str) -> str:
    """The folder of a data table; of the ledger, quarantine and archived tables under their own names."""
    return table if table in (LEDGER, QUARANTINE) or "/" in table else f"{TABLES}/{table}"


def file_prefix(run_id: str) -> str:
    """What the name of each data file of a run begins with."""
    return f"part-{run_id}-"


def run_of(path: str) -> int:
    """Number of the run that wrote a data file; 0 when it was none of ours."""
    found = re.match(r"part-r(\d+)-", path)
    return int(found.group(1)) if found else 0


def run_key(run_id: str, name: str) -> str:
    """A file about a run: plan.json, report.json, ..."""
    return f"_runs/{run_id}/{name}"
