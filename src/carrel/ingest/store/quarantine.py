"""Quarantine as a table: one line per file (or archive) that was not taken, with every reason."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from carrel.ingest.store.ledger import key_of
from carrel.ingest.values import QuarantineEntry

SCHEMA = pa.schema(
    [
        ("record_key", pa.int64()),
        ("archive_key", pa.int64()),
        ("id", pa.string()),
        ("recordid", pa.string()),
        ("healthcode", pa.string()),
        ("assessmentid", pa.string()),
        ("exportedon", pa.timestamp("us", "UTC")),
        ("archive_uri", pa.string()),
        ("archive_etag", pa.string()),
        ("content_hash", pa.string()),
        ("source_file", pa.string()),
        ("schema_id", pa.string()),
        ("stage", pa.string()),
        ("keyword", pa.string()),
        ("pointer", pa.string()),
        ("message", pa.string()),
        ("faults", pa.string()),
        ("_run_id", pa.string()),
    ]
)
"""`id` names the line in commands; stage, keyword, pointer, message: of the first fault; `faults`: all, as JSON."""


@dataclass(frozen=True, slots=True)
class QuarantineLine:
    """A quarantine entry and the run that made it."""

    entry: QuarantineEntry
    run_id: str

    @property
    def record_key(self) -> int:
        """The key of the record's lines in the ledger."""
        return key_of(self.entry.record_id or f"content:{self.entry.content_hash}")

    @property
    def archive_key(self) -> int:
        """The key of the archive's lines in the ledger."""
        return key_of(f"{self.entry.archive_uri}\0{self.entry.archive_etag}")

    @property
    def id(self) -> str:
        """The same for the same file of the same archive, whichever run found it."""
        entry = self.entry
        return f"{key_of(f'{entry.archive_uri}/{entry.archive_etag}/{entry.source_file}') & (2**64 - 1):016x}"


def to_arrow(lines: Iterable[QuarantineLine]) -> pa.Table:
    """Make a table of lines, in the order in which records are looked up."""
    rows = sorted((_row(line) for line in lines), key=lambda row: (row["record_key"], row["id"]))
    return pa.Table.from_pylist(rows, SCHEMA)


def _row(line: QuarantineLine) -> dict[str, Any]:
    entry, record = line.entry, line.entry.record
    faults = [
        {"stage": fault.stage, "keyword": fault.keyword, "pointer": fault.pointer, "message": fault.message}
        for fault in entry.faults
    ]
    return {
        "record_key": line.record_key,
        "archive_key": line.archive_key,
        "id": line.id,
        "recordid": entry.record_id,
        "healthcode": record.healthcode if record else None,
        "assessmentid": record.assessment_id if record else None,
        "exportedon": record.exported_on if record else None,
        "archive_uri": entry.archive_uri,
        "archive_etag": entry.archive_etag,
        "content_hash": entry.content_hash,
        "source_file": entry.source_file,
        "schema_id": entry.schema_id,
        **faults[0],
        "faults": json.dumps(faults),
        "_run_id": line.run_id,
    }
