"""What the Lambda works with: studies, deliveries, and what it asks of the engine. Values and pure functions only."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from carrel.ingest.aws.messages import Notice, notices_of
from carrel.ingest.sources.messages import NotUnderstood
from carrel.ingest.values import ArchiveRef


@dataclass(frozen=True, slots=True)
class StudyPipeline:
    """One study's pipeline. `warehouse`: an `s3://` URL or a folder; `app`: only its records, None: of any app."""

    name: str
    warehouse: str
    app: str | None = None


WAITS, SINCE, TRIED = "carrel_waits", "carrel_since", "carrel_tried"
"""Attributes of a message that was put back; see Delivery."""


class Busy(Exception):
    """Somebody else commits to this warehouse just now: its messages wait for their turn."""


class IngestArchives(Protocol):
    """Ingest archives into a study's warehouse: a whole run of the engine, committed on return."""

    def __call__(self, study: StudyPipeline, archives: Sequence[ArchiveRef]) -> Collection[str]:
        """URIs of the archives that are settled: in the ledger for good, whatever became of them.

        What could not be read for a reason of the machinery (network, credentials) is left out, or it raises.
        Raises Busy.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message of the queue, delivered for the `receives`-th time.

    `waits`: how often it was put back since it was first sent, at `since` (seconds since 1970), because nobody had
    time for it. The queue counts deliveries anew each time; `receives` has those before as well, but for such.
    """

    message_id: str
    receipt: str
    receives: int
    body: str
    waits: int = 0
    since: float = 0.0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Delivery":
        """From a record of Lambda's SQS event."""
        attributes = record.get("attributes") or {}
        ours = {name: value.get("stringValue") for name, value in (record.get("messageAttributes") or {}).items()}
        sent = _number(attributes.get("SentTimestamp")) / 1000
        return cls(
            message_id=record["messageId"],
            receipt=record.get("receiptHandle", ""),
            receives=int(_number(attributes.get("ApproximateReceiveCount"), 1) + _number(ours.get(TRIED))),
            body=record.get("body") or "",
            waits=int(_number(ours.get(WAITS))),
            since=min(_number(ours.get(SINCE), sent), sent or math.inf),
        )


def _number(text: Any, otherwise: float = 0) -> float:
    """What an attribute says; whoever sends messages may write anything there, and it must not stop the others."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        return otherwise
    return number if 0 <= number < _NEVER else otherwise


_NEVER = 1e14
"""More than any count, and than the milliseconds since 1970 that anybody will see."""


Need = tuple[str, str]
"""(study, uri): one archive that must be settled in one warehouse."""


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """What one delivery asks for; it is settled when all its needs are. `reason`: why it can never be, as it is."""

    delivery: Delivery
    notices: Mapping[Need, Notice] = field(default_factory=dict)
    reason: str | None = None


def read_request(delivery: Delivery, studies: Mapping[str, StudyPipeline]) -> ArchiveRequest:
    """Read a delivery for these studies. Other studies of a record are none of ours; a message with none of ours is."""
    try:
        notices = notices_of(delivery.body)
        needs = {need: notice for notice in notices for need in _needs(notice, studies)}
    except NotUnderstood as fault:
        return ArchiveRequest(delivery, reason=str(fault))
    return ArchiveRequest(delivery, needs)


def _needs(notice: Notice, studies: Mapping[str, StudyPipeline]) -> list[Need]:
    """Raises NotUnderstood when no study of the message is ours: nobody would ever ingest it here."""
    named = studies.keys() if notice.studies is None else notice.studies & studies.keys()
    if notice.studies is None and len(studies) != 1:
        raise NotUnderstood("the event names no study, and this function serves several")
    ours = [name for name in sorted(named) if notice.app is None or studies[name].app in (None, notice.app)]
    if not ours:
        raise NotUnderstood("no study of the message has a pipeline here")
    return [(name, notice.uri) for name in ours]


def slices(archives: Iterable[tuple[ArchiveRef, int]], most: int) -> Iterator[tuple[ArchiveRef, ...]]:
    """Archives (with their receives) as runs of the engine: `most` at once when new, fewer each time they come again.

    So one archive that breaks a whole run ends up alone, and those that arrived with it get through.
    """
    by_receives = sorted(archives, key=lambda archive: archive[1])
    for size, group in groupby(by_receives, key=lambda archive: max(1, most // 8 ** (archive[1] - 1))):
        refs = [ref for ref, _ in group]
        yield from (tuple(refs[start : start + size]) for start in range(0, len(refs), size))
