"""What the batches of a run come to together: one outcome per archive, and whose rows stay. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carrel.ingest.run.values import FAULTY, BatchResult, Failure, Part, PreviousRows, RawFile
from carrel.ingest.store.ledger import CURRENT, Line, current, settle
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.tables import DatasetSchema

Archive = tuple[str, str]
"""(uri, etag)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A whole run, before anything of it is visible.

    `superseded`: record -> archives whose rows are in some part and must not be; `previous`: by record, of those that
    are taken again; `replaced_faults`: record keys (with the time of their new export) whose older quarantine lines go.
    """

    parts: tuple[Part, ...]
    schemas: Mapping[str, tuple[DatasetSchema, ...]]
    lines: tuple[Line, ...]
    quarantine: tuple[QuarantineLine, ...]
    superseded: Mapping[str, frozenset[Archive]]
    previous: Mapping[str, PreviousRows]
    replaced_faults: Mapping[int, Line]
    failures: tuple[Failure, ...]
    raw_files: tuple[RawFile, ...] = ()
    """Raw JSON of the archives whose rows stay."""


def merge_batches(results: Sequence[BatchResult]) -> RunOutcome:
    """The same for the same archives, however they were split into batches and in whatever order they came back."""
    lines_by_record: dict[int, list[Line]] = {}
    for result in results:
        for line in result.lines:
            lines_by_record.setdefault(line.record_key, []).append(line)
    lines: list[Line] = []
    winners: dict[int, Line] = {}
    for key, group in lines_by_record.items():
        settled = settle(group)
        lines += settled
        if winner := current(settled):
            winners[key] = winner
    lines.sort(key=lambda line: (line.entry.archive_uri, line.entry.archive_etag, line.archive_key))
    previous = {rows.record_id: rows for result in results for rows in result.previous}
    taken_again = {line.entry.record_id for line in winners.values()}
    superseded = _superseded_archives(results, lines, winners)
    parts = [part for result in results for part in result.parts]
    raw_files = [file for result in results for file in result.raw_files]
    return RunOutcome(
        parts=tuple(sorted(parts, key=lambda part: (part.table, part.file.path))),
        schemas=schemas_of(results),
        lines=tuple(lines),
        quarantine=tuple(_quarantine_lines(results, lines, winners)),
        superseded=superseded,
        previous={record: rows for record, rows in sorted(previous.items()) if rows.is_lost or record in taken_again},
        replaced_faults={
            winner.record_key: winner
            for winner in winners.values()
            if (rows := previous.get(winner.entry.record_id or "")) and rows.has_faults
        },
        failures=tuple(failure for result in results for failure in result.failures),
        raw_files=tuple(file for file in raw_files if file.archive not in superseded.get(file.record_id, frozenset())),
    )


def schemas_of(results: Iterable[BatchResult]) -> dict[str, tuple[DatasetSchema, ...]]:
    """dataset -> every schema that a batch found."""
    schemas: dict[str, list[DatasetSchema]] = {}
    for result in results:
        for schema in result.schemas:
            schemas.setdefault(schema.dataset, []).append(schema)
    return {dataset: tuple(of_dataset) for dataset, of_dataset in sorted(schemas.items())}


def _superseded_archives(
    results: Sequence[BatchResult], lines: Iterable[Line], winners: Mapping[int, Line]
) -> dict[str, frozenset[Archive]]:
    """Archives that were flattened but are not the one that their record's rows come from."""
    flattened = {line.archive_key for result in results for line in result.lines if line.entry.disposition in CURRENT}
    superseded: dict[str, set[Archive]] = {}
    for line in lines:
        winner = winners.get(line.record_key)
        loses = line.archive_key in flattened and (winner is None or winner.archive_key != line.archive_key)
        if line.entry.record_id and loses:
            superseded.setdefault(line.entry.record_id, set()).add((line.entry.archive_uri, line.entry.archive_etag))
    for result in results:
        for record, uri, etag in result.dropped:
            superseded.setdefault(record, set()).add((uri, etag))
    return {record: frozenset(archives) for record, archives in superseded.items()}


def _quarantine_lines(
    results: Iterable[BatchResult], lines: Iterable[Line], winners: Mapping[int, Line]
) -> Iterator[QuarantineLine]:
    """Quarantine speaks of what is missing now: lines of an export go when a later one is taken."""
    faulty = {line.archive_key for line in lines if line.entry.disposition in FAULTY}
    for result in results:
        for line in result.quarantine:
            winner = winners.get(line.record_key)
            if line.archive_key in faulty and (winner is None or not is_replaced(line, winner)):
                yield line


def is_replaced(line: QuarantineLine, winner: Line) -> bool:
    """Whether a quarantine line is about another, no later export than the one that was taken."""
    if line.archive_key == winner.archive_key:
        return False
    exported = line.entry.record.exported_on if line.entry.record else None
    return exported is None or exported <= winner.exported_on


def is_replaced_row(row: Mapping[str, Any], winners: Mapping[int, Line]) -> bool:
    """The same of a line that is in the quarantine table already."""
    winner = winners.get(row["record_key"])
    if winner is None or row["archive_key"] == winner.archive_key:
        return False
    return row["exportedon"] is None or bool(row["exportedon"] <= winner.exported_on)
