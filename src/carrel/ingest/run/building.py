"""From what a run came to, to its plan: schemas unified, parts brought into them, rows of replaced records left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.run.merging import RunOutcome, is_replaced_row
from carrel.ingest.run.values import Part, RawFile
from carrel.ingest.schemas import Schemas
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
    open_data_file,
    open_table,
    read_blocks,
    rewrite_file,
    schema_bytes,
    write_file,
)
from carrel.ingest.store.ledger import ROW_GROUP, Line, in_order
from carrel.ingest.store.ledger import to_arrow as ledger_rows
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.store.quarantine import to_arrow as quarantine_rows
from carrel.ingest.store.raw_files import prepare
from carrel.ingest.tables import (
    CatalogEntry,
    DatasetSchema,
    NonconformingFile,
    TableChange,
    TableSchema,
    bridge_views,
    conform,
    needs_rewrite,
    unify,
    without_files,
)
from carrel.telemetry import faults

_SMALL = 65_536
"""A file of the ledger with fewer lines is small;"""
_MANY = 16
"""so many small ones are merged."""
_Condition = Callable[[Mapping[str, Any]], bool]
"""Whether a line of the ledger or quarantine, as a row, must go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltRun:
    """A plan and what the report says of it."""

    plan: RunPlan
    lines: tuple[Line, ...]
    quarantine: tuple[QuarantineLine, ...]
    rows: dict[str, int]
    changes: tuple[TableChange, ...] = ()
    raw_json: dict[str, int] = field(default_factory=dict)
    """Raw JSON files "written" and "deleted"; neither: none."""


