"""A queue whose messages name archives in S3; see `messages` for the forms that are taken.

A message is deleted when all archives it names are dealt with. Until then a heartbeat keeps it invisible to others.
A message that cannot be understood, or names an object that is not there, or came `max_receives` times, goes to the
invalid queue; without one it stays (a dead-letter queue takes it in the end), and is reported.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from carrel.ingest.access_faults import SourceFault
from carrel.ingest.aws_access import Aws
from carrel.ingest.sources.base import SourceProblem
from carrel.ingest.sources.deliveries import Deliveries, Message
from carrel.ingest.sources.s3 import open_object
from carrel.ingest.values import ArchiveRef, Fault

logger = logging.getLogger(__name__)

PER_CALL = 10
"""SQS takes and gives at most so many messages in one call."""
_LOOKED_THROUGH = 10
"""So many batches of messages that nobody can use do not keep a list from the good ones behind them."""


class SqsSource:
    """Use as a context manager: the heartbeat runs inside."""

    def __init__(
        self,
        queue_url: str,
        aws: Aws | None = None,
        *,
        batch: int = 100,
        wait: int = 0,
        visibility: int = 120,
        max_receives: int = 5,
        invalid_queue_url: str | None = None,
    ):
        """`batch`: messages a list; `wait`: seconds to wait for the first one; `visibility`: seconds a message is ours
        without a heartbeat.
        """
        self.queue_url = queue_url
        self.aws = aws or Aws()
        self.batch = batch
        self.wait = wait
        self.visibility = visibility
        self.max_receives = max_receives
        self.invalid_queue_url = invalid_queue_url
        self._start()

    def _start(self) -> None:
        self._deliveries = Deliveries(self.aws)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._heartbeat: threading.Thread | None = None

    def list(self) -> Iterator[ArchiveRef]:
        """The archives of the next `batch` messages; none when the queue is empty."""
        self._deliveries.problems.clear()
        refs: list[ArchiveRef] = []
        good = received = 0
        while good < self.batch and received < _LOOKED_THROUGH * self.batch:
            messages = self._receive(min(self.batch - good, PER_CALL), 0 if received else self.wait)
            if not messages:
                break
            before = len(self._deliveries.problems)
            refs += self._take(messages)
            received += len(messages)
            good += max(0, len(messages) - (len(self._deliveries.problems) - before))
        yield from refs

    def _take(self, messages: Sequence[Message]) -> Sequence[ArchiveRef]:
        with self._lock:
            fresh = [message for message in messages if not self._refuse_poison(message)]
            refs = list(self._deliveries.take(fresh))
            finished = self._deliveries.pop_finished()
            refused, self._deliveries.not_understood = self._deliveries.not_understood, []
        self._delete(finished)
        for message in refused:
            self._refuse(message)
        moved = {message.receipt for message in refused} if self.invalid_queue_url else set()
        return [ref for ref in refs if ref.receipt not in moved]

    def _refuse_poison(self, message: Message) -> bool:
        """Refuse a message that came too often, and tell whether it did."""
        if message.receives <= self.max_receives:
            return False
        fault = Fault("source", "poison", f"the message came {message.receives} times and was never dealt with")
        self._deliveries.problems.append(SourceProblem(f"message:{message.id}", fault))
        self._refuse(message)
        return True

    def _refuse(self, message: Message) -> None:
        """Send the message to the invalid queue first, then delete it from this one: killed between, it is there
        twice, never lost."""
        if self.invalid_queue_url is None:
            return
        if self._forward(message, self.invalid_queue_url):
            self._delete([message])
            self._deliveries.drop(message)

    def _forward(self, message: Message, target: str) -> bool:
        """False when the invalid queue does not take the message: it then stays in this one, and the run goes on."""
        from botocore.exceptions import ClientError

        try:
            self._sqs("forwarding a message", lambda sqs: sqs.send_message(QueueUrl=target, MessageBody=message.body))
        except (SourceFault, ClientError, UnicodeError) as error:
            # A client's error may quote the message.
            reason = str(error) if isinstance(error, SourceFault) else type(error).__name__
            logger.warning("message %s stays: the invalid queue did not take it (%s)", message.id, reason)
            return False
        return True

    def open(self, ref: ArchiveRef) -> Any:
        return open_object(self.aws, ref)

    def acknowledge(self, refs: Iterable[ArchiveRef]) -> None:
        with self._lock:
            finished = self._deliveries.acknowledge(refs)
        self._delete(finished)

    def problems(self) -> tuple[SourceProblem, ...]:
        return tuple(self._deliveries.problems)

    def __enter__(self) -> "SqsSource":
        self._stop.clear()
        self._heartbeat = threading.Thread(target=self._beat, name="carrel-sqs-heartbeat", daemon=True)
        self._heartbeat.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        if self._heartbeat is not None:
            self._heartbeat.join()
        with self._lock:
            pending = self._deliveries.pending()
        self._extend(pending, 0)
        self._deliveries = Deliveries(self.aws)

    def __getstate__(self) -> dict[str, Any]:
        # Workers only open.
        listing = ("_deliveries", "_lock", "_stop", "_heartbeat")
        return {key: value for key, value in self.__dict__.items() if key not in listing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def _sqs(self, what: str, use: Any) -> Any:
        return self.aws.call("sqs", f"{what} ({self.queue_url})", use)

    def _receive(self, count: int, wait: int) -> Sequence[Message]:
        answer = self._sqs(
            "receiving messages",
            lambda sqs: sqs.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait,
                VisibilityTimeout=self.visibility,
                AttributeNames=["ApproximateReceiveCount"],
            ),
        )
        return [
            Message(
                id=message["MessageId"],
                body=message["Body"],
                receipt=message["ReceiptHandle"],
                receives=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for message in answer.get("Messages", ())
        ]

    def _delete(self, messages: Sequence[Message]) -> None:
        """A message that is not deleted comes again, and the ledger knows its archives: nothing happens twice."""
        for batch in _batches(messages):
            entries = [{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(batch)]
            self._sqs(
                "deleting messages",
                lambda sqs, entries=entries: sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries),
            )

    def _extend(self, messages: Sequence[Message], seconds: int) -> None:
        for batch in _batches(messages):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": seconds}
                for number, message in enumerate(batch)
            ]
            self._sqs(
                "keeping messages",
                lambda sqs, entries=entries: sqs.change_message_visibility_batch(
                    QueueUrl=self.queue_url, Entries=entries
                ),
            )

    def _beat(self) -> None:
        """A beat that fails is not the run's fault: at worst the message comes again, to the next run or another."""
        while not self._stop.wait(self.visibility / 3):
            with self._lock:
                pending = self._deliveries.pending()
            try:
                self._extend(pending, self.visibility)
            except SourceFault:
                continue


def _batches(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """The messages, as many at a time as SQS takes in one call."""
    for start in range(0, len(messages), PER_CALL):
        yield messages[start : start + PER_CALL]
