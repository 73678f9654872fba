"""Withdrawal: a participant, or a record, leaves every table, the ledger, quarantine and raw JSON; and proof of it.

What was asked for is written down first, as tombstones (`withdrawal_requests`). So a withdrawal that is killed anywhere
is finished by whichever command writes to the warehouse next.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from carrel.ingest.operations.proofs import (
    KIND,
    Proof,
    Removal,
    TableRemoval,
    WithdrawalPreview,
    now_in_utc,
    old_versions_note,
)
from carrel.ingest.operations.search import Search, WholeValues
from carrel.ingest.operations.subjects import WHO, Subjects, find_subjects, read_columns, recall_subjects
from carrel.ingest.operations.withdrawal_requests import complete_withdrawals, request_withdrawal, requested_withdrawals
from carrel.ingest.store import (
    LEDGER,
    QUARANTINE,
    DataFile,
    RecordLookup,
    RunNumber,
    RunPlan,
    TableCommit,
    WarehouseStorage,
    active_files,
    all_tables,
    apply,
    begin,
    coordinator_lock,
    decide,
    finish,
    is_open,
    open_storage,
    open_table,
    read_blocks,
    recover,
    rewrite_file,
    schema_bytes,
    table_key,
    write_file,
)
from carrel.ingest.store.ledger import (
    CURRENT,
    ROW_GROUP,
    SCHEMA,
    Line,
    from_arrow,
    to_arrow,
    tombstone_line,
    tombstone_of,
)
from carrel.ingest.store.raw_files import RAW_JSON
from carrel.ingest.tables.raw_json import raw_json_stem, stem_of
from carrel.telemetry import faults
from carrel.warehouse.layout import LOG


def withdraw(warehouse: str, healthcodes: Collection[str] = (), record_ids: Collection[str] = ()) -> Proof:
    """Remove these participants and records, for good. Their archives are never ingested again.

    Copies that were exported from the warehouse are not known to it. WarehouseBusy when somebody else is at it.
    """
    storage = open_storage(warehouse)
    with coordinator_lock(storage):
        resumed = resume(storage)
        subjects = find_subjects(storage, healthcodes, record_ids)
        before = _earlier(storage, subjects)
        request_withdrawal(storage, subjects.tombstones)
        removed = _remove(storage, subjects)
        complete_withdrawals(storage, subjects.tombstones)
        searched = Search(storage, subjects.codes, subjects.others).run()
        old_versions = old_versions_note(storage)
    repeated = resumed.run_id in {each.run_id for each in before}
    return Proof(
        {each: max([count, *_counts(before, each)]) for each, count in subjects.records.items()},
        removed,
        before,
        searched.files,
        searched.cells,
        len(subjects.codes),
        tuple(searched.holding),
        finished=resumed.run_id if resumed.withdrawal and not repeated else None,
        old_versions=old_versions,
    )


def preview_withdrawal(
    warehouse: str, healthcodes: Collection[str] = (), record_ids: Collection[str] = ()
) -> WithdrawalPreview:
    """What `withdraw` would remove. Changes nothing, and waits for nobody."""
    storage = open_storage(warehouse)
    subjects = find_subjects(storage, healthcodes, record_ids)
    made = _Withdrawal(storage, RunNumber(0), subjects, writes=False)
    made.plan()
    before = _known_tombstones(storage)
    asked_for = {"healthcode": healthcodes, "record": record_ids}
    withdrawn = tuple(
        code for kind, codes in asked_for.items() for code in sorted(codes) if tombstone_of(kind, code) in before
    )
    strangers = sorted({*healthcodes, *record_ids}.difference(subjects.seen, withdrawn))
    addresses = pa.chunked_array([pa.array([line.entry.archive_uri for line in made.lines], pa.string())])
    unknown = tuple(
        code for code in strangers if not pc.any(WholeValues([code], subjects.others).standing_in(addresses)).as_py()
    )
    removal = Removal("", subjects.records, len(made.lines), tuple(made.tables), made.raw_json)
    return WithdrawalPreview(removal, unknown, withdrawn, is_open(storage))


def _counts(removals: Iterable[Removal], tombstone: str) -> Iterator[int]:
    """How many records earlier withdrawals of it came to."""
    return (each.asked.get(tombstone, 0) for each in removals)


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was interrupted and is finished now: a run whose plan was decided, and a withdrawal."""

    run_id: str | None = None
    withdrawal: bool = False


