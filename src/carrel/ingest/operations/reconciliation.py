"""Did everything that was exported end in the tables? The source's inventory, the ledger and the rows, compared."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from carrel.ingest.mapping import Mapping as MappingFile
from carrel.ingest.operations.inspection import quarantine_rows
from carrel.ingest.operations.raw_keys import raw_json_differences
from carrel.ingest.operations.row_counts import RowCounts, count_rows
from carrel.ingest.run.unmapped import count_unmapped
from carrel.ingest.store import WarehouseStorage, is_open, last_run, run_key
from carrel.ingest.store.ledger import CURRENT, Ledger, Line, archive_key, current
from carrel.ingest.values import ArchiveRef, Disposition
from carrel.warehouse.layout import run_id_of

_IN_FULL = frozenset({Disposition.INGESTED, Disposition.UNCHANGED})
_UNSOUND = frozenset(
    {"waiting", "unexplained", "rows_missing", "rows_extra", "damaged", "raw_json_missing", "raw_json_extra"}
)
_RUNS = 20
"""So many of the last runs are asked what they could not fetch."""
_NAMED = 5
"""So many files of an archive are named."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One archive, record or table that is not simply as it should be, and why."""

    kind: str
    """waiting, a disposition of the ledger, unexplained, gone, repeated_key, rows_missing, rows_extra, damaged,
    raw_json_missing or raw_json_extra"""
    archive_uri: str | None
    record_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Counts, and a finding for everything that needs a look. `tables`: name -> (rows the ledger says, rows found)."""

    listed: int
    in_ledger: int
    records: int
    findings: tuple[Discrepancy, ...]
    counts: dict[str, int] = field(default_factory=dict)
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    open_run: str | None = None
    """A run that is under way or was interrupted; the tables may be ahead of the ledger until it is finished."""
    unmapped_files: int | None = 0
    """Files in the archives that belong to no dataset, and that neither the mapping ignores nor a desktop left."""

    @property
    def is_sound(self) -> bool:
        """Nothing is missing without a reason, and the tables hold what the ledger says."""
        return not any(finding.kind in _UNSOUND for finding in self.findings)


def reconcile(
    storage: WarehouseStorage, listed: Iterable[ArchiveRef], mapping: MappingFile | None = None
) -> Reconciliation:
    """Compare; changes nothing. Reads the whole ledger and one column of each table. `mapping`: says which files are
    ignored on purpose."""
    refs = list(listed)
    ledger = Ledger(storage)
    lines = {line.archive_key: line for line in ledger.lines() if line.tombstone is None}
    counted = list(count_rows(lines.values(), storage))
    findings = [*_of_source(refs, lines, storage), *_of_ledger(refs, lines, storage), *_of_rows(counted)]
    findings += _of_raw_json(lines.values(), storage)
    dispositions = Counter(line.entry.disposition.value for line in lines.values())
    return Reconciliation(
        listed=len(refs),
        in_ledger=sum(archive_key(ref) in lines for ref in refs),
        records=len({line.record_key for line in lines.values()}),
        findings=tuple(findings),
        counts=dict(sorted(dispositions.items())),
        tables={counts.table: (sum(counts.expected.values()), sum(counts.actual.values())) for counts in counted},
        open_run=run_id_of(last_run(storage)) if is_open(storage) else None,
        unmapped_files=count_unmapped(ledger.skipped_files(), mapping or MappingFile()),
    )


def _of_source(refs: list[ArchiveRef], lines: Mapping[int, Line], storage: WarehouseStorage) -> Iterator[Discrepancy]:
    known_uris = {line.entry.archive_uri for line in lines.values()}
    missing = [ref for ref in refs if archive_key(ref) not in lines]
    failed = _not_fetched(storage) if missing else {}
    for ref in missing:
        if run_id := failed.get(archive_key(ref)):
            why = f"could not be fetched by run {run_id}"
        elif ref.uri in known_uris:
            why = "was rewritten at the source since it was taken"
        else:
            why = "was never looked at"
        yield Discrepancy("waiting", ref.uri, None, f"{why}: `carrel ingest run` takes it")
    for uri in sorted(known_uris - {ref.uri for ref in refs} - {""}):
        yield Discrepancy("gone", uri, None, "is in the ledger, but the source does not list it any more")


def _not_fetched(storage: WarehouseStorage) -> dict[int, str]:
    """archive key -> the last run that could not fetch it, of the last few runs."""
    runs: dict[int, str] = {}
    last = last_run(storage)
    for number in range(max(1, last - _RUNS + 1), last + 1):
        run_id = run_id_of(number)
        report = storage.read(run_key(run_id, "report.json"))
        # A withdrawal's report is another: it fetches nothing.
        runs |= dict.fromkeys(json.loads(report or b"{}").get("not_fetched", ()), run_id)
    return runs


def _of_ledger(
    refs: Iterable[ArchiveRef], lines: Mapping[int, Line], storage: WarehouseStorage
) -> Iterator[Discrepancy]:
    """Archives that the ledger knows and that are not wholly in the tables."""
    reasons: dict[int, list[str]] = {}
    for row in quarantine_rows(storage):
        file = row["source_file"] or "the archive"
        reason = f"{file}: {row['message']} ({row['stage']}/{row['keyword']}, quarantine {row['id']})"
        reasons.setdefault(row["archive_key"], []).append(reason)
    listed_uris = {archive_key(ref): ref.uri for ref in refs}
    replaced = _replaced(lines.values())
    # The ledger no longer names archives of who withdrew; the source may, while they lie there.
    uris = {key: line.entry.archive_uri or listed_uris.get(key, "") for key, line in lines.items()}
    for key, uri in sorted(uris.items(), key=lambda pair: (pair[1], pair[0])):
        line = lines[key]
        entry = line.entry
        for pointer in entry.repeated_keys if entry.disposition in CURRENT else ():
            yield Discrepancy("repeated_key", uri or None, entry.record_id, f"{pointer}: {_REPEATED}")
        if entry.disposition in _IN_FULL:
            continue
        why = "; ".join(reasons.get(key, ())) or _why(line, replaced)
        kind = entry.disposition.value if why else "unexplained"
        yield Discrepancy(kind, uri or None, entry.record_id, why or _UNEXPLAINED)


def _replaced(lines: Iterable[Line]) -> frozenset[int]:
    """Archive keys of exports beside which another one of the record is in the tables."""
    by_record: dict[int, list[Line]] = {}
    for line in lines:
        by_record.setdefault(line.record_key, []).append(line)
    winners = {key: current(group) for key, group in by_record.items()}
    return frozenset(
        line.archive_key
        for key, group in by_record.items()
        for line in group
        if (winner := winners[key]) and winner.archive_key != line.archive_key
    )


_REPEATED = "the key stands more than once in its object; the last value is in the tables"
_LATER = "a later export of the record is in the tables"
_UNEXPLAINED = (
    "the ledger says that files of it are in quarantine, and quarantine has no line of it: somebody deleted it. "
    "`carrel ingest replay --all` finds the reason again"
)


def _why(line: Line, replaced: frozenset[int]) -> str | None:
    """Why there is no line in quarantine; None: nobody knows."""
    match line.entry.disposition:
        case Disposition.WITHDRAWN:
            return "the participant or record was withdrawn"
        case Disposition.SUPERSEDED:
            return _LATER
        case Disposition.EMPTY:
            skipped = line.entry.skipped
            names = f": {', '.join(skipped[:_NAMED])}" if skipped else ""
            more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
            return f"no file of it is mapped to a dataset{names}{more}"
        case _:
            return _LATER if line.archive_key in replaced else None


def _of_raw_json(lines: Iterable[Line], storage: WarehouseStorage) -> Iterator[Discrepancy]:
    why = {
        "missing": "is named by the ledger and is not there: `carrel ingest replay --all` makes it again",
        "extra": "is there and the ledger does not name it: nobody takes care of it, delete it",
    }
    for what, record, key in raw_json_differences(storage, lines):
        yield Discrepancy(f"raw_json_{what}", None, record, f"raw_json/{key} {why[what]}")


def _of_rows(counted: Iterable[RowCounts]) -> Iterator[Discrepancy]:
    for counts in counted:
        for damage in counts.damage:
            yield Discrepancy("damaged", None, None, f"table {counts.table}: {damage}; restore it from a backup")
        for record in counts.differing:
            expected, actual = counts.expected.get(record, 0), counts.actual.get(record, 0)
            kind = "rows_missing" if actual < expected else "rows_extra"
            why = f"{counts.table} has {actual} of its rows, the ledger says {expected}"
            yield Discrepancy(kind, None, record, why)
