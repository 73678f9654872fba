"""From what a run came to, to its plan: schemas unified, parts brought into them, rows of replaced records left out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.run.merging import Settled, is_replaced_row
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
    Policy,
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


@dataclass(slots=True)
class Built:
    """A plan and what the report says of it."""

    plan: RunPlan
    lines: tuple[Line, ...]
    held: tuple[QuarantineLine, ...]
    rows: dict[str, int]
    changes: tuple[TableChange, ...] = ()
    raw: dict[str, int] = field(default_factory=dict)
    """Raw JSON files "written" and "deleted"; neither: none."""


class Builder:
    """Builds the plan of one run. Writes files, none of them visible yet."""

    def __init__(
        self,
        storage: WarehouseStorage,
        number: RunNumber,
        schemas: Schemas,
        known: Mapping[str, CatalogEntry],
        replayed: frozenset[int] = frozenset(),
        refused: Sequence[NonconformingFile] = (),
    ):
        self.storage = storage
        self.number = number
        self.schemas = schemas
        self.known = known
        self.replayed = replayed
        self.refused = refused
        self.commits: list[TableCommit] = []
        self.catalog: dict[str, str] = {}
        self.rows: dict[str, int] = {}
        self.changes: list[TableChange] = []
        self.raw: list[RawFile] = []
        self.raw_gone: list[str] = []

    def built(self, settled: Settled) -> Built:
        """The plan that makes `settled` visible."""
        lines, held = list(settled.lines), list(settled.held)
        for dataset in self._datasets(settled):
            self._dataset(dataset, settled)
        lines = self._raw_json(settled, lines)
        self._quarantine(held, settled)
        self._ledger(lines)
        kind = "replay" if self.replayed else "run"
        raw = bool(self.raw or self.raw_gone)
        plan = RunPlan(
            number=self.number.number,
            run_id=self.number.run_id,
            kind=kind,
            commits=tuple(self.commits),
            catalog=self.catalog,
            raw_json=raw,
        )
        counts = {"written": len(self.raw), "deleted": len(self.raw_gone)} if raw else {}
        return Built(plan, tuple(lines), tuple(held), self.rows, tuple(self.changes), counts)

    def _datasets(self, settled: Settled) -> list[str]:
        """Those with something new, those that held rows of replaced records, and those that are named otherwise."""
        tables = {table for prior in settled.priors.values() for table in prior.tables}
        touched = {
            dataset
            for dataset, entry in self.known.items()
            if tables & set(entry.schema.tables) or entry.naming != self._naming(dataset)
        }
        return sorted(touched | set(settled.schemas))

    def _naming(self, dataset: str) -> str:
        return self.schemas.mapping.options(dataset).naming

    def _dataset(self, dataset: str, settled: Settled) -> None:
        entry = self.known.get(dataset)
        policy = Policy(self.schemas.mapping.options(dataset).policy)
        before = entry.schema if entry else None
        schema, changes = unify(before, settled.schemas.get(dataset, ()), policy, self.number.run_id)
        naming = self._naming(dataset)
        if schema != before or (
            entry and entry.naming != naming
        ):  # kinds that were seen are kept too, though they change no column
            by = self.schemas.mapping.options(dataset).partition_by
            entry_before = entry or CatalogEntry(DatasetSchema(dataset), partition_by=by)
            self.catalog[dataset] = entry_before.with_changes(schema, changes, naming).to_json().decode()
            self.changes += changes
        parts = [part for part in settled.parts if part.dataset == dataset]
        had = _views(before, entry.naming) if before and entry else {}
        views = _views(schema, naming)
        for name in sorted(schema.tables):
            table = _Table(self, settled, schema.tables[name], before.tables.get(name) if before else None)
            table.partition_by = entry.partition_by if entry else self.schemas.mapping.options(dataset).partition_by
            table.view = views.get(name, "")
            table.is_renamed = table.view != had.get(name, "")
            table.commit([part for part in parts if part.table == name])

    def _raw_json(self, settled: Settled, lines: list[Line]) -> list[Line]:
        """Prepare the raw JSON that the run adds and takes away; the lines with what they have of it."""
        gone = {each.file for each in self.refused}
        self.raw = [raw for raw in settled.raw if (raw.record_id, raw.source_file, *raw.archive) not in gone]
        packed: dict[str, dict[str, str]] = {}
        keys: dict[tuple[str, str], list[str]] = {}
        for raw in self.raw:
            packed.setdefault(raw.pack, {})[raw.name] = raw.key
            keys.setdefault(raw.archive, []).append(raw.key)
        before = {key for prior in settled.priors.values() for key in prior.raw}
        self.raw_gone = sorted(before - {raw.key for raw in self.raw})
        if self.raw or self.raw_gone:
            prepare(self.storage, self.number.run_id, packed, self.raw_gone)
        archives = [(line.entry.archive_uri, line.entry.archive_etag) for line in lines]
        return [
            replace(line, raw=tuple(sorted(keys.get(archive, ()))))
            for line, archive in zip(lines, archives, strict=True)
        ]

    def _quarantine(self, held: list[QuarantineLine], settled: Settled) -> None:
        def is_gone(row: Mapping[str, Any]) -> bool:
            return row["archive_key"] in self.replayed or is_replaced_row(row, settled.replaced_faults)

        looked_for = bool(settled.replaced_faults or self.replayed)
        self._lines(QUARANTINE, quarantine_rows(held), is_gone if looked_for else None)

    def _ledger(self, lines: list[Line]) -> None:
        """A replay's lines take the place of those that the archives had."""

        def is_gone(row: Mapping[str, Any]) -> bool:
            return row["archive_key"] in self.replayed

        if self.replayed:
            self._lines(LEDGER, ledger_rows(lines), is_gone, ROW_GROUP)
        else:
            self._lines_and_small_files(lines)

    def _lines_and_small_files(self, lines: list[Line]) -> None:
        """Every run brings a small file, and every run looks into each file: so many of them become one."""
        rows = ledger_rows(lines)
        table = open_table(self.storage, LEDGER)
        small = [file.path for file in active_files(table) if file.rows < _SMALL] if table else []
        if len(small) < _MANY or not rows.num_rows:
            self._lines(LEDGER, rows, None, ROW_GROUP)
            return
        old = [block for path in small for block in read_blocks(self.storage, LEDGER, path)]
        # Files of earlier versions lack the columns that came later.
        whole = in_order(pa.concat_tables([rows.slice(0, 0), *old, rows], promote_options="default"))
        file = write_file(self.storage, self.number.run_id, LEDGER, "lines", whole, ROW_GROUP)
        self.commits.append(TableCommit(LEDGER, schema_bytes(rows.schema), (file,), tuple(small)))

    def _lines(
        self, table: str, rows: pa.Table, is_gone: Callable[[Mapping[str, Any]], bool] | None, row_group: int = 131_072
    ) -> None:
        """Add lines to the ledger or quarantine, and take some away."""
        left = dict(without_lines(self.storage, self.number.run_id, table, is_gone, row_group)) if is_gone else {}
        add = [file for file in left.values() if file]
        if rows.num_rows:
            add.append(write_file(self.storage, self.number.run_id, table, "lines", rows, row_group))
        if add or left:
            self.commits.append(TableCommit(table, schema_bytes(rows.schema), tuple(add), tuple(left)))


