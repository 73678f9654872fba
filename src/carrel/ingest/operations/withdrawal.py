"""Withdrawal: a participant, or a record, leaves every table, the ledger, quarantine and raw JSON; and proof of it.

What was asked for is written down first, as tombstones (`withdrawal_requests`). So a withdrawal that is killed anywhere
is finished by whichever command writes to the warehouse next.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
    begin,
    carry_out,
    coordinator_lock,
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
        runs = known_tombstones(storage)
        withdrawn_by = sorted({runs[tombstone] for tombstone in subjects.tombstones if tombstone in runs})
        removals = (Removal.read(storage, run_id) for run_id in withdrawn_by)
        earlier = tuple(removal for removal in removals if removal)
        request_withdrawal(storage, subjects.tombstones)
        removed = _remove(storage, subjects)
        complete_withdrawals(storage, subjects.tombstones)
        searched = Search(storage, subjects.codes, subjects.others).run()
        old_versions = old_versions_note(storage)
    is_repeated = resumed.run_id in {removal.run_id for removal in earlier}
    return Proof(
        asked={
            tombstone: max([records, *(removal.asked.get(tombstone, 0) for removal in earlier)])
            for tombstone, records in subjects.records.items()
        },
        removed=removed,
        earlier=earlier,
        files_searched=searched.files,
        cells_searched=searched.cells,
        codes_searched=len(subjects.codes),
        holding=tuple(searched.holding),
        finished=resumed.run_id if resumed.withdrawal and not is_repeated else None,
        old_versions=old_versions,
    )


def preview_withdrawal(
    warehouse: str, healthcodes: Collection[str] = (), record_ids: Collection[str] = ()
) -> WithdrawalPreview:
    """What `withdraw` would remove. Changes nothing, and waits for nobody."""
    storage = open_storage(warehouse)
    subjects = find_subjects(storage, healthcodes, record_ids)
    withdrawal = _Withdrawal(storage, RunNumber(0), subjects, writes=False)
    withdrawal.plan()
    tombstones = known_tombstones(storage)
    requested = {"healthcode": healthcodes, "record": record_ids}
    withdrawn = tuple(
        code for kind, codes in requested.items() for code in sorted(codes) if tombstone_of(kind, code) in tombstones
    )
    strangers = sorted({*healthcodes, *record_ids}.difference(subjects.seen, withdrawn))
    addresses = pa.chunked_array([pa.array([line.entry.archive_uri for line in withdrawal.lines], pa.string())])
    unknown = tuple(
        code for code in strangers if not pc.any(WholeValues([code], subjects.others).standing_in(addresses)).as_py()
    )
    return WithdrawalPreview(withdrawal.removal(), unknown, withdrawn, is_open(storage))


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was interrupted and is finished now: a run whose plan was decided, and a withdrawal."""

    run_id: str | None = None
    withdrawal: bool = False


def resume(storage: WarehouseStorage) -> Resumed:
    """Finish or undo what was interrupted; every command that writes begins with it, under the coordinator's lock."""
    plan = recover(storage)
    pending = requested_withdrawals(storage)
    if not pending:
        return Resumed(plan.run_id if plan else None)
    removed = _remove(storage, recall_subjects(storage, pending))
    complete_withdrawals(storage, pending)
    run_id = removed.run_id if removed else (plan.run_id if plan else None)
    return Resumed(run_id, True)


def known_tombstones(storage: WarehouseStorage) -> dict[str, str]:
    """tombstone -> the run that made it. Reads two columns of the ledger."""
    table = open_table(storage, LEDGER)
    runs: dict[str, str] = {}
    for file in active_files(table) if table else ():
        for block in read_columns(storage, LEDGER, file.path, ("tombstone", "_run_id")):
            rows = block.filter(pc.is_valid(block.column("tombstone"))).to_pylist()
            runs |= {row["tombstone"]: row["_run_id"] for row in rows}
    return runs


