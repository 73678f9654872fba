"""From what a run came to, to its plan: schemas unified, parts brought into them, rows of replaced records left out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.commit import (
    LEDGER,
    QUARANTINE,
    DataFile,
    Plan,
    RunNumber,
    Storage,
    TableCommit,
    active_files,
    blocks,
    existing,
    holding,
    opened,
    rewritten,
    schema_bytes,
    write_file,
)
from carrel.ingest.engine.settling import Settled, is_replaced_row
from carrel.ingest.engine.values import Part
from carrel.ingest.ledger import ROW_GROUP, Line
from carrel.ingest.ledger import SCHEMA as LEDGER_SCHEMA
from carrel.ingest.ledger import to_arrow as ledger_rows
from carrel.ingest.quarantine import SCHEMA as QUARANTINE_SCHEMA
from carrel.ingest.quarantine import Held
from carrel.ingest.quarantine import to_arrow as quarantine_rows
from carrel.ingest.schemas import Schemas
from carrel.ingest.tables import (
    CatalogEntry,
    Change,
    DatasetSchema,
    Offender,
    Policy,
    TableSchema,
    conform,
    needs_rewrite,
    offenders,
    unify,
    without,
)
from carrel.ingest.tables.flatten import fault_of
from carrel.ingest.values import Disposition, QuarantineEntry
from carrel.telemetry import faults


@dataclass(slots=True)
class Built:
    """A plan and what the report says of it."""

    plan: Plan
    lines: tuple[Line, ...]
    held: tuple[Held, ...]
    rows: dict[str, int]
    changes: tuple[Change, ...] = ()


class Builder:
    """Builds the plan of one run. Writes files, none of them visible yet."""

    def __init__(
        self,
        storage: Storage,
        number: RunNumber,
        schemas: Schemas,
        known: Mapping[str, CatalogEntry],
        kind: str = "run",
    ):
        self.storage = storage
        self.number = number
        self.schemas = schemas
        self.known = known
        self.kind = kind
        self.commits: list[TableCommit] = []
        self.catalog: dict[str, str] = {}
        self.rows: dict[str, int] = {}
        self.changes: list[Change] = []

    def built(self, settled: Settled) -> Built:
        """The plan that makes `settled` visible."""
        lines, held = list(settled.lines), list(settled.held)
        for dataset in self._datasets(settled):
            found = self._dataset(dataset, settled)
            lines, held = _after_offenders(found, lines, held, settled)
        self._quarantine(held, settled)
        if lines:
            self._append(LEDGER, ledger_rows(lines), ROW_GROUP)
        plan = Plan(self.number.number, self.number.run_id, self.kind, tuple(self.commits), self.catalog)
        return Built(plan, tuple(lines), tuple(held), self.rows, tuple(self.changes))

    def _datasets(self, settled: Settled) -> list[str]:
        """Those with something new, and those that held rows of replaced records."""
        tables = {table for prior in settled.priors.values() for table in prior.tables}
        touched = {dataset for dataset, entry in self.known.items() if tables & set(entry.schema.tables)}
        return sorted(touched | set(settled.schemas))

    def _dataset(self, dataset: str, settled: Settled) -> "_Found":
        entry = self.known.get(dataset)
        policy = Policy(self.schemas.mapping.options(dataset).policy)
        before = entry.schema if entry else None
        schema, changes = unify(before, settled.schemas.get(dataset, ()), policy, self.number.run_id)
        if changes or entry is None:
            grown = (entry or CatalogEntry(DatasetSchema(dataset))).grown(schema, changes)
            self.catalog[dataset] = grown.to_json().decode()
            self.changes += changes
        parts = [part for part in settled.parts if part.dataset == dataset]
        found = _Found(self._offenders(parts, schema) if policy in (Policy.QUARANTINE, Policy.FREEZE) else ())
        for name in sorted(schema.tables):
            table = _Table(self, settled, schema.tables[name], before.tables.get(name) if before else None, found)
            table.commit([part for part in parts if part.table == name])
        return found

    def _offenders(self, parts: Iterable[Part], schema: DatasetSchema) -> tuple[Offender, ...]:
        seen: dict[tuple[str, str], Offender] = {}
        for part in parts:
            have = TableSchema.from_bytes(part.table, part.schema)
            for block in blocks(self.storage, part.table, part.file.path):
                for each in offenders(block, have, schema.table(part.table)):
                    seen.setdefault((each.recordid, each.source_file), each)
        return tuple(seen[key] for key in sorted(seen))

    def _quarantine(self, held: list[Held], settled: Settled) -> None:
        add: list[DataFile] = []
        remove: list[str] = []
        for path, file in _cleared(self.storage, self.number.run_id, settled.replaced_faults):
            remove.append(path)
            add += [file] if file else []
        if held:
            add.append(write_file(self.storage, self.number.run_id, QUARANTINE, "held", quarantine_rows(held)))
        if add or remove:
            self.commits.append(TableCommit(QUARANTINE, schema_bytes(QUARANTINE_SCHEMA), tuple(add), tuple(remove)))

    def _append(self, table: str, rows: pa.Table, row_group: int) -> None:
        file = write_file(self.storage, self.number.run_id, table, "lines", rows, row_group)
        self.commits.append(TableCommit(table, schema_bytes(LEDGER_SCHEMA), (file,)))


@dataclass(slots=True)
class _Found:
    """Files that do not fit the tables, and how many of each record's rows went with them."""

    offenders: tuple[Offender, ...] = ()
    lost: dict[tuple[str, str], int] = field(default_factory=dict)
    """(record, table) -> rows"""


