"""What must become of an archive, given what is known of its record. Pure."""

from collections.abc import Iterable, Sequence

from carrel.ingest.store.ledger.lines import CURRENT, Line, tombstone_of
from carrel.ingest.values import Disposition

_FAILED = frozenset({Disposition.UNREADABLE, Disposition.QUARANTINED, Disposition.EMPTY})
_SEEN = CURRENT | _FAILED


def current(history: Iterable[Line]) -> Line | None:
    """The line whose archive the record's rows come from."""
    taken = (line for line in history if line.entry.disposition in CURRENT)
    return max(taken, key=lambda line: line.order, default=None)


def judged_before(line: Line, history: Sequence[Line], tombstones: frozenset[str]) -> Disposition | None:
    """The outcome of an archive that needs no look at its files; None: look at them.

    `line`: the archive so far; `history`: every line of its record; `tombstones`: of everything withdrawn.
    """
    codes = (("healthcode", line.entry.healthcode), ("record", line.entry.record_id))
    if any(code and tombstone_of(kind, code) in tombstones for kind, code in codes):
        return Disposition.WITHDRAWN
    if any(earlier.entry.disposition == Disposition.WITHDRAWN for earlier in history):
        return Disposition.WITHDRAWN
    if any(_is_same(line, earlier) for earlier in history):
        return Disposition.UNCHANGED
    latest = current(history)
    if latest is None or line.order >= latest.order:
        return None
    # An object that was replaced at its own place is newer, when neither export has a later time.
    is_replacement = (line.exported_on, line.entry.archive_uri) == (latest.exported_on, latest.entry.archive_uri)
    return None if is_replacement else Disposition.SUPERSEDED


def _is_same(line: Line, other: Line) -> bool:
    return (
        other.entry.disposition in _SEEN
        and other.entry.content_hash == line.entry.content_hash
        and other.metadata_hash == line.metadata_hash
    )


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
    for line in sorted(lines, key=lambda line: (*line.order, len(line.entry.archive_uri), line.entry.archive_uri)):
        is_repeated = any(_is_same(line, earlier) for earlier in settled)
        settled.append(line.having(Disposition.UNCHANGED) if is_repeated else judged_after(line, settled))
    return settled
