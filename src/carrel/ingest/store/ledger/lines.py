"""The ledger's lines as values and as Arrow: one line per archive that was looked at, and one per tombstone."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from carrel.ingest.values import ArchiveRef, Disposition, LedgerEntry

SCHEMA = pa.schema(
    [
        ("record_key", pa.int64()),
        ("archive_key", pa.int64()),
        ("recordid", pa.string()),
        ("archive_uri", pa.string()),
        ("archive_etag", pa.string()),
        ("content_hash", pa.string()),
        ("metadata_hash", pa.string()),
        ("disposition", pa.string()),
        ("exportedon", pa.timestamp("us", "UTC")),
        ("healthcode", pa.string()),
        ("rows", pa.string()),
        ("skipped", pa.list_(pa.string())),
        ("tombstone", pa.string()),
        ("raw_json", pa.list_(pa.string())),
        ("repeated_keys", pa.list_(pa.string())),
        ("_run_id", pa.string()),
    ]
)
"""`record_key`, `archive_key`: what lines are found by; `rows`: JSON, table -> rows; `raw_json`: keys below it."""

CURRENT = frozenset({Disposition.INGESTED, Disposition.PARTIAL})
"""Dispositions of archives whose rows are (or were) in the tables."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_WITHDRAWN = LedgerEntry(
    record_id=None,
    archive_uri="",
    archive_etag="",
    content_hash="",
    disposition=Disposition.WITHDRAWN,
    exported_on=None,
    healthcode=None,
)
"""What is left of an entry of somebody who withdrew: nothing that tells of whom or of what."""


@dataclass(frozen=True, slots=True)
class Line:
    """A ledger entry with what identifies its archive, and the run that wrote it."""

    entry: LedgerEntry
    metadata_hash: str = ""
    run_id: str = ""
    tombstone: str | None = None
    keys: tuple[int, int] | None = None
    """(record key, archive key) of a line that no longer says what they were made from."""
    raw: tuple[str, ...] = ()
    """Keys of the raw JSON of its files."""

    @property
    def record_key(self) -> int:
        """Lines of one record are found by this; of an archive that names no record, by its content."""
        return self.keys[0] if self.keys else key_of(self.entry.record_id or f"content:{self.entry.content_hash}")

    @property
    def archive_key(self) -> int:
        """What lines of an archive, as listed at its place, are found by."""
        return self.keys[1] if self.keys else key_of(f"{self.entry.archive_uri}\0{self.entry.archive_etag}")

    @property
    def order(self) -> tuple[datetime, str]:
        """Of two exports of a record the greater is the one to keep. The hash decides between equal times, so that the
        order of arrival does not."""
        return self.exported_on, self.entry.content_hash

    @property
    def exported_on(self) -> datetime:
        """When the archive was exported; an archive that says no time is the earliest."""
        return self.entry.exported_on or _EARLIEST

    def having(self, disposition: Disposition, rows: Mapping[str, int] | None = None) -> "Line":
        """Copy the line with another outcome of the same archive."""
        return replace(self, entry=replace(self.entry, disposition=disposition, rows=rows or {}))

    def blanked(self) -> "Line":
        """What is kept of an archive of somebody who withdrew: enough to know it when it comes again, no more."""
        return Line(_WITHDRAWN, "", self.run_id, self.tombstone, (self.record_key, self.archive_key))


def key_of(text: str) -> int:
    """64 bits of SHA-256, as Arrow and Delta hold them."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True)


def archive_key(ref: ArchiveRef) -> int:
    """The key of a listed archive; as `Line.archive_key` of its line."""
    return key_of(f"{ref.uri}\0{ref.etag}")


def metadata_hash(metadata: Mapping[str, Any]) -> str:
    """Of a record's metadata but for when it was exported: a mere second export of the same is no change."""
    compared = {key: value for key, value in metadata.items() if key != "exportedon"}
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()


def tombstone_line(tombstone: str, run_id: str) -> Line:
    """Make the line that says that somebody withdrew."""
    return Line(_WITHDRAWN, "", run_id, tombstone, (key_of(tombstone), key_of(tombstone)))


def tombstone_of(kind: str, value: str) -> str:
    """What is kept of a withdrawn `healthcode` or `record`: enough to know it again, not enough to read it."""
    return f"{kind}:{hashlib.sha256(value.encode()).hexdigest()}"


def to_arrow(lines: Iterable[Line]) -> pa.Table:
    """Lines as a table, in the order that look-ups are pruned by."""
    rows = sorted((_row(line) for line in lines), key=lambda row: (row["record_key"], row["archive_key"]))
    return pa.Table.from_pylist(rows, SCHEMA)


def _row(line: Line) -> dict[str, Any]:
    entry = line.entry
    return {
        "record_key": line.record_key,
        "archive_key": line.archive_key,
        "recordid": entry.record_id,
        "archive_uri": entry.archive_uri,
        "archive_etag": entry.archive_etag,
        "content_hash": entry.content_hash,
        "metadata_hash": line.metadata_hash,
        "disposition": entry.disposition.value,
        "exportedon": entry.exported_on,
        "healthcode": entry.healthcode,
        "rows": json.dumps(dict(entry.rows), sort_keys=True),
        "skipped": list(entry.skipped),
        "tombstone": line.tombstone,
        "raw_json": list(line.raw) or None,
        "repeated_keys": list(entry.repeated_keys) or None,
        "_run_id": line.run_id,
    }


def in_order(rows: pa.Table) -> pa.Table:
    """The lines of several tables, as `to_arrow` sorts them."""
    return rows.sort_by([("record_key", "ascending"), ("archive_key", "ascending")]).combine_chunks()


def from_arrow(table: pa.Table) -> list[Line]:
    """Read the lines of a table that `to_arrow` made."""
    return [_line(row) for row in table.to_pylist()]


def _line(row: dict[str, Any]) -> Line:
    entry = LedgerEntry(
        record_id=row["recordid"],
        archive_uri=row["archive_uri"],
        archive_etag=row["archive_etag"],
        content_hash=row["content_hash"],
        disposition=Disposition(row["disposition"]),
        exported_on=row["exportedon"],
        healthcode=row["healthcode"],
        rows=json.loads(row["rows"] or "{}"),
        skipped=tuple(row["skipped"] or ()),
        repeated_keys=tuple(row.get("repeated_keys") or ()),
    )
    keys = row["record_key"], row["archive_key"]
    return Line(entry, row["metadata_hash"], row["_run_id"], row["tombstone"], keys, tuple(row.get("raw_json") or ()))