class _Table:
    """One table of the run's plan."""

    def __init__(
        self, builder: Builder, settled: Settled, want: TableSchema, before: TableSchema | None, found: _Found
    ):
        self.storage = builder.storage
        self.run_id = builder.number.run_id
        self.builder = builder
        self.settled = settled
        self.want = want
        self.before = before
        self.found = found
        self.losing = pa.array([_joined(*archive) for archives in settled.losers.values() for archive in archives])

    def commit(self, parts: list[Part]) -> None:
        """Add what the run does to this table, if anything."""
        add = [file for part in parts if (file := self._part(part))]
        kept, remove, replaces = self._committed()
        if add:
            self.builder.rows[self.want.name] = sum(file.rows for file in add)
        if add or remove:
            schema = schema_bytes(self.want.to_arrow())
            self.builder.commits.append(TableCommit(self.want.name, schema, (*add, *kept), tuple(remove), replaces))

    def _part(self, part: Part) -> DataFile | None:
        """The part itself where it can stay as it is, else rewritten; None when nothing of it is left."""
        have = TableSchema.from_bytes(part.table, part.schema)
        loses = bool(part.records & set(self.settled.losers))
        offends = bool(part.records & {each.recordid for each in self.found.offenders})
        reshape = needs_rewrite(have, self.want)
        if not (loses or offends or reshape):
            return part.file

        def change(block: pa.Table) -> pa.Table:
            left = self._without_losers(block) if loses else block
            left = self._without_offenders(left) if offends else left
            return conform(left, have, self.want) if reshape else left

        schema = self.want.to_arrow() if reshape else None
        made = rewritten(self.storage, self.run_id, part.table, part.file.path, change, schema)
        faults.point("ingest.part_rewritten")
        return made

    def _without_losers(self, block: pa.Table) -> pa.Table:
        archives = pc.binary_join_element_wise(
            block.column("_archive_uri").cast(pa.string()), block.column("_archive_etag").cast(pa.string()), "\n"
        )
        return block.filter(pc.invert(pc.is_in(archives, self.losing)))

    def _without_offenders(self, block: pa.Table) -> pa.Table:
        left = without(block, self.found.offenders)
        gone = _counts(block)
        for record, count in _counts(left).items():
            gone[record] -= count
        for record, count in gone.items():
            key = record, self.want.name
            self.found.lost[key] = self.found.lost.get(key, 0) + count
        return left

    def _committed(self) -> tuple[list[DataFile], list[str], bool]:
        """(files in place of old ones, old files to remove, whether all go): nothing, on the plain append path."""
        replaced = {
            record: prior.runs for record, prior in self.settled.priors.items() if self.want.name in prior.tables
        }
        reshape = self.before is not None and needs_rewrite(self.before, self.want)
        table = existing(self.storage, self.want.name) if replaced or reshape else None
        if table is None:
            return [], [], False
        if reshape:
            paths = [file.path for file in active_files(table)]
        else:
            paths = holding(self.storage, self.want.name, table, replaced)
        made = [file for path in paths if (file := self._old(path, set(replaced), reshape))]
        return made, paths, reshape

    def _old(self, path: str, replaced: set[str], reshape: bool) -> DataFile | None:
        gone = pa.array(sorted(replaced), pa.string())
        have = self._schema_of(path) if reshape else None

        def change(block: pa.Table) -> pa.Table:
            left = block.filter(pc.invert(pc.is_in(block.column("recordid"), gone))) if replaced else block
            return conform(left, have, self.want) if have else left

        schema = self.want.to_arrow() if reshape else None
        made = rewritten(self.storage, self.run_id, self.want.name, path, change, schema)
        faults.point("ingest.file_rewritten")
        return made

    def _schema_of(self, path: str) -> TableSchema:
        """A committed file has the table's columns, but for those that came after it."""
        assert self.before
        with opened(self.storage, self.want.name, path) as file:
            names = set(file.schema_arrow.names)
        return replace(self.before, columns=tuple(each for each in self.before.columns if each.name in names))