class Builder:
    """Builds the plan of one run. Writes files, none of them visible yet."""

    def __init__(
        self,
        storage: WarehouseStorage,
        number: RunNumber,
        schemas: Schemas,
        entries: Mapping[str, CatalogEntry],
        *,
        replayed: frozenset[int] = frozenset(),
        rejected: Sequence[NonconformingFile] = (),
    ):
        self.storage = storage
        self.number = number
        self.schemas = schemas
        self.entries = entries
        self.replayed = replayed
        self.rejected = rejected
        self.commits: list[TableCommit] = []
        self.catalog: dict[str, str] = {}
        self.rows: dict[str, int] = {}
        self.changes: list[TableChange] = []

    def build(self, outcome: RunOutcome) -> BuiltRun:
        """Build the plan that makes `outcome` visible."""
        tables_before = {table for rows in outcome.previous.values() for table in rows.tables}
        touched = {
            dataset
            for dataset, entry in self.entries.items()
            if tables_before & set(entry.schema.tables) or entry.naming != self.schemas.mapping.options(dataset).naming
        }
        for dataset in sorted(touched | set(outcome.schemas)):
            self._build_dataset(dataset, outcome)
        raw_files, deleted_keys = self._prepare_raw_json(outcome)
        raw_keys: dict[tuple[str, str], list[str]] = {}
        for raw in raw_files:
            raw_keys.setdefault(raw.archive, []).append(raw.key)
        lines = [
            replace(line, raw=tuple(sorted(raw_keys.get((line.entry.archive_uri, line.entry.archive_etag), ()))))
            for line in outcome.lines
        ]
        self._build_quarantine(outcome)
        self._build_ledger(lines)
        has_raw_json = bool(raw_files or deleted_keys)
        plan = RunPlan(
            number=self.number.number,
            run_id=self.number.run_id,
            kind="replay" if self.replayed else "run",
            commits=tuple(self.commits),
            catalog=self.catalog,
            raw_json=has_raw_json,
        )
        return BuiltRun(
            plan=plan,
            lines=tuple(lines),
            quarantine=outcome.quarantine,
            rows=self.rows,
            changes=tuple(self.changes),
            raw_json={"written": len(raw_files), "deleted": len(deleted_keys)} if has_raw_json else {},
        )

    def _build_dataset(self, dataset: str, outcome: RunOutcome) -> None:
        entry = self.entries.get(dataset)
        options = self.schemas.mapping.options(dataset)
        before = entry.schema if entry else None
        schema, changes = unify(before, outcome.schemas.get(dataset, ()), options.policy, self.number.run_id)
        is_renamed = entry is not None and entry.naming != options.naming
        if schema != before or is_renamed:  # kinds that were seen are kept too, though they change no column
            entry_before = entry or CatalogEntry(DatasetSchema(dataset), partition_by=options.partition_by)
            self.catalog[dataset] = entry_before.with_changes(schema, changes, options.naming).to_json().decode()
            self.changes += changes
        parts = [part for part in outcome.parts if part.dataset == dataset]
        views_before = _views(before, entry.naming) if before and entry else {}
        views = _views(schema, options.naming)
        superseded = pa.array([f"{uri}\n{etag}" for archives in outcome.superseded.values() for uri, etag in archives])
        for name in sorted(schema.tables):
            builder = _TableBuilder(
                storage=self.storage,
                run_id=self.number.run_id,
                outcome=outcome,
                superseded=superseded,
                rejected=self.rejected,
                schema=schema.tables[name],
                before=before.tables.get(name) if before else None,
                partition_by=entry.partition_by if entry else options.partition_by,
                view=views.get(name, ""),
                view_before=views_before.get(name, ""),
            )
            commit, rows = builder.build([part for part in parts if part.table == name])
            if rows is not None:
                self.rows[name] = rows
            if commit:
                self.commits.append(commit)

    def _prepare_raw_json(self, outcome: RunOutcome) -> tuple[list[RawFile], list[str]]:
        """Prepare the raw JSON that the run adds and takes away; both of these."""
        rejected = {file.file for file in self.rejected}
        raw_files = [raw for raw in outcome.raw_files if (raw.record_id, raw.source_file, *raw.archive) not in rejected]
        packed: dict[str, dict[str, str]] = {}
        for raw in raw_files:
            packed.setdefault(raw.pack, {})[raw.name] = raw.key
        before = {key for rows in outcome.previous.values() for key in rows.raw_json}
        deleted_keys = sorted(before - {raw.key for raw in raw_files})
        if raw_files or deleted_keys:
            prepare(self.storage, self.number.run_id, packed, deleted_keys)
        return raw_files, deleted_keys

    def _build_quarantine(self, outcome: RunOutcome) -> None:
        def must_go(row: Mapping[str, Any]) -> bool:
            return row["archive_key"] in self.replayed or is_replaced_row(row, outcome.replaced_faults)

        may_go = bool(outcome.replaced_faults or self.replayed)
        self._commit_lines(QUARANTINE, quarantine_rows(outcome.quarantine), must_go if may_go else None)

    def _build_ledger(self, lines: list[Line]) -> None:
        """A replay's lines take the place of those that the archives had."""

        def must_go(row: Mapping[str, Any]) -> bool:
            return row["archive_key"] in self.replayed

        if self.replayed:
            self._commit_lines(LEDGER, ledger_rows(lines), must_go, ROW_GROUP)
        else:
            self._commit_lines_and_small_files(lines)

    def _commit_lines_and_small_files(self, lines: list[Line]) -> None:
        """Every run brings a small file, and every run looks into each file: so many of them become one."""
        rows = ledger_rows(lines)
        table = open_table(self.storage, LEDGER)
        small = [file.path for file in active_files(table) if file.rows < _SMALL] if table else []
        if len(small) < _MANY or not rows.num_rows:
            self._commit_lines(LEDGER, rows, None, ROW_GROUP)
            return
        old = [block for path in small for block in read_blocks(self.storage, LEDGER, path)]
        # Files of earlier versions lack the columns that came later.
        whole = in_order(pa.concat_tables([rows.slice(0, 0), *old, rows], promote_options="default"))
        file = write_file(self.storage, self.number.run_id, LEDGER, "lines", whole, ROW_GROUP)
        self.commits.append(TableCommit(LEDGER, schema_bytes(rows.schema), (file,), tuple(small)))

    def _commit_lines(self, table: str, rows: pa.Table, must_go: _Condition | None, row_group: int = 131_072) -> None:
        """Add lines to the ledger or quarantine, and take some away."""
        rewritten = self._rewrite_without_lines(table, must_go, row_group) if must_go else {}
        added = [file for file in rewritten.values() if file]
        if rows.num_rows:
            added.append(write_file(self.storage, self.number.run_id, table, "lines", rows, row_group))
        if added or rewritten:
            self.commits.append(TableCommit(table, schema_bytes(rows.schema), tuple(added), tuple(rewritten)))

    def _rewrite_without_lines(self, name: str, must_go: _Condition, row_group: int) -> dict[str, DataFile | None]:
        """Files of the ledger or quarantine that hold lines which must go, each with what remains of it."""
        rewritten: dict[str, DataFile | None] = {}
        table = open_table(self.storage, name)
        for file in active_files(table) if table else ():
            rows = pa.concat_tables(read_blocks(self.storage, name, file.path))
            remain = [not must_go(row) for row in rows.to_pylist()]
            if not all(remain):
                rewritten[file.path] = None
                if any(remain):
                    remaining = rows.filter(pa.array(remain))
                    remainder = write_file(self.storage, self.number.run_id, name, "left", remaining, row_group)
                    rewritten[file.path] = remainder
        return rewritten


