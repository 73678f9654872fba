"""Messages that a Lambda function was called with; what it answers is which of them failed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from carrel.ingest.sources.aws import Aws
from carrel.ingest.sources.base import Problem
from carrel.ingest.sources.deliveries import Deliveries, Message
from carrel.ingest.sources.s3 import open_object
from carrel.ingest.values import ArchiveRef


class EventSource:
    """The archives of one event of an SQS trigger (`Records` with `messageId` and `body`)."""

    def __init__(self, event: Mapping[str, Any], aws: Aws | None = None):
        self.aws = aws or Aws()
        self._messages = [_message(each) for each in event.get("Records", ())]
        self._deliveries = Deliveries(self.aws)

    def list(self) -> Iterator[ArchiveRef]:
        self._deliveries = Deliveries(self.aws)
        refs = list(self._deliveries.take(self._messages))
        self._deliveries.finished()
        yield from refs

    def open(self, ref: ArchiveRef) -> Any:
        return open_object(self.aws, ref)

    def acknowledge(self, refs: Iterable[ArchiveRef]) -> None:
        self._deliveries.acknowledge(refs)

    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._deliveries.problems)

    def response(self) -> dict[str, Any]:
        """The function's answer: messages named here come again; all others are deleted (ReportBatchItemFailures)."""
        return {"batchItemFailures": [{"itemIdentifier": each.id} for each in self._deliveries.held()]}

    def __enter__(self) -> "EventSource":
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def __getstate__(self) -> dict[str, Any]:
        # Workers only open.
        return {"aws": self.aws, "_messages": [], "_deliveries": Deliveries(self.aws)}


def _message(record: Mapping[str, Any]) -> Message:
    receives = record.get("attributes", {}).get("ApproximateReceiveCount", 1)
    return Message(record["messageId"], record["body"], record["messageId"], int(receives))
