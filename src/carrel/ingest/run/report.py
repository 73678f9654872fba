"""The report of a run: counts that are computed from its lines, as text, JSON and metrics. It names nobody."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from carrel.ingest.exits import EXIT_NOT_FETCHED, EXIT_QUARANTINED, EXIT_TAKEN
from carrel.ingest.run.unmapped import unmapped_text
from carrel.telemetry.metrics import Gauge, exposition


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Sizes in bytes, times in seconds. `quarantined`: "stage/keyword" -> files; `rows`: table -> rows added."""

    run_id: str | None
    listed: int = 0
    known: int = 0
    """Archives that the ledger had already; not read."""
    dispositions: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    """What happened to schemas, in words."""
    failures: list[str] = field(default_factory=list)
    """Why archives could not be fetched; they are tried again in the next run."""
    not_fetched: list[int] = field(default_factory=list)
    """Which: the keys that the ledger would know them by."""
    raw_json: dict[str, int] = field(default_factory=dict)
    """Files "written" and "deleted", where raw JSON is kept."""
    repeated_keys: int = 0
    """Files that were taken although an object of theirs has a key more than once: the last value is in the tables."""
    unmapped_files: int = 0
    """Files that belong to no dataset, and that neither the mapping ignores nor a desktop left."""
    replaced: int = 0
    """Records of which something was there already: replaced by a newer export, or because it was taken again."""
    is_replay: bool = False
    bytes_read: int = 0
    json_bytes: int = 0
    seconds: float = 0.0
    rolled_forward: str | None = None
    """The interrupted run that was finished first."""
    withdrawal_finished: bool = False
    """An interrupted withdrawal was finished first."""

    @property
    def exit_code(self) -> int:
        """0 all taken, 3 some in quarantine, 4 some could not be fetched (whatever else)."""
        if self.failures:
            return EXIT_NOT_FETCHED
        return EXIT_QUARANTINED if self.quarantined else EXIT_TAKEN

    def to_json(self) -> bytes:
        """The report as JSON, for scripts."""
        return json.dumps({**asdict(self), "exit_code": self.exit_code}, indent=1, sort_keys=True).encode()

    def to_stored_json(self) -> bytes:
        """The JSON for the warehouse: without what could name an archive, because that can name a participant."""
        return replace(self, failures=["not fetched"] * len(self.failures)).to_json()

    @classmethod
    def from_json(cls, data: bytes) -> "Report":
        """Read what `to_json` wrote."""
        values: dict[str, Any] = json.loads(data)
        values.pop("exit_code", None)
        return cls(**values)

    def text(self) -> str:
        """The report for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.rolled_forward:
            yield f"Finished the interrupted run {self.rolled_forward} first; `carrel ingest status` has what it took."
        if self.withdrawal_finished:
            yield "Finished an interrupted withdrawal first; `carrel ingest withdraw` with the same codes proves it."
        looked_at = sum(self.dispositions.values())
        yield f"{many(self.listed, 'archive')} listed, {self.known:,} known already, {looked_at:,} looked at"
        if self.run_id:
            speed = ""
            if (
                self.json_bytes > 1e6 and self.seconds
            ):  # of little it tells nothing: starting takes longer than the work
                speed = f" ({self.json_bytes / 1e6 / self.seconds:.1f} MB/s)"
            yield f"Run {self.run_id}: {size(self.json_bytes)} of JSON in {self.seconds:.1f} s{speed}"
        yield from _count_lines("Archives", self.dispositions)
        yield from _count_lines("Rows added", self.rows)
        yield from _count_lines("Raw JSON files", self.raw_json)
        yield from _count_lines("Files in quarantine", self.quarantined)
        if self.unmapped_files:
            yield unmapped_text(self.unmapped_files)
        if self.repeated_keys:
            yield (
                f"A key stands more than once in one object of {many(self.repeated_keys, 'file')}: the last value was "
                "taken; `carrel ingest reconcile SOURCE` says where"
            )
        if self.replaced:
            how = "what was taken again" if self.is_replay else "a newer export"
            yield f"What the warehouse had of {many(self.replaced, 'record')} was replaced by {how}"
        if self.is_replay and self.known < self.listed:
            new = many(self.listed - self.known, "archive")
            yield f"Not taken by a replay, but by `carrel ingest run`: {new}, new at the source or rewritten there"
        yield from _item_lines("Schema changes", self.changes)
        yield from _item_lines("Not fetched (the next run tries again)", self.failures)

    def metrics(self, finished: float) -> bytes:
        """Prometheus text, for a textfile collector. `finished`: seconds since 1970."""
        return exposition([*self._gauges(), _gauge(_FINISHED, "When the source was last looked at.", finished)])[0]

    def _gauges(self) -> Iterator[Gauge]:
        yield _gauge("carrel_ingest_listed", "Archives that the source listed.", self.listed)
        yield _gauge("carrel_ingest_known", "Listed archives that the ledger had already.", self.known)
        yield _labelled_gauge("carrel_ingest_archives", "Archives of the last run.", "disposition", self.dispositions)
        yield _labelled_gauge("carrel_ingest_rows", "Rows that the last run added.", "table", self.rows)
        yield _labelled_gauge(
            "carrel_ingest_quarantined_files", "Files it put in quarantine.", "fault", self.quarantined
        )
        yield _gauge("carrel_ingest_repeated_keys", "Files it took with a key twice in an object.", self.repeated_keys)
        yield _gauge(
            "carrel_ingest_unmapped_files", "Files of its archives that no dataset takes.", self.unmapped_files
        )
        yield _gauge("carrel_ingest_not_fetched", "Archives that it could not fetch.", len(self.failures))
        yield _gauge("carrel_ingest_json_bytes", "Bytes of JSON that it took.", self.json_bytes)
        yield _gauge("carrel_ingest_duration_seconds", "How long it took.", self.seconds)


_FINISHED = "carrel_ingest_finished_timestamp_seconds"


def many(number: int, noun: str) -> str:
    """A number with its noun, as "1 record" or "2 records"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: int) -> str:
    """A number of bytes, for people."""
    return f"{number / 1e6:,.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"


def _count_lines(title: str, counts: dict[str, int]) -> Iterator[str]:
    if counts:
        yield f"{title}:"
        width = max(map(len, counts))
        yield from (f"  {name:<{width}}  {count:>10,}" for name, count in sorted(counts.items()))


def _item_lines(title: str, lines: list[str], most: int = 20) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines[:most])
    if len(lines) > most:
        yield f"  and {len(lines) - most} more"


def _labelled_gauge(name: str, text: str, label: str, counts: dict[str, int]) -> Gauge:
    return Gauge(name, text, (label,), {(key,): float(count) for key, count in counts.items()})


def _gauge(name: str, text: str, value: float) -> Gauge:
    return Gauge(name, text, (), {(): float(value)})


def count_sorted(items: Iterator[str]) -> dict[str, int]:
    """How often each text is among the items, sorted by the text."""
    return dict(sorted(Counter(items).items()))
