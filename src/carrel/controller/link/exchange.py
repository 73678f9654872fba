"""One backend's exchanges with the job server that is polled for it: ask, make and cancel jobs, tell how they are.

The rows remember everything that matters. An exchange may end anywhere and be made again: what the server asked for is
asked for again, what it was told is told again, and both change nothing the second time.
"""

import json
import logging
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import connection

from carrel.clients.job_server import JobServerClient, JobServerError, JobServerRefused
from carrel.controller import service, settings
from carrel.controller.link.intake import Intake
from carrel.controller.link.payload import Parcel, batches, outcome_job, posted_job
from carrel.controller.models import Job, Rap
from carrel.controller.outages import DATABASE_AWAY, RETRY_AFTER
from carrel.controller.rap_api import message_or_part, shown_time
from carrel.controller.service import flags, links, queries
from carrel.telemetry import traces
from carrel.telemetry.faults import point
from carrel.units.pauses import pause_before_retry

logger = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""What the server knows already it is told again after this long, should it have lost it."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two exchanges while they go wrong; the first is no longer than the usual interval."""
LONGEST_ASKED_FOR = 300.0
"""Most that a server which asks to be left alone is left alone."""
REFUSALS_AT_MOST = 40
"""So many posts may be refused in one exchange before the server itself is taken to be at fault."""
LONGEST_FLAG = 200


class _LeaseLost(Exception):
    """Another process polls now."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What the server was last told of a request, when (monotonic), and what it said against it."""

    digest: bytes
    at: float
    refusal: str = ""


