"""The plan of a run: everything it will make visible, decided and written down before anything is.

`_runs/state.json` names the last run and whether it is done. A run whose plan exists has happened: whoever starts next
finishes it. A run without one has not: whoever starts next says so in place of the plan, and sweeps its files away.

On S3 two coordinators may believe to hold the warehouse, one of them long asleep. A plan can be created once, by the
run itself or by who gives it up; the state and the catalog are exchanged, not overwritten; so the sleeper changes
nothing when it wakes, and is told by WarehouseLost.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from carrel.ingest.store.data_files import DataFile
from carrel.ingest.store.delta import TableCommit, commit, vacuum
from carrel.ingest.store.lock import WarehouseLost, ensure_held
from carrel.ingest.store.raw_files import discard, publish
from carrel.ingest.store.storage import WarehouseStorage
from carrel.telemetry import faults
from carrel.warehouse.layout import (
    ARCHIVE,
    CATALOG,
    LEDGER,
    QUARANTINE,
    RUNS,
    STATE,
    TABLES,
    catalog_key,
    file_prefix,
    run_id_of,
    run_key,
    state_text,
    table_key,
)

_GIVEN_UP = b'{"given_up": true}'
"""In place of the plan of a run that was interrupted before it had one."""
_UNDO = "undo.json"
KEPT_RUNS = 2_000
"""Folders of so many runs are kept, and those of withdrawals for ever: their reports are proofs."""
_LAST = {QUARANTINE: 1, LEDGER: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One run's commits. `catalog`: dataset -> its new catalog entry, as text. `forget`: keys to delete at the end;
    `vacuum`: tables whose old files go from the disk, and their history with them."""

    number: int
    run_id: str
    kind: str
    commits: tuple[TableCommit, ...] = ()
    catalog: Mapping[str, str] = field(default_factory=dict)
    forget: tuple[str, ...] = ()
    vacuum: tuple[str, ...] = ()
    raw_json: bool = False
    """There are packs of raw JSON to publish."""

    def to_json(self) -> bytes:
        """The plan as it is written to disk."""
        fields = asdict(self)
        for commit_fields in fields["commits"]:
            commit_fields["schema"] = base64.b64encode(commit_fields["schema"]).decode()
        return json.dumps(fields, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "RunPlan":
        """Read what `to_json` wrote."""
        fields = json.loads(data)
        commits = tuple(
            TableCommit(
                **{
                    **commit_fields,
                    "schema": base64.b64decode(commit_fields["schema"]),
                    "add": tuple(DataFile(**file_fields) for file_fields in commit_fields["add"]),
                    "remove": tuple(commit_fields["remove"]),
                    "partition_by": tuple(commit_fields.get("partition_by", ())),
                }
            )
            for commit_fields in fields["commits"]
        )
        lists = {name: tuple(fields[name]) for name in ("forget", "vacuum")}
        return cls(**{**fields, "commits": commits, **lists})


@dataclass(frozen=True, slots=True)
class RunNumber:
    """The number of a run that has begun."""

    number: int

    @property
    def run_id(self) -> str:
        """Sorts as the numbers do, so that statistics on it prune."""
        return run_id_of(self.number)


def begin(storage: WarehouseStorage) -> RunNumber:
    """Begin the next run, after `recover`; only under the coordinator's lock."""
    before = storage.read(STATE)
    number = RunNumber(json.loads(before or b"{}").get("number", 0) + 1)
    if not storage.exchange(STATE, before, state_text(number.number, "open")):
        raise _lost(storage, number.run_id)
    faults.point("ingest.begun")
    return number


def write_undo(storage: WarehouseStorage, number: RunNumber, keys: Sequence[str]) -> None:
    """What a run is about to write where no plan and no prefix of files tells of it; gone, if it is never decided."""
    storage.write(run_key(number.run_id, _UNDO), json.dumps(list(keys)).encode())
    faults.point("ingest.undoable")


def decide(storage: WarehouseStorage, plan: RunPlan) -> None:
    """Write the plan down: the decision point. Before it the run has not happened, after it it has.

    WarehouseLost when another coordinator gave the run up meanwhile; its files are gone then.
    """
    faults.point("ingest.deciding")
    ensure_ours(storage, RunNumber(plan.number))
    try:
        if not storage.create(run_key(plan.run_id, "plan.json"), plan.to_json()):
            raise _lost(storage, plan.run_id)
    except WarehouseLost:
        _sweep(storage, plan.run_id, frozenset())
        raise
    faults.point("ingest.decided")


def ensure_ours(storage: WarehouseStorage, number: RunNumber) -> None:
    """Before a run is decided: WarehouseLost when another coordinator took over; the run's files are gone then."""
    try:
        ensure_held(storage, ask=True)
    except WarehouseLost:
        _sweep(storage, number.run_id, frozenset())
        raise


def apply(storage: WarehouseStorage, plan: RunPlan) -> None:
    """Make the plan visible; each step is skipped when it was done before.

    WarehouseLost when another coordinator has done so, and closed the run.
    """
    _ensure_open(storage, plan)
    for dataset, text in sorted(plan.catalog.items()):
        key, data = catalog_key(dataset), text.encode()
        # What is there is read first: if it is of a later run, that run has begun, and the state says so.
        before = storage.read(key)
        _ensure_open(storage, plan)
        if before != data and not storage.exchange(key, before, data):
            raise _lost(storage, plan.run_id)
        faults.point("ingest.catalog_written")
    if plan.raw_json:
        publish(storage, plan.run_id)
    for table_commit in _in_order(plan):
        commit(storage, plan.number, table_commit)
        faults.point("ingest.table_committed")
    for table in plan.vacuum:
        _ensure_open(storage, plan)
        vacuum(storage, table, plan.number)
        faults.point("ingest.vacuumed")
    for key in plan.forget:
        storage.delete(key)
        faults.point("ingest.forgotten")


def _ensure_open(storage: WarehouseStorage, plan: RunPlan) -> None:
    """WarehouseLost when another coordinator has finished the run."""
    if _state(storage) != {"number": plan.number, "state": "open"}:
        raise _lost(storage, plan.run_id)


def _lost(storage: WarehouseStorage, run_id: str) -> WarehouseLost:
    return WarehouseLost(f"another ingest took over {storage.url} from run {run_id}")


def _in_order(plan: RunPlan) -> list[TableCommit]:
    """The ledger is last, so that what it says is true; of a withdrawal first, so that nothing comes in again."""
    places = {**_LAST, LEDGER: -1} if plan.kind == "withdraw" else _LAST
    return sorted(plan.commits, key=lambda table_commit: (places.get(table_commit.table, 0), table_commit.table))


def finish(storage: WarehouseStorage, plan: RunPlan) -> None:
    """Sweep what the plan does not name, and close the run."""
    named = {
        f"{table_key(table_commit.table)}/{file.path}" for table_commit in plan.commits for file in table_commit.add
    }
    _sweep(storage, plan.run_id, named)
    faults.point("ingest.swept")
    if plan.forget:
        # Their names tell whose they were.
        storage.write(run_key(plan.run_id, "plan.json"), replace(plan, forget=()).to_json())
        faults.point("ingest.names_forgotten")
    storage.delete(run_key(plan.run_id, _UNDO))
    _forget_run(storage, plan.number - KEPT_RUNS)
    _set_state(storage, plan.number, "done")
    faults.point("ingest.done")


def carry_out(storage: WarehouseStorage, plan: RunPlan) -> None:
    """From the decision to the end, of a run that has nothing else to do between."""
    decide(storage, plan)
    apply(storage, plan)
    finish(storage, plan)


def _forget_run(storage: WarehouseStorage, number: int) -> None:
    """Nobody finishes it any more; else the list of all runs that ever were would grow without end."""
    if number < 1:
        return
    run_id = RunNumber(number).run_id
    report = json.loads(storage.read(run_key(run_id, "report.json")) or b"{}")
    if report.get("kind") != "withdraw":
        storage.delete(f"{RUNS}/{run_id}")


def recover(storage: WarehouseStorage) -> RunPlan | None:
    """Finish or undo the run that was interrupted, if there is one; the plan that was rolled forward, or None."""
    state = _state(storage)
    number = RunNumber(state.get("number", 0))
    for start in (f"{RUNS}/{number.run_id}/.", f"{RUNS}/.", f"{CATALOG}/."):
        for key in list(storage.keys(start)):  # what `write` had not yet put in its place when it was interrupted
            storage.delete(key)
    if state.get("state") != "open":
        return None
    key = run_key(number.run_id, "plan.json")
    written = storage.read(key)
    if written is None:
        written = _GIVEN_UP if storage.create(key, _GIVEN_UP) else storage.read(key)
    if written is None or written == _GIVEN_UP:
        for key in json.loads(storage.read(run_key(number.run_id, _UNDO)) or b"[]"):
            storage.delete(key)
            faults.point("ingest.undone")
        storage.delete(run_key(number.run_id, _UNDO))
        _sweep(storage, number.run_id, frozenset())
        _forget_run(storage, number.number - KEPT_RUNS)
        _set_state(storage, number.number, "abandoned")
        return None
    plan = RunPlan.from_json(written)
    apply(storage, plan)
    finish(storage, plan)
    return plan


def _sweep(storage: WarehouseStorage, run_id: str, named: frozenset[str] | set[str]) -> None:
    """Files that workers wrote and no plan took: of retried batches, of rewritten parts, of a run that never was."""
    tables = [table_key(name) for name in (QUARANTINE, LEDGER, *all_tables(storage))]
    for table in tables:
        strays = [key for key in storage.keys(f"{table}/{file_prefix(run_id)}") if key not in named]
        for key in strays:
            storage.delete(key)
        if strays and next(iter(storage.keys(f"{table}/")), None) is None:
            storage.delete(table)  # of a table that never was: its name may be made of data, and each run looks there
    discard(storage, run_id)
    storage.delete(run_key(run_id, "scratch"))


def last_run(storage: WarehouseStorage) -> int:
    """Number of the last run that began; 0 when none did."""
    return int(_state(storage).get("number", 0))


def is_open(storage: WarehouseStorage) -> bool:
    """Whether a run has begun and is not closed: it goes on just now, or was interrupted."""
    return _state(storage).get("state") == "open"


def table_names(storage: WarehouseStorage) -> list[str]:
    """Every folder under `tables/`, committed to or not."""
    return storage.folders(f"{TABLES}/")


def all_tables(storage: WarehouseStorage) -> list[str]:
    """Data tables, and the archived copies of data tables."""
    copies = [
        f"{ARCHIVE}/{dataset}/{name}"
        for dataset in storage.folders(f"{ARCHIVE}/")
        for name in storage.folders(f"{ARCHIVE}/{dataset}/")
    ]
    return [*table_names(storage), *copies]


def _state(storage: WarehouseStorage) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(storage.read(STATE) or b"{}")
    return state


def _set_state(storage: WarehouseStorage, number: int, state: str) -> None:
    """Close the run that is open; nothing to do when somebody else has."""
    text = state_text(number, state)
    if not storage.exchange(STATE, state_text(number, "open"), text) and storage.read(STATE) != text:
        raise _lost(storage, RunNumber(number).run_id)