def _joined(uri: str, etag: str) -> str:
    return f"{uri}\n{etag}"


def _counts(block: pa.Table) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in pc.value_counts(block.column("recordid")).to_pylist()}


def _cleared(storage: Storage, run_id: str, replaced: Mapping[int, Line]) -> Iterator[tuple[str, DataFile | None]]:
    """Quarantine files with lines of records that were taken anew, each with what is left of it."""
    table = existing(storage, QUARANTINE) if replaced else None
    if table is None:
        return
    for file in active_files(table):
        if not any(_in_range(file.least, file.greatest, key) for key in replaced):
            continue
        rows = pa.concat_tables(blocks(storage, QUARANTINE, file.path))
        keep = [not is_replaced_row(row, replaced) for row in rows.to_pylist()]
        if not all(keep):
            left = rows.filter(pa.array(keep))
            yield file.path, write_file(storage, run_id, QUARANTINE, "left", left) if left.num_rows else None


def _in_range(least: Mapping[str, object], greatest: Mapping[str, object], key: int) -> bool:
    low, high = least.get("record_key"), greatest.get("record_key")
    return (not isinstance(low, int) or low <= key) and (not isinstance(high, int) or key <= high)


def _after_offenders(
    found: _Found, lines: list[Line], held: list[Held], settled: Settled
) -> tuple[list[Line], list[Held]]:
    """Lines and quarantine, now that some files proved not to fit the tables."""
    if not found.offenders:
        return lines, held
    by_record = {line.entry.record_id: at for at, line in enumerate(lines) if _is_taken(line, settled)}
    held = list(held)
    for offender in found.offenders:
        line = lines[by_record[offender.recordid]]
        held.append(Held(_entry(line, offender), line.run_id))
    for (record, table), count in found.lost.items():
        lines[by_record[record]] = _with_fewer(lines[by_record[record]], table, count)
    return lines, held


def _is_taken(line: Line, settled: Settled) -> bool:
    archive = line.entry.archive_uri, line.entry.archive_etag
    taken = line.entry.disposition in (Disposition.INGESTED, Disposition.PARTIAL)
    return taken and archive not in settled.losers.get(line.entry.record_id or "", frozenset())


def _entry(line: Line, offender: Offender) -> QuarantineEntry:
    entry = line.entry
    return QuarantineEntry(
        entry.record_id,
        entry.archive_uri,
        entry.archive_etag,
        offender.source_file,
        entry.content_hash,
        None,
        (fault_of(offender),),
    )


def _with_fewer(line: Line, table: str, count: int) -> Line:
    rows = {name: left for name, had in line.entry.rows.items() if (left := had - (count if name == table else 0))}
    return line.having(Disposition.PARTIAL if rows else Disposition.QUARANTINED, rows)