class _Table:
    """One table of the run's plan."""

    def __init__(self, builder: Builder, settled: Settled, want: TableSchema, before: TableSchema | None):
        self.storage = builder.storage
        self.run_id = builder.number.run_id
        self.builder = builder
        self.settled = settled
        self.want = want
        self.before = before
        self.partition_by: tuple[str, ...] = ()
        self.view = ""
        self.is_renamed = False
        self.losing = pa.array([_joined(*archive) for archives in settled.losers.values() for archive in archives])

    def commit(self, parts: list[Part]) -> None:
        """Add what the run does to this table, if anything."""
        add = [file for part in parts if (file := self._part(part))]
        kept, remove, replaces = self._committed()
        if add:
            self.builder.rows[self.want.name] = sum(file.rows for file in add)
        if add or remove or self.is_renamed:
            schema = schema_bytes(self.want.to_arrow())
            files, by = (*add, *kept), self.partition_by
            view = self.view if self.view or self.is_renamed else None
            made = TableCommit(self.want.name, schema, files, tuple(remove), replaces, partition_by=by, view=view)
            self.builder.commits.append(made)

    def _part(self, part: Part) -> DataFile | None:
        """The part itself where it can stay as it is, else rewritten; None when nothing of it is left."""
        have = TableSchema.from_bytes(part.table, part.schema)
        loses = bool(part.records & set(self.settled.losers))
        offends = bool(part.records & {each.recordid for each in self.builder.refused})
        reshape = needs_rewrite(have, self.want)
        if not (loses or offends or reshape):
            return part.file

        def change(block: pa.Table) -> pa.Table:
            left = self._without_losers(block) if loses else block
            left = without_files(left, self.builder.refused) if offends else left
            return conform(left, have, self.want) if reshape else left

        schema = self.want.to_arrow() if reshape else None
        made = rewrite_file(self.storage, self.run_id, part.table, part.file.path, change, schema)
        faults.point("ingest.part_rewritten")
        return made

    def _without_losers(self, block: pa.Table) -> pa.Table:
        archives = pc.binary_join_element_wise(
            block.column("_archive_uri").cast(pa.string()), block.column("_archive_etag").cast(pa.string()), "\n"
        )
        return block.filter(pc.invert(pc.is_in(archives, self.losing)))

    def _committed(self) -> tuple[list[DataFile], list[str], bool]:
        """(files in place of old ones, old files to remove, whether all go): nothing, on the plain append path."""
        replaced = {
            record: prior.runs for record, prior in self.settled.priors.items() if self.want.name in prior.tables
        }
        reshape = self.before is not None and needs_rewrite(self.before, self.want)
        table = open_table(self.storage, self.want.name) if replaced or reshape else None
        if table is None:
            return [], [], False
        paths = [file.path for file in active_files(table)]
        if not reshape:
            paths = list(RecordLookup(replaced).in_files(self.storage, self.want.name, paths))
        made = [file for path in paths if (file := self._old(path, set(replaced), reshape))]
        return made, paths, reshape

    def _old(self, path: str, replaced: set[str], reshape: bool) -> DataFile | None:
        gone = pa.array(sorted(replaced), pa.string())
        have = self._schema_of(path) if reshape else None

        def change(block: pa.Table) -> pa.Table:
            left = block.filter(pc.invert(pc.is_in(block.column("recordid"), gone))) if replaced else block
            return conform(left, have, self.want) if have else left

        schema = self.want.to_arrow() if reshape else None
        made = rewrite_file(self.storage, self.run_id, self.want.name, path, change, schema)
        faults.point("ingest.file_rewritten")
        return made

    def _schema_of(self, path: str) -> TableSchema:
        """A committed file has the table's columns, but for those that came after it."""
        assert self.before
        with open_data_file(self.storage, self.want.name, path) as file:
            names = set(file.schema_arrow.names)
        return replace(self.before, columns=tuple(each for each in self.before.columns if each.name in names))


def _views(schema: DatasetSchema, naming: str) -> dict[str, str]:
    """Table -> the text of its view, of tables that are to have one."""
    return bridge_views(schema) if naming == "bridge" else {}


def _joined(uri: str, etag: str) -> str:
    return f"{uri}\n{etag}"


def without_lines(
    storage: WarehouseStorage,
    run_id: str,
    name: str,
    is_gone: Callable[[Mapping[str, Any]], bool],
    row_group: int = 131_072,
) -> Iterator[tuple[str, DataFile | None]]:
    """Files of the ledger or quarantine that hold lines which must go, each with what is left of it."""
    table = open_table(storage, name)
    for file in active_files(table) if table else ():
        rows = pa.concat_tables(read_blocks(storage, name, file.path))
        keep = [not is_gone(row) for row in rows.to_pylist()]
        if not all(keep):
            left = rows.filter(pa.array(keep))
            yield file.path, write_file(storage, run_id, name, "left", left, row_group) if left.num_rows else None
