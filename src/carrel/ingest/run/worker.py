"""What a worker does with a batch of archives: read, judge, take, and say briefly what became of each.

Nothing it does is visible before the coordinator's plan says so.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from carrel.ingest.run.extraction import Extractor
from carrel.ingest.run.fetching import FetchedArchive, fetch
from carrel.ingest.run.values import FAULTY, Batch, BatchResult, Context, Failure, PreviousRows
from carrel.ingest.sources import ArchiveChanged, SourceFault
from carrel.ingest.store import open_storage
from carrel.ingest.store.ledger import CURRENT, Ledger, Line, judged_after, judged_before
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.values import ArchiveRef, Disposition
from carrel.telemetry import faults

NOT_NOW = (SourceFault, ArchiveChanged, OSError)
"""What a source raises that says nothing of the archive: it is left for the next run, and the report says so."""

History = Mapping[int, Sequence[Line]]
"""record key -> the ledger's lines of the record"""


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
    fetched, failures = _fetch_all(context, batch)
    history = Ledger(storage, context.ledger_version).of_records({archive.line.record_key for archive in fetched})
    extractor = Extractor(context, storage, f"b{batch.number:05d}")
    try:
        unchanged = _extract(fetched, extractor, history, failures)
    except BaseException:
        extractor.writers.abandon()
        raise
    lines = [_final_line(archive, extractor, _other_lines(archive, history, context)) for archive in unchanged]
    faulty = {line.archive_key for line in lines if line.entry.disposition in FAULTY}
    return BatchResult(
        parts=tuple(extractor.parts),
        schemas=tuple(extractor.schemas),
        lines=tuple(lines),
        quarantine=tuple(
            QuarantineLine(entry, context.run_id)
            for files in extractor.files.values()
            if files.archive.line.archive_key in faulty
            for entry in files.quarantine
        ),
        previous=tuple(_previous_rows(lines, history)),
        failures=tuple(failures),
        dropped=frozenset(extractor.dropped),
        raw_files=extractor.raw_files,
        bytes_read=sum(archive.ref.size or 0 for archive in unchanged),
        json_bytes=extractor.json_bytes,
    )


def _fetch_all(context: Context, batch: Batch) -> tuple[list[FetchedArchive], list[Failure]]:
    fetched: list[FetchedArchive] = []
    failures: list[Failure] = []
    for ref in batch.refs:
        try:
            fetched.append(fetch(context.source, ref, context.options.app_id, context.run_id))
        except NOT_NOW as error:
            failures.append(_failure(ref, error))
        faults.point("ingest.archive_read")
    return fetched, failures


def _extract(
    fetched: Sequence[FetchedArchive], extractor: Extractor, history: History, failures: list[Failure]
) -> list[FetchedArchive]:
    """Take the archives; those that stayed what they were while they were read. The others are added to `failures`."""
    context = extractor.context
    unchanged: list[FetchedArchive] = []
    for archive in fetched:
        if archive.outcome is None:
            others = _other_lines(archive, history, context)
            archive.outcome = judged_before(archive.line, others, context.tombstones)
        if archive.outcome is None:
            extractor.extract(archive)
            faults.point("ingest.archive_taken")
        try:
            archive.close()
        except NOT_NOW as error:  # its source may say only now that it was changed while we read
            failures.append(_failure(archive.ref, error))
            extractor.discard(archive)
        else:
            unchanged.append(archive)
    extractor.close()
    return unchanged


def _failure(ref: ArchiveRef, error: Exception) -> Failure:
    return Failure(ref, str(error) or type(error).__name__)


def _other_lines(archive: FetchedArchive, history: History, context: Context) -> Sequence[Line]:
    """What the ledger has of the record; in a replay, from its other archives."""
    lines = history.get(archive.line.record_key, ())
    if not context.is_replay:
        return lines
    return [line for line in lines if line.archive_key != archive.line.archive_key]


def _final_line(archive: FetchedArchive, extractor: Extractor, others: Sequence[Line]) -> Line:
    if archive.outcome is not None:
        line = archive.line.having(archive.outcome)
        return line.blanked() if archive.outcome is Disposition.WITHDRAWN else line
    files = extractor.files[archive.key]
    rows = dict(files.rows) if files.taken else {}
    repeated = (f"{path}#{pointer}" for path, pointer in sorted(files.repeated.items())) if files.taken else ()
    line = archive.line.having(files.disposition, rows)
    line = replace(line, entry=replace(line.entry, skipped=tuple(files.skipped), repeated_keys=tuple(repeated)))
    return judged_after(line, others)


def _previous_rows(lines: Sequence[Line], history: History) -> Iterator[PreviousRows]:
    """What there is of records whose rows, or quarantine lines, this batch may replace."""
    for line in lines:
        before = history.get(line.record_key, ())
        record_id = line.entry.record_id
        current = [earlier for earlier in before if earlier.entry.disposition in CURRENT]
        is_current = line.entry.disposition in CURRENT
        is_lost = not is_current and any(earlier.archive_key == line.archive_key for earlier in current)
        if record_id and before and (is_current or is_lost):
            yield PreviousRows(
                record_id=record_id,
                runs=frozenset(earlier.run_id for earlier in current),
                tables=frozenset(table for earlier in current for table in earlier.entry.rows),
                has_faults=any(earlier.entry.disposition in FAULTY for earlier in before),
                raw_json=frozenset(key for earlier in current for key in earlier.raw),
                archives=frozenset(earlier.archive_key for earlier in current),
                is_lost=is_lost,
            )