class Link:
    """Polls for one backend. Several of them, in any processes, do no harm: one at a time holds the lease."""

    def __init__(
        self,
        backend: str,
        client: JobServerClient,
        repeat_seconds: float = REPEAT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend = backend
        self.holder = secrets.token_hex(8)
        self._client = client
        self._repeat_seconds = repeat_seconds
        self._monotonic = monotonic
        self._intake = Intake(backend, self._keep_lease)
        self._sent: dict[str, _Sent] = {}
        self._refusals = 0
        self._failures = 0

    def once(self) -> float:
        """One exchange, whatever becomes of it. Returns the seconds to wait before the next."""
        try:
            return self._once()
        except DATABASE_AWAY:
            logger.exception("The link of backend %s has no database; it is tried again.", self.backend)
        except Exception:
            logger.exception("The link of backend %s could not note how it went; it is tried again.", self.backend)
        connection.close()
        return float(RETRY_AFTER)

    def release(self) -> None:
        """Let another process poll at once, as far as the database can be told."""
        try:
            links.release(self.backend, self.holder)
        except Exception:
            logger.warning("The lease of backend %s's link runs out by itself.", self.backend, exc_info=True)

    def _once(self) -> float:
        interval = settings.get().poll_interval
        asked_to_wait = 0.0
        try:
            self._keep_lease()
            with traces.span("JOB_SERVER_LINK", "link", backend=self.backend):
                whole = self._exchange()
        except _LeaseLost:
            return interval
        except DATABASE_AWAY:
            raise
        except JobServerError as error:
            problem = str(error)
            asked_to_wait = getattr(error, "retry_after", 0.0)
        except Exception:
            reference = secrets.token_hex(4)
            logger.exception("The link of backend %s failed, reference %s.", self.backend, reference)
            problem = f"A fault of the controller's own, reference {reference}: its log says more"
            connection.close()
        else:
            self._failures = 0
            self._note(self._refusal())
            return interval if whole else 0.0
        self._note(problem)
        self._failures += 1
        longest, chance = max(LONGEST_PAUSE, interval), random.random()  # noqa: S311 (no secret)
        pause = pause_before_retry(self._failures, min(FIRST_PAUSE, interval), longest, chance)
        return max(pause, min(asked_to_wait, LONGEST_ASKED_FOR))

    def _refusal(self) -> str:
        """What the job server has against single requests: they hold up no other, so that nothing is waited for."""
        refused = [(rap_id, sent.refusal) for rap_id, sent in self._sent.items() if sent.refusal]
        if not refused:
            return ""
        rap_id, words = refused[0]
        return f"The job server does not take the jobs of {len(refused)} requests, among them {rap_id}: {words}"

    def _note(self, problem: str) -> None:
        if links.note(self.backend, problem) == 1:
            logger.warning("The link of backend %s to its job server: %s", self.backend, problem)

    def _keep_lease(self) -> None:
        if not links.hold(self.backend, self.holder):
            raise _LeaseLost

    def _exchange(self) -> bool:
        """False when new requests were left for the next exchange."""
        told = flags_header(self.backend)
        active = self._client.active_requests(told)
        point("controller.link.fetched")
        whole = self._intake.take_in(active)
        self._refusals = 0
        for batch in self._due(list(self._parcels(may_settle=active.failure is None))):
            self._deliver(batch, told)
        traces.note(requests=len(self._intake.listed), malformed=len(active.malformed))
        if active.failure:
            raise active.failure
        return whole

    # -- what there is to tell

    def _parcels(self, may_settle: bool) -> Iterator[Parcel]:
        """What there is to tell of every request that the server has not finished with, or has not heard the last of.

        `may_settle`: a request that is neither asked for any more nor ever had jobs may be forgotten.
        """
        rap_ids = list(dict.fromkeys([*self._intake.listed, *links.unsettled(self.backend)]))
        for rap_id in self._sent.keys() - set(rap_ids):
            del self._sent[rap_id]
        remembered = links.remembered(self.backend, rap_ids)
        ours = [rap_id for rap_id in rap_ids if rap_id in remembered]
        jobs_of: dict[str, list[Job]] = defaultdict(list)
        for job in service.rap_status_jobs(ours, [self.backend])[0]:
            jobs_of[job.rap_id].append(job)
        without = [rap_id for rap_id in ours if rap_id not in jobs_of]
        raps = queries.raps_by_id(without)
        listed, silent = set(self._intake.listed), []
        for rap_id in rap_ids:
            try:
                parcel = self._parcel(rap_id, jobs_of[rap_id], raps.get(rap_id))
            except Exception:
                logger.exception("What became of request %s cannot be told; the others are.", rap_id)
                continue
            if parcel:
                yield parcel
            elif rap_id not in listed:
                silent.append(rap_id)
        if silent and may_settle:
            links.settle(silent)

    def _parcel(self, rap_id: str, jobs: list[Job], rap: Rap | None) -> Parcel | None:
        posted = [posted_job(message_or_part(job)) for job in jobs]
        note = self._intake.notes.get(rap_id)
        if not posted and rap is not None:
            created_at, ended_at = (str(shown_time(at)) for at in (rap.created_at, rap.outcome_at))
            note = outcome_job(rap, created_at, ended_at) or note
        posted += [note] if note else []
        return Parcel.of(rap_id, posted) if posted else None

    # -- telling it

    def _due(self, parcels: list[Parcel]) -> Iterator[list[Parcel]]:
        """In batches, what the server does not know, or was told long ago; alone and last, what it has refused."""
        long_ago = self._monotonic() - self._repeat_seconds
        fresh: list[Parcel] = []
        refused: list[Parcel] = []
        for parcel in parcels:
            sent = self._sent.get(parcel.rap_id)
            if sent is None or sent.digest != parcel.digest or sent.at <= long_ago:
                (refused if sent and sent.refusal else fresh).append(parcel)
        yield from batches(fresh)
        yield from ([parcel] for parcel in refused)

    def _deliver(self, batch: list[Parcel], told: str) -> None:
        """Post a batch; where the server does not take it, its halves, down to the one request that it refuses."""
        self._keep_lease()
        try:
            self._client.post_jobs([job for parcel in batch for job in parcel.jobs], told)
        except JobServerRefused as error:
            self._refusals += 1
            if not error.is_about_content or self._refusals > REFUSALS_AT_MOST:
                raise
            if len(batch) == 1:
                self._sent[batch[0].rap_id] = _Sent(batch[0].digest, self._monotonic(), str(error))
                return
            middle = len(batch) // 2
            self._deliver(batch[:middle], told)
            self._deliver(batch[middle:], told)
            return
        point("controller.link.posted")
        links.settle([parcel.rap_id for parcel in batch if parcel.is_last])
        for parcel in batch:
            self._sent[parcel.rap_id] = _Sent(parcel.digest, self._monotonic())


def flags_header(backend: str) -> str:
    """The backend's flags as the link tells them: `{"paused": {"v": "true", "ts": "2026-..."}}`."""
    names = (flags.PAUSED, flags.MODE, flags.MANUAL_DB_MAINTENANCE, flags.CHECKS_DISABLED, flags.LAST_SEEN)
    rows = [row for row in flags.get_flags(backend, names) if row.value is not None]
    values = {row.name: {"v": row.value[:LONGEST_FLAG], "ts": shown_time(row.timestamp)} for row in rows}
    return json.dumps(values)
