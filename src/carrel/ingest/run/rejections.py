"""Files that only the whole run shows not to fit the tables (policies quarantine and freeze, or too many of them).

They are refused before records are settled: each archive is then what it would have been had one worker seen all of the
run, so that neither the split into batches shows, nor a correction falls with what it corrects.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.run.budgets import Budget, Spent, spent
from carrel.ingest.run.merging import schemas_of
from carrel.ingest.run.values import BatchResult, Part, Prior
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
_OF_RECORD = ["assessmentid", "assessmentrevision", "healthcode", "uploadedon", "exportedon", "_schema_id"]


@dataclass(slots=True)
class Refused:
    """The files, and what goes with them."""

    files: list[NonconformingFile] = field(default_factory=list)
    rows: dict[NonconformingFile, dict[str, Any]] = field(default_factory=dict)
    """-> columns of the record, from one of its rows"""
    lost: dict[Archive, Counter[str]] = field(default_factory=dict)
    """archive -> table -> rows that go"""
    spent: dict[str, Spent] = field(default_factory=dict)
    """dataset -> what its tables keep, where there would be too many columns or tables"""


def refused(
    storage: WarehouseStorage, schemas: Schemas, known: Mapping[str, CatalogEntry], results: Sequence[BatchResult]
) -> Refused:
    """Reads the parts of datasets that have such a policy, or too many columns or tables."""
    found = Refused()
    for dataset, seen in schemas_of(results).items():
        options = schemas.mapping.options(dataset)
        policy = Policy(options.policy)
        entry = known.get(dataset)
        before = entry.schema if entry else None
        parts = [part for result in results for part in result.parts if part.dataset == dataset]
        if policy in (Policy.QUARANTINE, Policy.FREEZE):
            _look(storage, parts, unify(before, seen, policy)[0], found)
        if before is None or policy is not Policy.FREEZE:
            gone = frozenset(each.file for each in found.files)
            budget = Budget(options.max_columns, options.max_tables)
            within = spent(storage, before, seen, parts, budget, gone)
            if within:
                found.spent[dataset] = within
                _add(storage, parts, within.offenders, found)
    return found


def _look(storage: WarehouseStorage, parts: Sequence[Part], schema: DatasetSchema, found: Refused) -> None:
    first: dict[tuple[str, ...], NonconformingFile] = {}
    for part in sorted(parts, key=lambda each: (each.table, each.file.path)):
        have = TableSchema.from_bytes(part.table, part.schema)
        for block in read_blocks(storage, part.table, part.file.path):
            for each in nonconforming_files(block, have, schema.table(part.table)):
                first.setdefault(each.file, each)
    _add(storage, parts, sorted(first.values()), found)


def _add(storage: WarehouseStorage, parts: Sequence[Part], mine: Sequence[NonconformingFile], found: Refused) -> None:
    """Note what goes with these files."""
    found.files += mine
    records = {each.recordid for each in mine}
    for part in parts:
        if part.records & records:
            for block in read_blocks(storage, part.table, part.file.path):
                gone = _count(block, without_files(block, mine), part.table, found.lost)
                for each in mine if gone else ():
                    if each not in found.rows and (row := _row_of(block, each)):
                        found.rows[each] = row


def _count(before: pa.Table, after: pa.Table, table: str, lost: dict[Archive, Counter[str]]) -> bool:
    """Whether any goes."""
    counts = Counter(_by_archive(before))
    counts.subtract(Counter(_by_archive(after)))
    for archive, count in counts.items():
        if count:
            lost.setdefault(archive, Counter())[table] += count
    return before.num_rows > after.num_rows


def _by_archive(block: pa.Table) -> dict[Archive, int]:
    keys = ["_archive_uri", "_archive_etag"]
    counted = block.select(keys).group_by(keys).aggregate([([], "count_all")])
    return {(row[keys[0]], row[keys[1]]): row["count_all"] for row in counted.to_pylist()}


def _row_of(block: pa.Table, offender: NonconformingFile) -> dict[str, Any] | None:
    """The reserved columns of a row of this file, if it has one here."""
    is_it = pc.and_(
        pc.equal(block.column("recordid"), offender.recordid),
        pc.equal(block.column("_source_file"), offender.source_file),
    )
    rows: list[dict[str, Any]] = block.filter(is_it).slice(0, 1).select(_OF_RECORD).to_pylist()
    return rows[0] if rows else None


def amended(results: Iterable[BatchResult], gone: Refused, reject_records: bool) -> Iterator[BatchResult]:
    """The batches as their workers would have handed them over, had they known."""
    files: dict[Archive, list[NonconformingFile]] = {}
    for each in gone.files:
        files.setdefault((each.archive_uri, each.archive_etag), []).append(each)
    for result in results:
        if gone.spent:
            schemas = (
                gone.spent[schema.dataset].trimmed(schema) if schema.dataset in gone.spent else schema
                for schema in result.schemas
            )
            result = replace(result, schemas=tuple(schemas))
        if not any(_archive(line) in files for line in result.lines):
            yield result
            continue
        lines = [_amended(line, gone, reject_records) if _archive(line) in files else line for line in result.lines]
        held = [_held(line, each, gone) for line in result.lines for each in files.get(_archive(line), ())]
        fallen = {line.archive_key for line in lines if line.entry.disposition not in CURRENT}
        rejected = [line for line in lines if reject_records and _archive(line) in files]
        dropped = {(line.entry.record_id or "", *_archive(line)) for line in rejected}
        yield replace(
            result,
            lines=tuple(lines),
            held=(*result.held, *held),
            priors=tuple(_lost(prior, fallen) for prior in result.priors),
            dropped=result.dropped | dropped,
        )


def _archive(line: Line) -> Archive:
    return line.entry.archive_uri, line.entry.archive_etag


def _amended(line: Line, gone: Refused, reject_records: bool) -> Line:
    if line.entry.disposition not in CURRENT:
        return line
    refused_files = {each.source_file for each in gone.files if (each.archive_uri, each.archive_etag) == _archive(line)}
    repeated = tuple(each for each in line.entry.repeated_keys if each.partition("#")[0] not in refused_files)
    line = replace(line, entry=replace(line.entry, repeated_keys=repeated))
    lost = gone.lost.get(_archive(line), Counter())
    rows = {name: left for name, had in line.entry.rows.items() if (left := had - lost[name])}
    if reject_records or not rows:
        return line.having(Disposition.QUARANTINED)
    return line.having(Disposition.PARTIAL, rows)


def _lost(prior: Prior, fallen: set[int]) -> Prior:
    """Of a replay: when the very archive that the record's rows come from is refused now, they go."""
    return replace(prior, is_lost=True) if prior.archives & fallen else prior


def _held(line: Line, offender: NonconformingFile, gone: Refused) -> QuarantineLine:
    """As the worker would have made it."""
    entry, row = line.entry, gone.rows[offender]
    record = Record(
        record_id=offender.recordid,
        app_id=None,
        assessment_id=row["assessmentid"],
        assessment_revision=row["assessmentrevision"],
        uploaded_on=row["uploadedon"],
        exported_on=row["exportedon"],
        healthcode=row["healthcode"],
        client_info="",
        metadata={},
    )
    made = QuarantineEntry(
        record_id=entry.record_id,
        archive_uri=entry.archive_uri,
        archive_etag=entry.archive_etag,
        source_file=offender.source_file,
        content_hash=entry.content_hash,
        schema_id=row["_schema_id"],
        faults=(fault_of(offender),),
        record=record,
    )
    return QuarantineLine(made, line.run_id)
