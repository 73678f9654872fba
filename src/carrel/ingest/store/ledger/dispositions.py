"""What must become of an archive, given what is known of its record. Pure."""

from collections.abc import Iterable, Sequence

from carrel.ingest.store.ledger.lines import CURRENT, Line, tombstone_of
from carrel.ingest.values import Disposition

_FAILED = frozenset({Disposition.UNREADABLE, Disposition.QUARANTINED, Disposition.EMPTY})
_SEEN = CURRENT | _FAILED


def current(history: Iterable[Line]) -> Line | None:
    """The line whose archive the record's rows come from."""
    return max((line for line in history if line.entry.disposition in CURRENT), key=_order, default=None)


def _order(line: Line) -> tuple[object, str]:
    return line.order


def judged_before(line: Line, history: Sequence[Line], tombstones: frozenset[str]) -> Disposition | None:
    """The outcome of an archive that needs no look at its files; None: look at them.

    `line`: the archive so far; `history`: every line of its record; `tombstones`: of everything withdrawn.
    """
    if _withdrawn(line, tombstones) or any(each.entry.disposition == Disposition.WITHDRAWN for each in history):
        return Disposition.WITHDRAWN
    if any(_same(line, each) for each in history):
        return Disposition.UNCHANGED
    latest = current(history)
    if latest is not None and _is_older(line, latest):
        return Disposition.SUPERSEDED
    return None


def _withdrawn(line: Line, tombstones: frozenset[str]) -> bool:
    entry = line.entry
    codes = (("healthcode", entry.healthcode), ("record", entry.record_id))
    return any(value and tombstone_of(kind, value) in tombstones for kind, value in codes)


def _same(line: Line, other: Line) -> bool:
    return (
        other.entry.disposition in _SEEN
        and other.entry.content_hash == line.entry.content_hash
        and other.metadata_hash == line.metadata_hash
    )


def _is_older(line: Line, latest: Line) -> bool:
    """An object that was replaced at its own place is newer, when neither export has a later time."""
    if line.exported_on == latest.exported_on and line.entry.archive_uri == latest.entry.archive_uri:
        return False
    return line.order < latest.order


def judged_after(line: Line, history: Sequence[Line]) -> Line:
    """A failed export that is no later than what the tables have is of no interest."""
    latest = current(history)
    if line.entry.disposition in _FAILED and latest is not None and line.exported_on <= latest.exported_on:
        return line.having(Disposition.SUPERSEDED)
    return line


def settle(lines: Sequence[Line]) -> list[Line]:
    """The lines of one record from one run, as if its archives had come one by one, earliest export first.

    Archives that are the same get one outcome and `unchanged` for the rest; the one with the shortest name is the
    original. So neither the order of the source nor the split into batches shows.
    """
    settled: list[Line] = []
    for line in sorted(lines, key=lambda each: (*each.order, len(each.entry.archive_uri), each.entry.archive_uri)):
        again = any(_same(line, each) for each in settled)
        settled.append(line.having(Disposition.UNCHANGED) if again else judged_after(line, settled))
    return settled
