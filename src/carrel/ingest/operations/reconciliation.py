"""Did everything that was exported end in the tables? The source's inventory, the ledger and the rows, compared."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from carrel.ingest.mapping import Mapping as MappingFile
from carrel.ingest.operations.inspection import quarantine_rows
from carrel.ingest.operations.raw_keys import raw_json_differences
from carrel.ingest.operations.row_counts import RowCounts, count_rows
from carrel.ingest.run.unmapped import count_unmapped
from carrel.ingest.store import WarehouseStorage, run_key
from carrel.ingest.store.ledger import CURRENT, Ledger, Line, archive_key, current
from carrel.ingest.values import ArchiveRef, Disposition
from carrel.warehouse.layout import STATE, run_id_of

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
    unmapped_files: int = 0
    """Files in the archives that belong to no dataset, and that neither the mapping ignores nor a desktop left."""

    @property
    def is_sound(self) -> bool:
        """Nothing is missing without a reason, and the tables hold what the ledger says."""
        return not any(each.kind in _UNSOUND for each in self.findings)


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
        tables={each.table: (sum(each.wanted.values()), sum(each.found.values())) for each in counted},
        open_run=_open_run(storage),
        unmapped_files=count_unmapped(ledger.skipped_files(), mapping or MappingFile()),
    )


def _of_source(refs: list[ArchiveRef], lines: Mapping[int, Line], storage: WarehouseStorage) -> Iterator[Discrepancy]:
    places = {line.entry.archive_uri for line in lines.values()}
    missing = [ref for ref in refs if archive_key(ref) not in lines]
    failed = _not_fetched(storage) if missing else {}
    for ref in missing:
        yield Discrepancy("waiting", ref.uri, None, f"{_waits(ref, places, failed)}: `carrel ingest run` takes it")
    there = {ref.uri for ref in refs}
    for uri in sorted(places - there - {""}):
        yield Discrepancy("gone", uri, None, "is in the ledger, but the source does not list it any more")


def _waits(ref: ArchiveRef, places: set[str], failed: Mapping[int, str]) -> str:
    key = archive_key(ref)
    if key in failed:
        return f"could not be fetched by run {failed[key]}"
    return "was rewritten at the source since it was taken" if ref.uri in places else "was never looked at"


def _not_fetched(storage: WarehouseStorage) -> dict[int, str]:
    """archive key -> the last run that could not fetch it, of the last few runs."""
    found: dict[int, str] = {}
    last = _state(storage).get("number", 0)
    for number in range(max(1, last - _RUNS + 1), last + 1):
        run_id = run_id_of(number)
        report = storage.read(run_key(run_id, "report.json"))
        # A withdrawal's report is another: it fetches nothing.
        found |= dict.fromkeys(json.loads(report or b"{}").get("not_fetched", ()), run_id)
    return found


def _open_run(storage: WarehouseStorage) -> str | None:
    state = _state(storage)
    return run_id_of(state["number"]) if state.get("state") == "open" else None


def _state(storage: WarehouseStorage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(storage.read(STATE) or b"{}")
    return found


def _of_ledger(
    refs: Iterable[ArchiveRef], lines: Mapping[int, Line], storage: WarehouseStorage
) -> Iterator[Discrepancy]:
    """Archives that the ledger knows and that are not wholly in the tables."""
    reasons: dict[int, list[dict[str, Any]]] = {}
    for row in quarantine_rows(storage):
        reasons.setdefault(row["archive_key"], []).append(row)
    places = {archive_key(ref): ref.uri for ref in refs}
    replaced = _replaced(lines.values())
    # The ledger no longer names archives of who withdrew; the source may, while they lie there.
    named = ((line.entry.archive_uri or places.get(line.archive_key, ""), line) for line in lines.values())
    for uri, line in sorted(named, key=lambda each: (each[0], each[1].archive_key)):
        entry = line.entry
        for place in entry.repeated_keys if entry.disposition in CURRENT else ():
            yield Discrepancy("repeated_key", uri or None, entry.record_id, f"{place}: {_REPEATED}")
        if entry.disposition in _IN_FULL:
            continue
        why = "; ".join(map(_reason, reasons.get(line.archive_key, ()))) or _why(line, replaced)
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
            return f"no file of it is mapped to a dataset{_named(line.entry.skipped)}"
        case _:
            return _LATER if line.archive_key in replaced else None


def _named(skipped: tuple[str, ...]) -> str:
    more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return f": {', '.join(skipped[:_NAMED])}{more}" if skipped else ""


def _reason(row: dict[str, Any]) -> str:
    what = row["source_file"] or "the archive"
    return f"{what}: {row['message']} ({row['stage']}/{row['keyword']}, quarantine {row['id']})"


def _of_raw_json(lines: Iterable[Line], storage: WarehouseStorage) -> Iterator[Discrepancy]:
    why = {
        "missing": "is named by the ledger and is not there: `carrel ingest replay --all` makes it again",
        "extra": "is there and the ledger does not name it: nobody takes care of it, delete it",
    }
    for what, record, key in raw_json_differences(storage, lines):
        yield Discrepancy(f"raw_json_{what}", None, record, f"raw_json/{key} {why[what]}")


def _of_rows(counted: Iterable[RowCounts]) -> Iterator[Discrepancy]:
    for each in counted:
        for damage in each.damage:
            yield Discrepancy("damaged", None, None, f"table {each.table}: {damage}; restore it from a backup")
        for record in each.differing:
            want, have = each.wanted.get(record, 0), each.found.get(record, 0)
            kind = "rows_missing" if have < want else "rows_extra"
            yield Discrepancy(kind, None, record, f"{each.table} has {have} of its rows, the ledger says {want}")
