"""Where things lie in a warehouse. Keys are `/`-separated paths below it.

    tables/<table>/                  a Delta table of data; all that a job may see
    _ledger/, _quarantine/           Delta tables of ingest's own
    archive/<dataset>_<n>/<table>/   copies of whole datasets
    catalog/                         the schema of each dataset
    _runs/                           the lock, the state, and a folder for each run

Data files carry the id of the run that wrote them, so that strays can be told.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LEDGER = "_ledger"
QUARANTINE = "_quarantine"
TABLES = "tables"
ARCHIVE = "archive"
"""Copies of whole datasets: `archive/<dataset>_<number>/<table>`."""
LOG = "_delta_log"
"""The folder that makes a folder a Delta table."""
RUNS = "_runs"
CATALOG = "catalog"
STATE = f"{RUNS}/state.json"
"""The last run's number, and whether it is still `open`."""
LOCK = f"{RUNS}/lock"
"""Locked by the coordinator, or its lease."""
WITHDRAWAL = f"{RUNS}/withdrawal.json"
"""Withdrawals that were asked for and are not done yet."""
APPLICATION = "carrel-ingest"
"""Application id of the transactions that `carrel ingest` commits; their version is the number of its run."""


def table_key(table: str) -> str:
    """Return the folder of a data table; of the ledger, quarantine and archived tables under their own names."""
    return table if table in (LEDGER, QUARANTINE) or "/" in table else f"{TABLES}/{table}"


def run_key(run_id: str, name: str) -> str:
    """Return a file about a run: plan.json, report.json, ..."""
    return f"{RUNS}/{run_id}/{name}"


def catalog_key(dataset: str) -> str:
    """Return the catalog's entry of a dataset."""
    return f"{CATALOG}/{dataset}.json"


def run_id_of(number: int) -> str:
    """Return the id of a run; ids sort as the numbers do, so that statistics on them prune."""
    return f"r{number:08d}"


def file_prefix(run_id: str) -> str:
    """Return what the name of each data file of a run begins with."""
    return f"part-{run_id}-"


def run_of(path: str) -> int:
    """Return the number of the run that wrote a data file; 0 when it was none of ours."""
    match = re.match(r"part-r(\d+)-", path)
    return int(match.group(1)) if match else 0


def state_text(number: int, state: str) -> bytes:
    """Return what `STATE` holds when that run is in that state."""
    return json.dumps({"number": number, "state": state}).encode()


def finished_run(text: bytes) -> int:
    """Return the number of the last run whose commits are all made, by the contents of `STATE`. Raises ValueError."""
    try:
        state: Mapping[str, Any] = json.loads(text)
        return int(state["number"]) - (state["state"] == "open")
    except (KeyError, TypeError) as error:
        raise ValueError(f"{STATE} of the warehouse is damaged") from error


def tables_folder(root: Path) -> Path:
    """Return what of a warehouse a job may see: its tables, not the ledger, quarantine and plans beside them."""
    inside = root / TABLES
    return inside if inside.is_dir() else root


def is_table(folder: Path) -> bool:
    """Tell whether the folder is a Delta table: one alone is a warehouse too."""
    return (folder / LOG).is_dir()


def table_folders(root: Path) -> list[Path]:
    """Return the Delta tables of a warehouse, in order of their names."""
    if is_table(root):
        return [root]
    return sorted(log.parent for log in tables_folder(root).glob(f"*/{LOG}"))
