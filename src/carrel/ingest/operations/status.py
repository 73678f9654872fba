"""What a warehouse holds now, and how its last run went."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from carrel.ingest.mapping import Mapping
from carrel.ingest.operations.inspection import list_tables, quarantine_rows
from carrel.ingest.operations.withdrawal_requests import unfinished_withdrawal
from carrel.ingest.run.report import many, size
from carrel.ingest.run.unmapped import count_unmapped, unmapped_text
from carrel.ingest.store import WarehouseStorage, run_key
from carrel.ingest.store.ledger import Ledger
from carrel.warehouse.layout import STATE, run_id_of

_STATES = {
    "open": "it goes on, or was interrupted: the next command that writes then finishes or undoes it",
    "abandoned": "it was interrupted before anything of it was decided, and undone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseStatus:
    """Counts; `last_run`: the report of the last run, if it left one."""

    run: int
    state: str
    """done, abandoned, or open: running or interrupted"""
    dispositions: dict[str, int]
    quarantined: int
    tables: int
    rows: int
    size: int
    last_run: dict[str, Any] | None
    unmapped_files: int | None = 0
    """Files in the archives that belong to no dataset, and that neither the mapping ignores nor a desktop left."""
    unfinished: str | None = None
    """What a withdrawal that is not finished means for who reads the tables."""

    def text(self) -> str:
        """The status in the words that people read."""
        lines = [f"Last run: {self.run or 'none'} ({_STATES.get(self.state, self.state)})"]
        lines += [f"  {name:<12} {count:>10,}" for name, count in self.dispositions.items()]
        lines.append(f"{many(self.tables, 'table')}, {many(self.rows, 'row')}, {size(self.size)}")
        lines.append(f"{many(self.quarantined, 'file')} in quarantine")
        lines += [unmapped_text(self.unmapped_files)] if self.unmapped_files else []
        lines += [self.unfinished] if self.unfinished else []
        return "\n".join(lines)


def read_status(storage: WarehouseStorage, mapping: Mapping | None = None) -> WarehouseStatus:
    """Reads a few columns of the ledger, and the quarantine. `mapping`: says which files are ignored on purpose."""
    state = json.loads(storage.read(STATE) or b'{"number": 0, "state": "empty"}')
    # A run that merged files for the one before it has no report.
    last_two = (storage.read(run_key(run_id_of(state["number"] - back), "report.json")) for back in (0, 1))
    report = next(filter(None, last_two), None)
    ledger = Ledger(storage)
    dataset = ledger.dataset
    lines = dataset.to_table(columns=["disposition", "tombstone"]).to_pylist() if dataset is not None else []
    dispositions = Counter(line["disposition"] for line in lines if line["tombstone"] is None)
    tables = list(list_tables(storage))
    return WarehouseStatus(
        run=state["number"],
        state=state["state"],
        dispositions=dict(sorted(dispositions.items())),
        quarantined=len(quarantine_rows(storage)),
        tables=len(tables),
        rows=sum(table.rows for table in tables),
        size=sum(table.size for table in tables),
        last_run=json.loads(report) if report else None,
        unmapped_files=count_unmapped(ledger.skipped_files(), mapping or Mapping()),
        unfinished=unfinished_withdrawal(storage),
    )
