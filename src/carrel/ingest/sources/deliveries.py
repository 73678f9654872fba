"""Messages and the archives they name: a message is dealt with when all its archives are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from carrel.ingest.access_faults import Forbidden, InvalidName, SourceFault
from carrel.ingest.aws_access import Aws, code_of
from carrel.ingest.sources.base import SourceProblem
from carrel.ingest.sources.messages import NotUnderstood, ObjectRef, objects_of
from carrel.ingest.sources.s3 import etag_of, uri_of, user_metadata
from carrel.ingest.values import ArchiveRef, Fault


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the queue delivered it. `receipt`: what to acknowledge it by; `receives`: how often it came."""

    id: str
    body: str
    receipt: str
    receives: int = 1


class Deliveries:
    """What was delivered and not yet dealt with; one per process that lists."""

    def __init__(self, aws: Aws):
        self.aws = aws
        self._waiting: dict[str, set[str]] = {}
        self._messages: dict[str, Message] = {}
        self.problems: list[SourceProblem] = []
        self.not_understood: list[Message] = []

    def take(self, messages: Iterable[Message]) -> Iterator[ArchiveRef]:
        """The archives that the messages name; `receipt` of each is its message's."""
        for message in messages:
            self._messages[message.receipt] = message
            self._waiting[message.receipt] = set()
            yield from self._refs(message)

    def _refs(self, message: Message) -> Iterator[ArchiveRef]:
        try:
            objects = objects_of(message.body)
        except NotUnderstood as error:
            self._never(message, f"message:{message.id}", Fault("source", "message", str(error)))
            return
        for obj in objects:
            ref = self._look_up(obj, message)
            if ref is not None:
                self._waiting[message.receipt].add(ref.uri)
                yield ref

    def _look_up(self, obj: ObjectRef, message: Message) -> ArchiveRef | None:
        """The object as it is now; None, and a problem, when it is not there."""
        from botocore.exceptions import ClientError

        uri = uri_of(obj.bucket, obj.key)
        try:
            head = self.aws.call("s3", f"looking up {uri}", lambda s3: s3.head_object(Bucket=obj.bucket, Key=obj.key))
        except InvalidName:
            self._never(message, uri, Fault("source", "object", "S3 cannot have an object of this name"))
            return None
        except Forbidden:
            # It may be that of one message, or that of all: so it stays, and goes when it has come too often.
            fault = Fault("source", "refused", "S3 does not let these credentials see it")
            self.problems.append(SourceProblem(uri, fault))
            self._waiting[message.receipt].add("")
            return None
        except ClientError as error:
            self._never(message, uri, Fault("source", "object", f"S3 answers {code_of(error)} for the object"))
            return None
        return ArchiveRef(uri, etag_of(head), head["ContentLength"], user_metadata(head), message.receipt)

    def _never(self, message: Message, uri: str, fault: Fault) -> None:
        """The message cannot be dealt with as it is: it is never finished by acknowledging archives."""
        self.problems.append(SourceProblem(uri, fault))
        self._waiting[message.receipt].add("")
        if message not in self.not_understood:
            self.not_understood.append(message)

    def acknowledge(self, refs: Iterable[ArchiveRef]) -> list[Message]:
        """Messages that these finish: all their archives are dealt with."""
        for ref in refs:
            if ref.receipt is None:
                raise SourceFault(f"{ref.uri} did not come from this queue")
            self._waiting.get(ref.receipt, set()).discard(ref.uri)
        return self.pop_finished()

    def pop_finished(self) -> list[Message]:
        """Messages with nothing left to wait for, those that were about nothing too; handed out once each."""
        finished = [receipt for receipt, waiting in self._waiting.items() if not waiting]
        for receipt in finished:
            del self._waiting[receipt]
        return [self._messages.pop(receipt) for receipt in finished]

    def drop(self, message: Message) -> None:
        """The message is dealt with in another way."""
        self._waiting.pop(message.receipt, None)
        self._messages.pop(message.receipt, None)

    def pending(self) -> list[Message]:
        """Messages that are not dealt with yet."""
        return list(self._messages.values())
