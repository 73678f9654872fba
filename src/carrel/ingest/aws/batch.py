"""One invocation: a batch of deliveries in, the ids of those that must come again out."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from carrel.ingest.aws.counts import log_counts
from carrel.ingest.aws.messages import Notice
from carrel.ingest.aws.queue import Queue
from carrel.ingest.aws.work import (
    ArchiveRequest,
    Busy,
    Delivery,
    IngestArchives,
    Need,
    StudyPipeline,
    read_request,
    slices,
)
from carrel.ingest.aws_access import Aws, code_of
from carrel.ingest.values import ArchiveRef
from carrel.telemetry import faults

logger = logging.getLogger(__name__)

Remaining = Callable[[], float]
"""Seconds until we are stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHandler:
    """What every invocation shares. `reserve`: seconds that must be left for another run of the engine to begin."""

    studies: Mapping[str, StudyPipeline]
    queue: Queue
    aws: Aws
    ingest: IngestArchives
    most: int = 50
    """Archives of one run at most."""
    reserve: float = 60.0

    def handle(self, deliveries: Sequence[Delivery], remaining: Remaining) -> list[str]:
        """Ids of the messages that are not settled. A message is settled when each of its archives is in the ledger
        of each of its studies, when it went to the invalid queue, or when it was put back, because nobody had time to
        try it; nothing else acknowledges it.
        """
        requests = [self._look_up(read_request(delivery, self.studies)) for delivery in deliveries]
        settled, untried = set[Need](), set[Need]()
        for study in self.studies.values():
            self._settle(study, requests, remaining, settled, untried)
        faults.point("ingest.lambda_settled")
        unsettled = []
        for request in requests:
            is_settled = request.needs <= settled and not request.unreadable
            if is_settled and request.reason is not None:
                is_settled = self.queue.refuse(request.delivery, request.reason)
            if not is_settled:
                unsettled.append(request)
        failed, waiting = [], []
        for request in unsettled:
            # A message of which something was tried, in vain, is not put back: it may be what breaks the run.
            only_waits = request.reason is None and not request.unreadable and request.needs <= settled | untried
            if only_waits and self.queue.put_back(request.delivery):
                waiting.append(request.delivery)
            else:
                failed.append(request.delivery)
        for delivery in failed:
            self.queue.retry_later(delivery)
        seconds = [int(time.time() - delivery.since) for delivery in waiting]
        log_counts(waiting=len(seconds), waited_seconds=max(seconds, default=0))
        return [delivery.message_id for delivery in failed]

    def _look_up(self, request: ArchiveRequest) -> "_LookedUpRequest":
        """Ask S3 for each archive as it is now: the object may have been replaced since the message was sent."""
        refs: dict[Need, ArchiveRef] = {}
        reason, unreadable = request.reason, False
        for need, notice in request.notices.items():
            try:
                ref = _head(self.aws, notice)
            except Exception:
                logger.exception("%s cannot be looked at now", notice.uri)
                unreadable = True
                continue
            if ref is None:
                reason = "the archive is not in the bucket"
            else:
                refs[need] = ref
        return _LookedUpRequest(request.delivery, refs, reason, unreadable)

    def _settle(
        self,
        study: StudyPipeline,
        requests: Iterable["_LookedUpRequest"],
        remaining: Remaining,
        settled: set[Need],
        untried: set[Need],
    ) -> None:
        """Run after run while there is time; adds to `settled`, and to `untried` what no run was begun with."""
        longest = 0.0
        parts = list(slices(_archives_for(study, requests), self.most))
        for number, part in enumerate(parts):
            before = remaining()
            try:
                if before < self.reserve + 1.5 * longest:
                    raise Busy(f"{before:.0f} seconds are too few for another run")
                settled.update((study.name, uri) for uri in self.ingest(study, part))
            except Busy as busy:
                logger.info("%s: %s; what is left waits", study.name, busy)
                untried.update((study.name, ref.uri) for later_part in parts[number:] for ref in later_part)
                return
            except Exception:
                logger.exception("%s: a run with %d archives failed; they come again", study.name, len(part))
            longest = max(longest, before - remaining())


@dataclass(frozen=True, slots=True)
class _LookedUpRequest:
    """A request with the archives that are there. `unreadable`: of some S3 did not say whether they are."""

    delivery: Delivery
    refs: Mapping[Need, ArchiveRef]
    reason: str | None
    unreadable: bool

    @property
    def needs(self) -> frozenset[Need]:
        """Those whose archives are there."""
        return frozenset(self.refs)


def _archives_for(study: StudyPipeline, requests: Iterable[_LookedUpRequest]) -> list[tuple[ArchiveRef, int]]:
    """Each archive once, however many messages tell of it; with the fewest deliveries of those."""
    archives: dict[str, tuple[ArchiveRef, int]] = {}
    for request in requests:
        for (name, uri), ref in request.refs.items():
            if name == study.name:
                receives = min(request.delivery.receives, archives[uri][1] if uri in archives else 1000)
                archives[uri] = (ref, receives)
    return list(archives.values())


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
