"""What the batches of a run come to together: one outcome per archive, and whose rows stay. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carrel.ingest.run.values import BatchResult, Failure, Part, Prior, RawFile
from carrel.ingest.store.ledger import CURRENT, Line, current, settle
from carrel.ingest.store.quarantine import QuarantineLine
from carrel.ingest.tables import DatasetSchema
from carrel.ingest.values import Disposition

Archive = tuple[str, str]
"""(uri, etag)"""
_FAULTY = frozenset({Disposition.PARTIAL, Disposition.QUARANTINED, Disposition.UNREADABLE})


@dataclass(frozen=True, slots=True)
class Settled:
    """A whole run, before anything of it is visible.

    `losers`: record -> archives whose rows are in some part and must not be; `priors`: by record, of those that are
    taken again; `replaced_faults`: record keys (with the time of their new export) whose older quarantine lines go.
    """

    parts: tuple[Part, ...]
    schemas: Mapping[str, tuple[DatasetSchema, ...]]
    lines: tuple[Line, ...]
    held: tuple[QuarantineLine, ...]
    losers: Mapping[str, frozenset[Archive]]
    priors: Mapping[str, Prior]
    replaced_faults: Mapping[int, Line]
    failures: tuple[Failure, ...]
    raw: tuple[RawFile, ...] = ()
    """Of the archives whose rows stay."""


def settled(results: Sequence[BatchResult]) -> Settled:
    """The same for the same archives, however they were split into batches and in whatever order they came back."""
    lines: list[Line] = []
    winners: dict[int, Line] = {}
    for key, group in _by_record(results).items():
        settled_group = settle(group)
        lines += settled_group
        winner = current(settled_group)
        if winner:
            winners[key] = winner
    lines.sort(key=lambda line: (line.entry.archive_uri, line.entry.archive_etag, line.archive_key))
    priors = {prior.record_id: prior for result in results for prior in result.priors}
    taken_again = {line.entry.record_id for line in winners.values()}
    losers = _losers(results, lines, winners)
    return Settled(
        parts=tuple(sorted(_parts(results), key=lambda part: (part.table, part.file.path))),
        schemas=schemas_of(results),
        lines=tuple(lines),
        held=tuple(_held(results, lines, winners)),
        losers=losers,
        priors={record: prior for record, prior in sorted(priors.items()) if prior.is_lost or record in taken_again},
        replaced_faults={
            winner.record_key: winner
            for winner in winners.values()
            if (prior := priors.get(winner.entry.record_id or "")) and prior.has_faults
        },
        failures=tuple(failure for result in results for failure in result.failures),
        raw=tuple(
            raw for result in results for raw in result.raw if raw.archive not in losers.get(raw.record_id, frozenset())
        ),
    )


def _parts(results: Iterable[BatchResult]) -> Iterator[Part]:
    for result in results:
        yield from result.parts


def _by_record(results: Iterable[BatchResult]) -> dict[int, list[Line]]:
    groups: dict[int, list[Line]] = {}
    for result in results:
        for line in result.lines:
            groups.setdefault(line.record_key, []).append(line)
    return groups


def schemas_of(results: Iterable[BatchResult]) -> dict[str, tuple[DatasetSchema, ...]]:
    """dataset -> every schema that a batch found."""
    found: dict[str, list[DatasetSchema]] = {}
    for result in results:
        for schema in result.schemas:
            found.setdefault(schema.dataset, []).append(schema)
    return {dataset: tuple(each) for dataset, each in sorted(found.items())}


def _losers(
    results: Sequence[BatchResult], lines: Iterable[Line], winners: Mapping[int, Line]
) -> dict[str, frozenset[Archive]]:
    """Archives that were flattened but are not the one that their record's rows come from."""
    flattened = {line.archive_key for result in results for line in result.lines if line.entry.disposition in CURRENT}
    losers: dict[str, set[Archive]] = {}
    for line in lines:
        winner = winners.get(line.record_key)
        loses = line.archive_key in flattened and (winner is None or winner.archive_key != line.archive_key)
        if line.entry.record_id and loses:
            losers.setdefault(line.entry.record_id, set()).add((line.entry.archive_uri, line.entry.archive_etag))
    for record, *archive in (each for result in results for each in result.dropped):
        losers.setdefault(record, set()).add((archive[0], archive[1]))
    return {record: frozenset(archives) for record, archives in losers.items()}


def _held(
    results: Iterable[BatchResult], lines: Iterable[Line], winners: Mapping[int, Line]
) -> Iterator[QuarantineLine]:
    """Quarantine speaks of what is missing now: lines of an export go when a later one is taken."""
    faulty = {line.archive_key for line in lines if line.entry.disposition in _FAULTY}
    for result in results:
        for held in result.held:
            winner = winners.get(held.record_key)
            if held.archive_key in faulty and (winner is None or not is_replaced(held, winner)):
                yield held


def is_replaced(held: QuarantineLine, winner: Line) -> bool:
    """Whether a quarantine line is about another, no later export than the one that was taken."""
    if held.archive_key == winner.archive_key:
        return False
    exported = held.entry.record.exported_on if held.entry.record else None
    return exported is None or exported <= winner.exported_on


def is_replaced_row(row: Mapping[str, Any], winners: Mapping[int, Line]) -> bool:
    """The same of a line that is in the quarantine table already."""
    winner = winners.get(row["record_key"])
    if winner is None or row["archive_key"] == winner.archive_key:
        return False
    return row["exportedon"] is None or bool(row["exportedon"] <= winner.exported_on)
