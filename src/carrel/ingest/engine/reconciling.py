"""Did everything that was exported end in the tables? The source's inventory, the ledger and the rows, compared."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from carrel.ingest.commit import Storage, table_names
from carrel.ingest.engine.warehouses import quarantine, rows_by_record
from carrel.ingest.ledger import Ledger, Line, archive_key, current
from carrel.ingest.values import ArchiveRef, Disposition

_IN_FULL = frozenset({Disposition.INGESTED, Disposition.UNCHANGED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One archive or record that is not simply in the tables, and why."""

    kind: str
    """waiting, disposition of the ledger, gone, rows_missing or rows_extra"""
    archive_uri: str | None
    record_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Counts, and a finding for everything that needs a look."""

    listed: int
    in_ledger: int
    records: int
    findings: tuple[Finding, ...]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Nothing is missing without a reason, and the tables hold what the ledger says."""
        return not any(each.kind in ("waiting", "rows_missing", "rows_extra") for each in self.findings)


def reconcile(storage: Storage, listed: Iterable[ArchiveRef]) -> Reconciliation:
    """Compare; changes nothing. Reads the whole ledger and one column of each table."""
    refs = list(listed)
    ledger = Ledger(storage).lines()
    lines = {line.archive_key: line for line in ledger if line.tombstone is None}
    findings = [*_of_source(refs, lines), *_of_ledger(lines.values(), storage), *_of_rows(lines.values(), storage)]
    in_ledger = sum(archive_key(ref) in lines for ref in refs)
    counts = Counter(line.entry.disposition.value for line in lines.values())
    records = len({line.record_key for line in lines.values()})
    return Reconciliation(len(refs), in_ledger, records, tuple(findings), dict(sorted(counts.items())))


def _of_source(refs: list[ArchiveRef], lines: dict[int, Line]) -> Iterator[Finding]:
    places = {line.entry.archive_uri for line in lines.values()}
    for ref in refs:
        if archive_key(ref) not in lines:
            was = "was replaced since it was ingested" if ref.uri in places else "was never read"
            yield Finding("waiting", ref.uri, None, f"{was}: `carrel ingest run` takes it")
    there = {ref.uri for ref in refs}
    for uri in sorted(places - there - {""}):
        yield Finding("gone", uri, None, "is in the ledger, but the source does not list it any more")


def _of_ledger(lines: Iterable[Line], storage: Storage) -> Iterator[Finding]:
    reasons: dict[int, list[dict[str, Any]]] = {}
    for row in quarantine(storage):
        reasons.setdefault(row["archive_key"], []).append(row)
    for line in sorted(lines, key=lambda each: each.entry.archive_uri):
        entry = line.entry
        if entry.disposition not in _IN_FULL:
            why = "; ".join(_reason(row) for row in reasons.get(line.archive_key, [])) or _WHY[entry.disposition]
            yield Finding(entry.disposition.value, entry.archive_uri or None, entry.record_id, why)


_WHY = {
    Disposition.SUPERSEDED: "a later export of the record is in the tables",
    Disposition.WITHDRAWN: "the participant or record was withdrawn",
    Disposition.EMPTY: "no file of it is mapped to a dataset",
    Disposition.PARTIAL: "a later export took its place in quarantine",
    Disposition.QUARANTINED: "a later export took its place in quarantine",
    Disposition.UNREADABLE: "a later export took its place in quarantine",
}


def _reason(row: dict[str, Any]) -> str:
    what = row["source_file"] or "the archive"
    return f"{what}: {row['message']} ({row['stage']}/{row['keyword']}, quarantine {row['id']})"


def _of_rows(lines: Iterable[Line], storage: Storage) -> Iterator[Finding]:
    by_record: dict[int, list[Line]] = {}
    for line in lines:
        by_record.setdefault(line.record_key, []).append(line)
    expected: dict[str, dict[str, int]] = {}
    for group in by_record.values():
        if latest := current(group):
            for table, count in latest.entry.rows.items():
                expected.setdefault(table, {})[latest.entry.record_id or ""] = count
    for table in sorted(set(expected) | set(table_names(storage))):
        yield from _compared(table, expected.get(table, {}), rows_by_record(storage, table))


def _compared(table: str, wanted: dict[str, int], found: dict[str, int]) -> Iterator[Finding]:
    for record in sorted(set(wanted) | set(found)):
        want, have = wanted.get(record, 0), found.get(record, 0)
        if want != have:
            kind = "rows_missing" if have < want else "rows_extra"
            yield Finding(kind, None, record, f"{table} has {have} of its rows, the ledger says {want}")