def resume(storage: WarehouseStorage) -> Resumed:
    """Finish or undo what was interrupted; every command that writes begins with it, under the coordinator's lock."""
    plan = recover(storage)
    waiting = requested_withdrawals(storage)
    if not waiting:
        return Resumed(plan.run_id if plan else None)
    removed = _remove(storage, recall_subjects(storage, waiting))
    complete_withdrawals(storage, waiting)
    run_id = removed.run_id if removed else (plan.run_id if plan else None)
    return Resumed(run_id, True)


def _earlier(storage: WarehouseStorage, subjects: Subjects) -> tuple[Removal, ...]:
    """What the runs that first withdrew these codes removed."""
    known = _known_tombstones(storage)
    runs = sorted({known[each] for each in subjects.tombstones if each in known})
    found = (Removal.read(storage, run_id) for run_id in runs)
    return tuple(each for each in found if each)


def _known_tombstones(storage: WarehouseStorage) -> dict[str, str]:
    """tombstone -> the run that made it. Reads two columns of the ledger."""
    table = open_table(storage, LEDGER)
    known: dict[str, str] = {}
    for file in active_files(table) if table else ():
        for block in read_columns(storage, LEDGER, file.path, ("tombstone", "_run_id")):
            told = block.filter(pc.is_valid(block.column("tombstone"))).to_pylist()
            known |= {row["tombstone"]: row["_run_id"] for row in told}
    return known


def _remove(storage: WarehouseStorage, subjects: Subjects) -> Removal | None:
    """One run that removes all that there is of them; None when there is nothing, and nothing to remember."""
    number = begin(storage)
    made = _Withdrawal(storage, number, subjects)
    plan = made.plan()
    removal = Removal(number.run_id, subjects.records, len(made.lines), tuple(made.tables), made.raw_json, now_in_utc())
    if plan.commits or plan.vacuum or plan.forget:
        removal.write(storage)
    decide(storage, plan)
    apply(storage, plan)
    finish(storage, plan)
    return removal if plan.commits or plan.vacuum or plan.forget else None


_Change = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True, slots=True)
class _Files:
    """Data files of a table: those of its current version, and those that earlier versions or nobody names."""

    active: list[str]
    stale: list[str]