def _remove(storage: WarehouseStorage, subjects: Subjects) -> Removal | None:
    """One run that removes all that there is of them; None when there is nothing, and nothing to remember."""
    number = begin(storage)
    withdrawal = _Withdrawal(storage, number, subjects)
    plan = withdrawal.plan()
    removal = None
    if plan.commits or plan.vacuum or plan.forget:
        removal = withdrawal.removal(at=now_in_utc())
        removal.write(storage)
    carry_out(storage, plan)
    return removal


_Change = Callable[[pa.Table], pa.Table]
_Rewritten = Mapping[str, DataFile | None]
"""path of an old file -> what stands for it now; None: nothing is left"""


@dataclass(frozen=True, slots=True)
class _Files:
    """Data files of a table: those of its current version, and those that earlier versions or nobody names."""

    active: list[str]
    stale: list[str]


class _Withdrawal:
    """Plans one withdrawal and counts what goes, reading row group by row group. `writes` False: it only counts."""

    def __init__(self, storage: WarehouseStorage, number: RunNumber, subjects: Subjects, writes: bool = True):
        self.storage = storage
        self.run_id = number.run_id
        self.number = number
        self.subjects = subjects
        self.writes = writes
        self.lines: list[Line] = []
        """Those of the ledger that are about the subjects."""
        self.tables: list[TableRemoval] = []
        self.raw_json: list[str] = []
        """Keys of raw JSON that is theirs."""

    def plan(self) -> RunPlan:
        """Find what goes, write what stays of it anew, and plan the run. Called once."""
        forget: list[str] = []
        commits = [self._ledger(), self._quarantine()]
        runs = _runs_of(self.lines, self.subjects)
        for name in all_tables(self.storage):
            commits.append(self._table(name, runs, forget))
        self.raw_json = list(self._raw_json())
        return RunPlan(
            number=self.number.number,
            run_id=self.run_id,
            kind=KIND,
            commits=tuple(commit for commit in commits if commit),
            forget=(*forget, *self.raw_json),
            vacuum=tuple(removal.table for removal in self.tables),
        )

    def removal(self, at: str = "") -> Removal:
        """What `plan` takes away, for its report. `at`: when."""
        return Removal(
            run_id=self.run_id if self.writes else "",
            asked=self.subjects.records,
            archives=len(self.lines),
            tables=tuple(self.tables),
            raw_json=len(self.raw_json),
            at=at,
        )

    def _ledger(self) -> TableCommit | None:
        """Tombstones, and in place of the records' lines what is enough to know their archives again."""

        def without_lines(block: pa.Table) -> pa.Table:
            is_own = self.subjects.own(block)
            self.lines += from_arrow(block.filter(is_own))
            return block.filter(pc.invert(is_own))

        existing = known_tombstones(self.storage)
        table = open_table(self.storage, LEDGER)
        old = self._files(LEDGER, table)
        rewritten = {path: self._rewrite(LEDGER, path, without_lines) for path in self._lines_in(LEDGER, old.active)}
        new = [tombstone_line(code, self.run_id) for code in self.subjects.tombstones if code not in existing]
        lines = [*(line.blanked() for line in self.lines), *new]
        add = [file for file in rewritten.values() if file]
        if lines and self.writes:
            add.append(write_file(self.storage, self.run_id, LEDGER, "withdrawn", to_arrow(lines), ROW_GROUP))
        self._note(LEDGER, table, len(self.lines), rewritten, old, any(self._lines_in(LEDGER, old.stale)))
        if not add and not rewritten:
            return None
        return TableCommit(LEDGER, schema_bytes(SCHEMA), tuple(add), tuple(rewritten))

    def _quarantine(self) -> TableCommit | None:
        rows = 0

        def without_lines(block: pa.Table) -> pa.Table:
            nonlocal rows
            others = block.filter(pc.invert(self.subjects.own(block)))
            rows += block.num_rows - others.num_rows
            return others

        name = QUARANTINE
        table = open_table(self.storage, name)
        old = self._files(name, table)
        rewritten = {path: self._rewrite(name, path, without_lines) for path in self._lines_in(name, old.active)}
        self._note(name, table, rows, rewritten, old, any(self._lines_in(name, old.stale)))
        return _commit(name, table, rewritten)

    def _lines_in(self, name: str, paths: Collection[str]) -> Iterator[str]:
        """Yield those of the files that have lines about the subjects."""
        for path in paths:
            if any(pc.any(self.subjects.own(block)).as_py() for block in read_columns(self.storage, name, path, WHO)):
                yield path

    def _table(self, name: str, runs: Mapping[str, frozenset[str]], forget: list[str]) -> TableCommit | None:
        """Of a table that was never committed, files with their rows are to `forget`. `runs`: as of `_runs_of`."""
        rows = 0
        record_ids = pa.array(sorted(self.subjects.record_ids), pa.string())

        def without_rows(block: pa.Table) -> pa.Table:
            nonlocal rows
            others = block.filter(pc.invert(pc.is_in(block.column("recordid"), record_ids)))
            rows += block.num_rows - others.num_rows
            return others

        table = open_table(self.storage, name)
        old = self._files(name, table)
        any_run: dict[str, frozenset[str]] = {record: frozenset() for record in self.subjects.record_ids}
        # Copies may hold what earlier runs wrote, and so may files that the current version does not name.
        lookup = RecordLookup(any_run if "/" in name else {**any_run, **runs})
        holding = lookup.in_files(self.storage, name, old.active)
        rewritten = {path: self._rewrite(name, path, without_rows) for path in holding}
        stale = list(RecordLookup(any_run).in_files(self.storage, name, old.stale))
        if table is None:
            forget += [f"{table_key(name)}/{path}" for path in stale]
            self.tables += [TableRemoval(name, 0, 0, len(stale), 0)] if stale else []
            return None
        self._note(name, table, rows, rewritten, old, bool(stale))
        return _commit(name, table, rewritten)

    def _files(self, name: str, table: DeltaTable | None) -> _Files:
        start = f"{table_key(name)}/"
        paths = {key.removeprefix(start) for key in self.storage.keys(start) if key.endswith(".parquet")}
        active = [file.path for file in active_files(table)] if table else []
        stale = {path for path in paths if not path.startswith(f"{LOG}/")} - set(active)
        return _Files(active, sorted(stale))

    def _rewrite(self, name: str, path: str, change: _Change) -> DataFile | None:
        if not self.writes:
            for block in read_blocks(self.storage, name, path):
                change(block)
            return None
        file = rewrite_file(self.storage, self.run_id, name, path, change)
        faults.point("ingest.file_rewritten")
        return file

    def _note(
        self, name: str, table: DeltaTable | None, rows: int, rewritten: _Rewritten, old: _Files, is_stale: bool
    ) -> None:
        """A table that holds them, or held them in files that earlier versions name: those versions go."""
        if table is not None and (rewritten or is_stale):
            before = table.version() + (1 if rewritten else 0)
            deleted = len(rewritten) + len(old.stale)
            self.tables.append(TableRemoval(name, rows, len(rewritten), deleted, before))

    def _raw_json(self) -> Iterator[str]:
        """What the ledger says that they have, and whatever else bears their records' names."""
        named = {f"{RAW_JSON}/{key}" for line in self.lines for key in line.raw}
        stems = {raw_json_stem(record) for record in self.subjects.record_ids}
        for key in self.storage.keys(f"{RAW_JSON}/"):
            if key in named or stem_of(key) in stems:
                yield key


def _commit(name: str, table: DeltaTable | None, rewritten: _Rewritten) -> TableCommit | None:
    if not rewritten or table is None:
        return None
    schema = schema_bytes(pa.schema(table.schema().to_arrow()))
    return TableCommit(name, schema, tuple(file for file in rewritten.values() if file), tuple(rewritten))


def _runs_of(lines: Iterable[Line], subjects: Subjects) -> dict[str, frozenset[str]]:
    """record -> runs whose rows of it the tables may hold; a record that is not there may be of any run."""
    runs: dict[str, set[str]] = {}
    for line in lines:
        if line.entry.record_id in subjects.record_ids and line.entry.disposition in CURRENT:
            runs.setdefault(line.entry.record_id or "", set()).add(line.run_id)
    return {record: frozenset(run_ids) for record, run_ids in runs.items()}
