"""Helpers for tests of ingest's tables: lineages, whole runs over batches, and comparison with the ground truth."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from carrel.ingest.archives import record_of
from carrel.ingest.tables import DatasetSchema, FlatTables, Flattener, Policy, conform, unify
from carrel.ingest.tables.reserved_columns import with_dictionaries
from carrel.ingest.values import Lineage, Record
from carrel.synthetic.truth import Tables, timestamp

WHERE = ("_archive_uri", "_archive_etag", "_run_id")
"""Columns that the truth does not know."""


def lineages(count: int) -> list[Lineage]:
    return [lineage(f"r{number}") for number in range(count)]


def lineage(record_id: str, source_file: str = "f.json", run_id: str = "run") -> Lineage:
    when = datetime(2024, 3, 9, 12, tzinfo=UTC)
    record = Record(
        record_id=record_id,
        app_id="app",
        assessment_id="walk",
        assessment_revision=2,
        uploaded_on=when,
        exported_on=when,
        healthcode="h1",
        client_info="",
        metadata={},
    )
    return Lineage(
        record=record,
        source_file=source_file,
        archive_uri=f"file:///{record_id}.zip",
        archive_etag="etag",
        schema_id="schema",
        run_id=run_id,
    )


def lineage_of(metadata: Mapping[str, str], file: Any) -> Lineage:
    """Of a generated file."""
    return Lineage(
        record=record_of(metadata),
        source_file=file.name,
        archive_uri="uri",
        archive_etag="etag",
        schema_id=file.schema_id,
        run_id="run",
    )


def flats(
    dataset: str, declared: Any, files: Sequence[tuple[Lineage, Any]], batch: int, policy: Policy = Policy.EVOLVE
) -> list[FlatTables]:
    """What workers would hand over: each flattens one batch."""
    done = []
    for start in range(0, len(files), batch):
        flattener = Flattener(dataset, declared, policy)
        for lineage, value in files[start : start + batch]:
            flattener.add(lineage, value)
        done.append(flattener.finish())
    return done


def assembled(
    dataset: str, declared: Any, files: Sequence[tuple[Lineage, Any]], batch: int, policy: Policy = Policy.EVOLVE
) -> dict[str, pa.Table]:
    """What the coordinator would commit: all parts in one schema per table."""
    parts = flats(dataset, declared, files, batch, policy)
    schema, _ = unify(None, [part.schema for part in parts], policy)
    return together(parts, schema)


def after_runs(dataset: str, declared: Any, runs: Sequence[Sequence[tuple[Lineage, Any]]]) -> dict[str, pa.Table]:
    """What a warehouse holds after these runs, each of one batch, by a worker who knows the catalog."""
    known: DatasetSchema | None = None
    held: dict[str, pa.Table] = {}
    for files in runs:
        flattener = Flattener(dataset, declared, existing=known)
        for each, value in files:
            flattener.add(each, value)
        part = flattener.finish()
        schema, _ = unify(known, [part.schema])
        old = {name: conform(table, known.tables[name], schema.tables[name]) for name, table in held.items() if known}
        new = together([part], schema)
        held = {name: pa.concat_tables([each[name] for each in (old, new) if name in each]) for name in old | new}
        known = schema
    return held


def together(parts: Sequence[FlatTables], schema: DatasetSchema) -> dict[str, pa.Table]:
    tables: dict[str, list[pa.Table]] = {}
    for part in parts:
        for name, table in part.tables.items():
            have = part.schema.tables[name]
            assert table.schema == with_dictionaries(have.to_arrow())
            tables.setdefault(name, []).append(conform(table, have, schema.tables[name]))
    return {name: pa.concat_tables(group) for name, group in tables.items()}


def cells(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """{table: {"columns": {name: kind}, "rows": {row key: cells that are not null}}}"""
    return {name: _cells(table) for name, table in tables.items()}


def _cells(table: pa.Table) -> dict[str, Any]:
    rows = table.drop_columns(list(WHERE)).to_pylist()
    keyed = {row["_row_key"]: _present(row) for row in rows}
    assert len(keyed) == len(rows), "row keys are not unique"
    return {"columns": data_columns(table.schema), "rows": keyed}


def data_columns(schema: pa.Schema) -> dict[str, str]:
    names = schema.names[schema.get_field_index("day") + 1 : schema.get_field_index("_nulls")]
    assert names == sorted(names)
    return {name: _KINDS[schema.field(name).type] for name in names}


_KINDS = {
    pa.bool_(): "bool",
    pa.int64(): "int64",
    pa.decimal128(38, 0): "decimal",
    pa.float64(): "float64",
    pa.string(): "string",
}


def _present(row: Mapping[str, Any]) -> dict[str, Any]:
    """With the type of each cell, because 1 == 1.0 == True; times as the truth has them."""
    timed = {key: timestamp(value) if isinstance(value, datetime) else value for key, value in row.items()}
    return {key: (type(value).__name__, value) for key, value in timed.items() if value is not None}


def of_truth(expected: Mapping[str, Any]) -> dict[str, Any]:
    """The truth in the form of `cells`."""
    return {
        name: {"columns": table["columns"], "rows": {row["_row_key"]: _present(row) for row in table["rows"]}}
        for name, table in expected.items()
    }


def truth_tables(dataset: str, declared: Any, *runs: Sequence[tuple[Lineage, Any]]) -> dict[str, Any]:
    """What the tables hold after all of the runs, by the slow and obvious way."""
    tables = Tables(declared)
    for files in runs:
        for each, value in files:
            tables.add(dataset, value, _common(each))
        expected = tables.finish()
    return expected


def _common(each: Lineage) -> dict[str, Any]:
    record = each.record
    return {
        "recordid": record.record_id,
        "assessmentid": record.assessment_id,
        "assessmentrevision": record.assessment_revision,
        "healthcode": record.healthcode,
        "uploadedon": timestamp(record.uploaded_on),
        "exportedon": timestamp(record.exported_on),
        "year": record.uploaded_on.year,
        "month": record.uploaded_on.month,
        "day": record.uploaded_on.day,
        "_source_file": each.source_file,
        "_schema_id": each.schema_id,
    }


def written(table: pa.Table) -> bytes:
    """As a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
