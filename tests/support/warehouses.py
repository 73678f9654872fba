"""Delta warehouses as `carrel ingest` leaves them, without it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, Transaction, write_deltalake

from carrel.warehouse.layout import APPLICATION, STATE, state_text


def add_commit(root: Path, name: str, run: int | None = None, **columns: list[Any]) -> None:
    """One commit; as run number `run` of ingest, if given."""
    done_by = [Transaction(APPLICATION, run)] if run is not None else []
    properties = CommitProperties(app_transactions=done_by)
    table = pa.table(columns or {"x": [1]})
    write_deltalake(str(root / "tables" / name), table, mode="append", commit_properties=properties)


def write_state(root: Path, number: int, word: str) -> None:
    (root / "_runs").mkdir(exist_ok=True)
    (root / STATE).write_bytes(state_text(number, word))


def make_warehouse(root: Path) -> Path:
    """Two tables by two runs of ingest; `Motion` has two versions."""
    for run in (1, 2):
        add_commit(root, "Motion", run)
    add_commit(root, "Weather", 1)
    write_state(root, 2, "done")
    return root
