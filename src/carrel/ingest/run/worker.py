"""What a worker does with a batch of archives: read, judge, take, and say briefly what became of each.

Nothing it does is visible before the coordinator's plan says so.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from carrel.ingest.run.extraction import Taker
from carrel.ingest.run.fetching import Arrival, arrived
from carrel.ingest.run.values import Batch, BatchResult, Context, Failure, Prior
from carrel.ingest.sources import ArchiveChanged, SourceFault
from carrel.ingest.store import open_storage
from carrel.ingest.store.ledger import CURRENT, Ledger, Line, judged_after, judged_before
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.values import ArchiveRef, Disposition
from carrel.telemetry import faults

_FAULTY = frozenset({Disposition.PARTIAL, Disposition.QUARANTINED, Disposition.UNREADABLE})

NOT_NOW = (SourceFault, ArchiveChanged, OSError)
"""What a source raises that says nothing of the archive: it is left for the next run, and the report says so."""

History = Mapping[int, Sequence[Line]]


def work(context: Context, batch: Batch) -> BatchResult:
    """Do one batch. Only faults of the machinery are raised; whatever an archive does ends in the result."""
    with _without_collector():
        return _work(context, batch)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector would walk millions of fresh JSON objects again and again, and none of them is in a circle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _work(context: Context, batch: Batch) -> BatchResult:
    storage = open_storage(context.warehouse)
    fetched, failures = _fetch(context, batch)
    history = Ledger(storage, context.ledger_version).of_records({each.line.record_key for each in fetched})
    taker = Taker(context, storage, f"b{batch.number:05d}")
    try:
        kept = _taken(fetched, taker, history, failures)
    except BaseException:
        taker.writers.abandon()
        raise
    lines = [_line(each, taker, _others(each, history, context)) for each in kept]
    return BatchResult(
        parts=tuple(taker.parts),
        schemas=tuple(taker.schemas),
        lines=tuple(lines),
        held=tuple(_held(taker, lines, context.run_id)),
        priors=tuple(_priors(lines, history)),
        failures=tuple(failures),
        dropped=frozenset(taker.dropped),
        raw=taker.raw,
        bytes_read=sum(each.ref.size or 0 for each in kept),
        json_bytes=taker.json_bytes,
    )


def _taken(fetched: Sequence[Arrival], taker: Taker, history: History, failures: list[Failure]) -> list[Arrival]:
    """Those that stayed what they were while they were read; the others are added to `failures`."""
    context = taker.context
    kept: list[Arrival] = []
    for each in fetched:
        each.outcome = each.outcome or judged_before(each.line, _others(each, history, context), context.tombstones)
        if each.outcome is None:
            taker.take(each)
            faults.point("ingest.archive_taken")
        failure = _released(each)
        if failure is None:
            kept.append(each)
        else:
            failures.append(failure)
            taker.take_back(each)
    taker.close()
    return kept


def _fetch(context: Context, batch: Batch) -> tuple[list[Arrival], list[Failure]]:
    fetched: list[Arrival] = []
    failures: list[Failure] = []
    for ref in batch.refs:
        try:
            fetched.append(arrived(context.source, ref, context.options.app_id, context.run_id))
        except NOT_NOW as error:
            failures.append(_failure(ref, error))
        faults.point("ingest.archive_read")
    return fetched, failures


def _released(arrival: Arrival) -> Failure | None:
    """Let the archive go; its source may say only now that it was changed while we read."""
    try:
        arrival.release()
    except NOT_NOW as error:
        return _failure(arrival.ref, error)
    return None


def _failure(ref: ArchiveRef, error: Exception) -> Failure:
    return Failure(ref, str(error) or type(error).__name__)


def _others(arrival: Arrival, history: History, context: Context) -> Sequence[Line]:
    """What is known of the record; in a replay, from its other archives."""
    known = history.get(arrival.line.record_key, ())
    return [line for line in known if line.archive_key != arrival.line.archive_key] if context.replayed else known


def _line(arrival: Arrival, taker: Taker, others: Sequence[Line]) -> Line:
    if arrival.outcome is not None:
        line = arrival.line.having(arrival.outcome)
        return line.blanked() if arrival.outcome is Disposition.WITHDRAWN else line
    files = taker.files[arrival.key]
    rows = dict(files.rows) if files.taken else {}
    repeated = (f"{path}#{pointer}" for path, pointer in sorted(files.repeated.items())) if files.taken else ()
    line = arrival.line.having(files.disposition, rows)
    line = replace(line, entry=replace(line.entry, skipped=tuple(files.skipped), repeated_keys=tuple(repeated)))
    return judged_after(line, others)


def _held(taker: Taker, lines: Sequence[Line], run_id: str) -> Iterator[QuarantineLine]:
    of_interest = {line.archive_key for line in lines if line.entry.disposition in _FAULTY}
    for files in taker.files.values():
        if files.arrival.line.archive_key in of_interest:
            yield from (QuarantineLine(entry, run_id) for entry in files.held)


def _priors(lines: Sequence[Line], history: History) -> Iterator[Prior]:
    """Of records whose rows, or quarantine lines, this batch may replace."""
    for line in lines:
        before = history.get(line.record_key, ())
        record_id = line.entry.record_id
        current = [each for each in before if each.entry.disposition in CURRENT]
        taken = line.entry.disposition in CURRENT
        is_lost = not taken and any(each.archive_key == line.archive_key for each in current)
        if record_id and before and (taken or is_lost):
            yield Prior(
                record_id,
                frozenset(each.run_id for each in current),
                frozenset(table for each in current for table in each.entry.rows),
                any(each.entry.disposition in _FAULTY for each in before),
                frozenset(key for each in current for key in each.raw),
                frozenset(each.archive_key for each in current),
                is_lost,
            )