class _Withdrawal:
    """Makes the plan, and counts. Reads file by file, row group by row group. `writes` False: counts alone."""

    def __init__(self, storage: WarehouseStorage, number: RunNumber, subjects: Subjects, writes: bool = True):
        self.storage = storage
        self.run_id = number.run_id
        self.number = number
        self.subjects = subjects
        self.writes = writes
        self.lines: list[Line] = []
        self.tables: list[TableRemoval] = []
        self.forget: list[str] = []
        self.raw_json = 0
        self._runs: dict[str, frozenset[str]] = {}

    def plan(self) -> RunPlan:
        commits = [*self._ledger(), *self._quarantine()]
        for name in all_tables(self.storage):
            commits += self._table(name)
        raw = list(self._raw_json())
        self.raw_json = len(raw)
        vacuum = tuple(each.table for each in self.tables)
        return RunPlan(
            self.number.number, self.run_id, KIND, tuple(commits), forget=(*self.forget, *raw), vacuum=vacuum
        )

    def _ledger(self) -> Iterator[TableCommit]:
        """Tombstones, and in place of the records' lines what is enough to know their archives again."""

        def blank(block: pa.Table) -> pa.Table:
            mine = self.subjects.own(block)
            self.lines += from_arrow(block.filter(mine))
            return block.filter(pc.invert(mine))

        have = _known_tombstones(self.storage)
        table = open_table(self.storage, LEDGER)
        old = self._files(LEDGER, table)
        left = {path: self._rewritten(LEDGER, path, blank) for path in self._lines_in(LEDGER, old.active)}
        new = [tombstone_line(each, self.run_id) for each in self.subjects.tombstones if each not in have]
        made = [*(line.blanked() for line in self.lines), *new]
        add = [file for file in left.values() if file]
        if made and self.writes:
            add.append(write_file(self.storage, self.run_id, LEDGER, "withdrawn", to_arrow(made), ROW_GROUP))
        self._runs = _runs_of(self.lines, self.subjects)
        stale = any(self._lines_in(LEDGER, old.stale))
        self._note(LEDGER, table, len(self.lines), left, old, stale)
        if add or left:
            yield TableCommit(LEDGER, schema_bytes(SCHEMA), tuple(add), tuple(left))

    def _quarantine(self) -> Iterator[TableCommit]:
        gone = 0

        def keep(block: pa.Table) -> pa.Table:
            nonlocal gone
            left = block.filter(pc.invert(self.subjects.own(block)))
            gone += block.num_rows - left.num_rows
            return left

        table = open_table(self.storage, QUARANTINE)
        old = self._files(QUARANTINE, table)
        left = {path: self._rewritten(QUARANTINE, path, keep) for path in self._lines_in(QUARANTINE, old.active)}
        self._note(QUARANTINE, table, gone, left, old, any(self._lines_in(QUARANTINE, old.stale)))
        yield from _commit(QUARANTINE, table, left)

    def _lines_in(self, name: str, paths: Collection[str]) -> Iterator[str]:
        """Which files have lines about the subjects."""
        for path in paths:
            if any(pc.any(self.subjects.own(block)).as_py() for block in read_columns(self.storage, name, path, WHO)):
                yield path

    def _table(self, name: str) -> Iterator[TableCommit]:
        rows = 0
        gone = pa.array(sorted(self.subjects.record_ids), pa.string())

        def keep(block: pa.Table) -> pa.Table:
            nonlocal rows
            left = block.filter(pc.invert(pc.is_in(block.column("recordid"), gone)))
            rows += block.num_rows - left.num_rows
            return left

        table = open_table(self.storage, name)
        old = self._files(name, table)
        any_run: dict[str, frozenset[str]] = {each: frozenset() for each in self.subjects.record_ids}
        # Copies may hold what earlier runs wrote, and so may files that the current version does not name.
        runs = any_run if "/" in name else {**any_run, **self._runs}
        holding = RecordLookup(runs).in_files(self.storage, name, old.active)
        left = {path: self._rewritten(name, path, keep) for path in holding}
        stale = list(RecordLookup(any_run).in_files(self.storage, name, old.stale))
        if table is None:
            self.forget += [f"{table_key(name)}/{path}" for path in stale]
            self.tables += [TableRemoval(name, 0, 0, len(stale), 0)] if stale else []
            return
        self._note(name, table, rows, left, old, bool(stale))
        yield from _commit(name, table, left)

    def _files(self, name: str, table: DeltaTable | None) -> _Files:
        start = f"{table_key(name)}/"
        found = {key.removeprefix(start) for key in self.storage.keys(start) if key.endswith(".parquet")}
        active = [file.path for file in active_files(table)] if table else []
        stale = {path for path in found if not path.startswith(f"{LOG}/")} - set(active)
        return _Files(active, sorted(stale))

    def _rewritten(self, name: str, path: str, change: _Change) -> DataFile | None:
        if not self.writes:
            for block in read_blocks(self.storage, name, path):
                change(block)
            return None
        made = rewrite_file(self.storage, self.run_id, name, path, change)
        faults.point("ingest.file_rewritten")
        return made

    def _note(
        self, name: str, table: DeltaTable | None, rows: int, left: dict[str, DataFile | None], old: _Files, stale: bool
    ) -> None:
        """A table that holds them, or held them in files that earlier versions name: those versions go."""
        if table is not None and (left or stale):
            before = table.version() + (1 if left else 0)
            self.tables.append(TableRemoval(name, rows, len(left), len(left) + len(old.stale), before))

    def _raw_json(self) -> Iterator[str]:
        """What the ledger says that they have, and whatever else bears their records' names."""
        known = {f"{RAW_JSON}/{key}" for line in self.lines for key in line.raw}
        stems = {raw_json_stem(record) for record in self.subjects.record_ids}
        for key in self.storage.keys(f"{RAW_JSON}/"):
            if key in known or stem_of(key) in stems:
                yield key


def _commit(name: str, table: DeltaTable | None, left: dict[str, DataFile | None]) -> Iterator[TableCommit]:
    if left and table is not None:
        schema = schema_bytes(pa.schema(table.schema().to_arrow()))
        yield TableCommit(name, schema, tuple(file for file in left.values() if file), tuple(left))


def _runs_of(lines: Iterable[Line], subjects: Subjects) -> dict[str, frozenset[str]]:
    """record -> runs whose rows of it the tables may hold; a record that is not there may be of any run."""
    runs: dict[str, set[str]] = {}
    for line in lines:
        if line.entry.record_id in subjects.record_ids and line.entry.disposition in CURRENT:
            runs.setdefault(line.entry.record_id or "", set()).add(line.run_id)
    return {record: frozenset(each) for record, each in runs.items()}
