"""Files that only the whole run shows not to fit the tables (policies quarantine and freeze, or too many of them).

They are rejected before records are settled: each archive is then what it would have been had one worker seen all of
the run, so that neither the split into batches shows, nor a correction falls with what it corrects.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.run.budgets import Budget, BudgetOutcome, apply_budget
from carrel.ingest.run.merging import schemas_of
from carrel.ingest.run.values import BatchResult, Part
from carrel.ingest.schemas import Schemas
from carrel.ingest.store import WarehouseStorage, read_blocks
from carrel.ingest.store.ledger import CURRENT, Line
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.tables import (
    CatalogEntry,
    DatasetSchema,
    NonconformingFile,
    Policy,
    TableSchema,
    nonconforming_files,
    unify,
    without_files,
)
from carrel.ingest.tables.flattener import fault_of
from carrel.ingest.values import Disposition, QuarantineEntry, Record

Archive = tuple[str, str]
"""(uri, etag)"""
_OF_ARCHIVE = ["_archive_uri", "_archive_etag"]
_OF_RECORD = ["assessmentid", "assessmentrevision", "healthcode", "uploadedon", "exportedon", "_schema_id"]


@dataclass(slots=True)
class Rejections:
    """The files, and what goes with them."""

    files: list[NonconformingFile] = field(default_factory=list)
    records: dict[NonconformingFile, dict[str, Any]] = field(default_factory=dict)
    """file -> columns of its record, from one of its rows"""
    lost_rows: dict[Archive, Counter[str]] = field(default_factory=dict)
    """archive -> table -> rows that go"""
    budgets: dict[str, BudgetOutcome] = field(default_factory=dict)
    """dataset -> what its tables keep, where there would be too many columns or tables"""

    def add(self, storage: WarehouseStorage, parts: Sequence[Part], files: Sequence[NonconformingFile]) -> None:
        """Note files, all of one dataset with these parts, and what goes with them."""
        self.files += files
        records = {file.recordid for file in files}
        for part in parts:
            if part.records & records:
                for block in read_blocks(storage, part.table, part.file.path):
                    self._add_rows(block, part.table, files)

    def _add_rows(self, block: pa.Table, table: str, files: Sequence[NonconformingFile]) -> None:
        remaining = without_files(block, files)
        counts = Counter(_rows_by_archive(block))
        counts.subtract(Counter(_rows_by_archive(remaining)))
        for archive, count in counts.items():
            if count:
                self.lost_rows.setdefault(archive, Counter())[table] += count
        if remaining.num_rows == block.num_rows:
            return
        for file in files:
            if file not in self.records and (row := _row_of(block, file)):
                self.records[file] = row


def find_rejections(
    storage: WarehouseStorage, schemas: Schemas, catalog: Mapping[str, CatalogEntry], results: Sequence[BatchResult]
) -> Rejections:
    """Reads the parts of datasets that have such a policy, or too many columns or tables."""
    rejections = Rejections()
    for dataset, new in schemas_of(results).items():
        options = schemas.mapping.options(dataset)
        policy = options.policy
        entry = catalog.get(dataset)
        before = entry.schema if entry else None
        parts = [part for result in results for part in result.parts if part.dataset == dataset]
        if policy in (Policy.QUARANTINE, Policy.FREEZE):
            rejections.add(storage, parts, _find_nonconforming(storage, parts, unify(before, new, policy)[0]))
        if before is None or policy is not Policy.FREEZE:
            outcome = apply_budget(
                storage,
                before,
                new,
                parts,
                budget=Budget(options.max_columns, options.max_tables),
                rejected=frozenset(file.file for file in rejections.files),
            )
            if outcome:
                rejections.budgets[dataset] = outcome
                rejections.add(storage, parts, outcome.offenders)
    return rejections


def _find_nonconforming(
    storage: WarehouseStorage, parts: Sequence[Part], schema: DatasetSchema
) -> list[NonconformingFile]:
    first: dict[tuple[str, ...], NonconformingFile] = {}
    for part in sorted(parts, key=lambda part: (part.table, part.file.path)):
        part_schema = TableSchema.from_bytes(part.table, part.schema)
        for block in read_blocks(storage, part.table, part.file.path):
            for file in nonconforming_files(block, part_schema, schema.table(part.table)):
                first.setdefault(file.file, file)
    return sorted(first.values())


def _rows_by_archive(block: pa.Table) -> dict[Archive, int]:
    counts = block.select(_OF_ARCHIVE).group_by(_OF_ARCHIVE).aggregate([([], "count_all")])
    return {(row["_archive_uri"], row["_archive_etag"]): row["count_all"] for row in counts.to_pylist()}


def _row_of(block: pa.Table, file: NonconformingFile) -> dict[str, Any] | None:
    """The reserved columns of a row of this file, if it has one here."""
    is_of_file = pc.and_(
        pc.equal(block.column("recordid"), file.recordid),
        pc.equal(block.column("_source_file"), file.source_file),
    )
    rows: list[dict[str, Any]] = block.filter(is_of_file).slice(0, 1).select(_OF_RECORD).to_pylist()
    return rows[0] if rows else None


def apply_rejections(results: Iterable[BatchResult], rejections: Rejections, reject_records: bool) -> list[BatchResult]:
    """The batches as their workers would have handed them over, had they known."""
    files: dict[Archive, list[NonconformingFile]] = {}
    for file in rejections.files:
        files.setdefault((file.archive_uri, file.archive_etag), []).append(file)
    return [_apply_to_batch(result, rejections, files, reject_records) for result in results]


def _apply_to_batch(
    result: BatchResult,
    rejections: Rejections,
    files: Mapping[Archive, Sequence[NonconformingFile]],
    reject_records: bool,
) -> BatchResult:
    budgets = rejections.budgets
    if budgets:
        schemas = (
            budgets[schema.dataset].trim(schema) if schema.dataset in budgets else schema for schema in result.schemas
        )
        result = replace(result, schemas=tuple(schemas))
    touched = [line for line in result.lines if _archive_of(line) in files]
    if not touched:
        return result
    lines = [
        _apply_to_line(line, rejections, reject_records) if _archive_of(line) in files else line
        for line in result.lines
    ]
    quarantine = [_quarantine_line(line, file, rejections) for line in touched for file in files[_archive_of(line)]]
    failed = {line.archive_key for line in lines if line.entry.disposition not in CURRENT}
    dropped = {(line.entry.record_id or "", *_archive_of(line)) for line in touched} if reject_records else set()
    return replace(
        result,
        lines=tuple(lines),
        quarantine=(*result.quarantine, *quarantine),
        # Of a replay: when the very archive that a record's rows come from is rejected now, they go.
        previous=tuple(replace(rows, is_lost=True) if rows.archives & failed else rows for rows in result.previous),
        dropped=result.dropped | dropped,
    )


def _archive_of(line: Line) -> Archive:
    return line.entry.archive_uri, line.entry.archive_etag


def _apply_to_line(line: Line, rejections: Rejections, reject_records: bool) -> Line:
    if line.entry.disposition not in CURRENT:
        return line
    archive = _archive_of(line)
    rejected_paths = {file.source_file for file in rejections.files if (file.archive_uri, file.archive_etag) == archive}
    repeated = tuple(key for key in line.entry.repeated_keys if key.partition("#")[0] not in rejected_paths)
    line = replace(line, entry=replace(line.entry, repeated_keys=repeated))
    lost = rejections.lost_rows.get(archive, Counter())
    rows = {name: count - lost[name] for name, count in line.entry.rows.items() if count != lost[name]}
    if reject_records or not rows:
        return line.having(Disposition.QUARANTINED)
    return line.having(Disposition.PARTIAL, rows)


def _quarantine_line(line: Line, file: NonconformingFile, rejections: Rejections) -> QuarantineLine:
    """The line as the worker would have made it."""
    entry, row = line.entry, rejections.records[file]
    record = Record(
        record_id=file.recordid,
        app_id=None,
        assessment_id=row["assessmentid"],
        assessment_revision=row["assessmentrevision"],
        uploaded_on=row["uploadedon"],
        exported_on=row["exportedon"],
        healthcode=row["healthcode"],
        client_info="",
        metadata={},
    )
    quarantine_entry = QuarantineEntry(
        record_id=entry.record_id,
        archive_uri=entry.archive_uri,
        archive_etag=entry.archive_etag,
        source_file=file.source_file,
        content_hash=entry.content_hash,
        schema_id=row["_schema_id"],
        faults=(fault_of(file),),
        record=record,
    )
    return QuarantineLine(quarantine_entry, line.run_id)
