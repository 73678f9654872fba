"""One invocation: a batch of deliveries in, the ids of those that must come again out."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from carrel.ingest.aws.counting import log_counts
from carrel.ingest.aws.messages import Notice
from carrel.ingest.aws.queue import Queue
from carrel.ingest.aws.work import Busy, Delivery, Need, Study, TakeArchives, Wanted, slices, wanted
from carrel.ingest.aws_access import Aws, code_of
from carrel.ingest.values import ArchiveRef
from carrel.telemetry import faults

logger = logging.getLogger(__name__)

Remaining = Callable[[], float]
"""Seconds until we are stopped."""


@dataclass(frozen=True, slots=True)
class Trickle:
    """What every invocation shares. `reserve`: seconds that must be left for another run of the engine to begin."""

    studies: Mapping[str, Study]
    queue: Queue
    aws: Aws
    take: TakeArchives
    most: int = 50
    reserve: float = 60.0

    def handle(self, deliveries: Sequence[Delivery], remaining: Remaining) -> list[str]:
        """Ids of the messages that are not settled. A message is settled when each of its archives is in the ledger
        of each of its studies, when it went to the invalid queue, or when it was put back, because nobody had time to
        try it; nothing else acknowledges it.
        """
        asked = [self._look(each) for each in (wanted(each, self.studies) for each in deliveries)]
        settled, untried = set[Need](), set[Need]()
        for study in self.studies.values():
            self._settle(study, asked, remaining, settled, untried)
        faults.point("ingest.lambda_settled")
        left = [each for each in asked if not self._is_done(each, settled)]
        failed = [each.wanted.delivery for each in left if not self._is_put_back(each, settled | untried)]
        for delivery in failed:
            self.queue.again(delivery)
        _log_waiting(each.wanted.delivery for each in left if each.wanted.delivery not in failed)
        return [delivery.message_id for delivery in failed]

    def _is_put_back(self, asked: "_Looked", harmless: set[Need]) -> bool:
        """A message of which something was tried, in vain, is none of these: it may be what breaks the run."""
        only_waits = asked.reason is None and not asked.unreadable and asked.refs.keys() <= harmless
        return only_waits and self.queue.put_back(asked.wanted.delivery)

    def _is_done(self, asked: "_Looked", settled: set[Need]) -> bool:
        if asked.reason is not None:
            others = asked.refs.keys() <= settled and not asked.unreadable
            return others and self.queue.refuse(asked.wanted.delivery, asked.reason)
        return not asked.unreadable and asked.refs.keys() <= settled

    def _look(self, asked: Wanted) -> "_Looked":
        """Ask S3 for each archive as it is now: the object may have been replaced since the message was sent."""
        refs: dict[Need, ArchiveRef] = {}
        reason, unreadable = asked.reason, False
        for need, notice in asked.notices.items():
            try:
                found = _head(self.aws, notice)
            except Exception:
                logger.exception("%s cannot be looked at now", notice.uri)
                unreadable = True
                continue
            if found is None:
                reason = "the archive is not in the bucket"
            else:
                refs[need] = found
        return _Looked(asked, refs, reason, unreadable)

    def _settle(
        self,
        study: Study,
        asked: Iterable["_Looked"],
        remaining: Remaining,
        settled: set[Need],
        untried: set[Need],
    ) -> None:
        """Run after run while there is time; adds to `settled`, and to `untried` what no run was begun with."""
        longest = 0.0
        parts = list(slices(_archives_for(study, asked), self.most))
        for number, part in enumerate(parts):
            before = remaining()
            try:
                if before < self.reserve + 1.5 * longest:
                    raise Busy(f"{before:.0f} seconds are too few for another run")
                settled.update((study.name, uri) for uri in self.take(study, part))
            except Busy as busy:
                logger.info("%s: %s; what is left waits", study.name, busy)
                untried.update((study.name, ref.uri) for rest in parts[number:] for ref in rest)
                return
            except Exception:
                logger.exception("%s: a run with %d archives failed; they come again", study.name, len(part))
            longest = max(longest, before - remaining())


@dataclass(frozen=True, slots=True)
class _Looked:
    wanted: Wanted
    refs: Mapping[Need, ArchiveRef]
    reason: str | None
    unreadable: bool


def _log_waiting(deliveries: Iterable[Delivery]) -> None:
    waited = [int(time.time() - each.since) for each in deliveries]
    log_counts(waiting=len(waited), waited_seconds=max(waited, default=0))


def _archives_for(study: Study, asked: Iterable[_Looked]) -> list[tuple[ArchiveRef, int]]:
    """Each archive once, however many messages tell of it; with the fewest deliveries of those."""
    found: dict[str, tuple[ArchiveRef, int]] = {}
    for each in asked:
        for (name, uri), ref in each.refs.items():
            if name == study.name:
                receives = min(each.wanted.delivery.receives, found[uri][1] if uri in found else 1000)
                found[uri] = (ref, receives)
    return list(found.values())


def _head(aws: Aws, notice: Notice) -> ArchiveRef | None:
    """None: there is no such object. Raises when S3 cannot tell."""
    from botocore.exceptions import ClientError

    try:
        head = aws.call(
            "s3", f"looking up {notice.uri}", lambda s3: s3.head_object(Bucket=notice.bucket, Key=notice.key)
        )
    except ClientError as error:
        if code_of(error) in ("404", "NoSuchKey", "NotFound"):
            return None
        raise
    metadata = {name.lower(): value for name, value in head.get("Metadata", {}).items()}
    return ArchiveRef(notice.uri, head["ETag"].strip('"'), head["ContentLength"], metadata or None)