@dataclass(frozen=True, slots=True, kw_only=True)
class _TableBuilder:
    """Builds what the run does to one table."""

    storage: WarehouseStorage
    run_id: str
    outcome: RunOutcome
    superseded: pa.Array
    """Archives whose rows must go, as "uri, newline, etag"."""
    rejected: Sequence[NonconformingFile]
    schema: TableSchema
    """What the table will be."""
    before: TableSchema | None
    """What it was."""
    partition_by: tuple[str, ...]
    view: str
    view_before: str

    def build(self, parts: list[Part]) -> tuple[TableCommit | None, int | None]:
        """What the run does to this table, and how many rows it adds; None: nothing."""
        added = [file for part in parts if (file := self._bring_part(part))]
        rewritten, removed, replaces = self._rewrite_committed()
        rows = sum(file.rows for file in added) if added else None
        is_renamed = self.view != self.view_before
        if not (added or removed or is_renamed):
            return None, rows
        commit = TableCommit(
            self.schema.name,
            schema_bytes(self.schema.to_arrow()),
            (*added, *rewritten),
            tuple(removed),
            replaces,
            partition_by=self.partition_by,
            view=self.view if self.view or is_renamed else None,
        )
        return commit, rows

    def _bring_part(self, part: Part) -> DataFile | None:
        """The part itself where it can stay as it is, else rewritten; None when nothing of it remains."""
        part_schema = TableSchema.from_bytes(part.table, part.schema)
        has_superseded = bool(part.records & set(self.outcome.superseded))
        has_rejected = bool(part.records & {file.recordid for file in self.rejected})
        reshape = needs_rewrite(part_schema, self.schema)
        if not (has_superseded or has_rejected or reshape):
            return part.file

        def change(block: pa.Table) -> pa.Table:
            if has_superseded:
                archives = pc.binary_join_element_wise(
                    block.column("_archive_uri").cast(pa.string()),
                    block.column("_archive_etag").cast(pa.string()),
                    "\n",
                )
                block = block.filter(pc.invert(pc.is_in(archives, self.superseded)))
            if has_rejected:
                block = without_files(block, self.rejected)
            return conform(block, part_schema, self.schema) if reshape else block

        schema = self.schema.to_arrow() if reshape else None
        file = rewrite_file(self.storage, self.run_id, part.table, part.file.path, change, schema)
        faults.point("ingest.part_rewritten")
        return file

    def _rewrite_committed(self) -> tuple[list[DataFile], list[str], bool]:
        """(files in place of old ones, old files to remove, whether all go): nothing, on the plain append path."""
        replaced = {
            record: rows.runs for record, rows in self.outcome.previous.items() if self.schema.name in rows.tables
        }
        reshape = self.before is not None and needs_rewrite(self.before, self.schema)
        table = open_table(self.storage, self.schema.name) if replaced or reshape else None
        if table is None:
            return [], [], False
        paths = [file.path for file in active_files(table)]
        if not reshape:
            paths = list(RecordLookup(replaced).in_files(self.storage, self.schema.name, paths))
        rewritten = [file for path in paths if (file := self._rewrite_file(path, set(replaced), reshape))]
        return rewritten, paths, reshape

    def _rewrite_file(self, path: str, replaced: set[str], reshape: bool) -> DataFile | None:
        replaced_ids = pa.array(sorted(replaced), pa.string())
        file_schema = None
        if reshape:
            # A committed file has the table's columns, but for those that came after it.
            assert self.before
            with open_data_file(self.storage, self.schema.name, path) as opened:
                names = set(opened.schema_arrow.names)
            columns = tuple(column for column in self.before.columns if column.name in names)
            file_schema = replace(self.before, columns=columns)

        def change(block: pa.Table) -> pa.Table:
            if replaced:
                block = block.filter(pc.invert(pc.is_in(block.column("recordid"), replaced_ids)))
            return conform(block, file_schema, self.schema) if file_schema else block

        schema = self.schema.to_arrow() if reshape else None
        file = rewrite_file(self.storage, self.run_id, self.schema.name, path, change, schema)
        faults.point("ingest.file_rewritten")
        return file


def _views(schema: DatasetSchema, naming: str) -> dict[str, str]:
    """Table -> the text of its view, of tables that are to have one."""
    return bridge_views(schema) if naming == "bridge" else {}
