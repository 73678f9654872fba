"""What a polled job server asks for becomes jobs here, and what it cancels is cancelled: each request by itself."""

import logging
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from carrel.clients.job_server import ActiveJobRequests
from carrel.controller import clock, creation, service
from carrel.controller.link.payload import pseudo_job, refusal_code
from carrel.controller.models import Job, Rap, RapOutcome
from carrel.controller.outages import DATABASE_AWAY
from carrel.controller.rap_api import shown_time
from carrel.controller.rap_api_http import InvalidBody, check
from carrel.controller.service import links, queries
from carrel.controller.service.loading import ACTIVE
from carrel.messages.job_requests import ActiveJobRequest, PostedJob
from carrel.messages.rap import RAP_ID_PATTERN, RapCreateRequest, RapStatusCode
from carrel.telemetry.faults import point
from carrel.units.pauses import pause_before_retry

logger = logging.getLogger(__name__)

CREATING_SECONDS = 20.0
"""After this long the next request's jobs are made in the next exchange, so that statuses are told in between."""
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 600.0
"""Seconds before a request is tried again whose repository (or whatever it needs) is away."""
LONGEST_IDENTIFIER = 100


@dataclass(frozen=True, slots=True)
class _Retry:
    reason: str
    tries: int
    due: float
    """By the monotonic clock."""


class Intake:
    """One backend's. What it remembers from one exchange to the next may be lost at any time."""

    def __init__(self, backend: str, may_go_on: Callable[[], None]) -> None:
        """`may_go_on()` is called before anything that takes long, and raises where another process has taken over."""
        self.backend = backend
        self.listed: list[str] = []
        """Requests of the last answer that are this backend's, the oldest first."""
        self.notes: dict[str, PostedJob] = {}
        """By request, the pseudo-job that says what no row says."""
        self._may_go_on = may_go_on
        self._retries: dict[str, _Retry] = {}
        self._first_seen: dict[str, str] = {}
        self._warned: frozenset[str] = frozenset()

    def take_in(self, active: ActiveJobRequests) -> bool:
        """Bring rows up to what the answer asks for; False when it stopped before every new request was tried."""
        requests = [request for request in reversed(active.requests) if request.backend == self.backend]
        refused = {bad.identifier: bad.problem for bad in active.malformed if bad.backend == self.backend}
        usable = []
        for request in requests:
            if re.fullmatch(RAP_ID_PATTERN, request.identifier):
                usable.append(request)
            else:
                refused[request.identifier] = "its identifier is not 16 lower case letters and digits"
        refused = {rap_id: problem for rap_id, problem in refused.items() if _may_be_named(rap_id)}
        self._warn_of_strangers(active)
        self.listed = [*refused, *(request.identifier for request in usable)]
        self.notes = {}
        for memory in (self._retries, self._first_seen):
            for rap_id in memory.keys() - set(self.listed):
                del memory[rap_id]
        for rap_id, problem in refused.items():
            self._refuse(rap_id, f"The request cannot be read: {problem}")
        known, new = self._by_what_is_here(usable)
        self._cancel(known)
        return self._create_all(new)

    def _warn_of_strangers(self, active: ActiveJobRequests) -> None:
        """Log what is wrong with the answer, each thing once for as long as it stays."""
        wrong = {f"Request {bad.identifier!r} cannot be read: {bad.problem}" for bad in active.malformed}
        wrong |= {
            f"Request {request.identifier!r} is for backend {request.backend!r}: not looked at"
            for request in active.requests
            if request.backend != self.backend
        }
        for sentence in sorted(wrong - self._warned):
            logger.warning("The job server's answer for backend %s: %s.", self.backend, sentence)
        self._warned = frozenset(wrong)

    def _by_what_is_here(
        self, requests: list[ActiveJobRequest]
    ) -> tuple[list[ActiveJobRequest], list[ActiveJobRequest]]:
        """`(known, new)`: those with jobs or another outcome here, and those without. An id taken by something else is
        refused, and in neither."""
        by_id = {request.identifier: request for request in requests}
        raps = queries.raps_by_id(by_id)
        known, new = [], []
        for rap_id, request in by_id.items():
            rap = raps.get(rap_id)
            if rap is None or (_is_the_same(rap, request) and rap.outcome == RapOutcome.PLANNING):
                new.append(request)
            elif _is_the_same(rap, request):
                known.append(request)
            else:
                self._refuse(rap_id, f"The identifier '{rap_id}' is taken by another request")
        ids = [request.identifier for request in known]
        if missing := set(ids) - links.remembered(self.backend, ids):
            links.remember(self.backend, missing)
        return known, new

    # -- cancelling

    def _cancel(self, requests: Iterable[ActiveJobRequest]) -> None:
        """Cancel what is cancelled and can still be; the rest of the list is history, or names no job."""
        cancelled = {request.identifier: set(request.cancelled_actions) for request in requests}
        named = [rap_id for rap_id, actions in cancelled.items() if actions]
        live = defaultdict(list)
        for part in queries.in_parts(named):
            rows = Job.objects.filter(rap_id__in=part, backend=self.backend, state__in=ACTIVE, cancelled=False)
            for rap_id, action in rows.values_list("rap_id", "action"):
                if action in cancelled[rap_id]:
                    live[rap_id].append(action)
        for rap_id, actions in live.items():
            try:
                service.cancel_actions(rap_id, actions, [self.backend])
                point("controller.link.cancelled")
            except DATABASE_AWAY:
                raise
            except Exception:
                logger.exception("Actions of request %s could not be cancelled; it is tried again.", rap_id)

    # -- creating

    def _create_all(self, requests: list[ActiveJobRequest]) -> bool:
        until = time.monotonic() + CREATING_SECONDS
        for request in requests:
            retry = self._retries.get(request.identifier)
            if retry:
                self._note(
                    request.identifier, RapStatusCode.CREATED, f"Not begun yet, it is tried again: {retry.reason}"
                )
            if retry and retry.due > time.monotonic():
                continue
            if time.monotonic() > until:
                return False
            self._may_go_on()
            self._create(request)
        return True

    def _create(self, request: ActiveJobRequest) -> None:
        rap_id = request.identifier
        if request.requested_actions and set(request.requested_actions) <= set(request.cancelled_actions):
            self._note(rap_id, RapStatusCode.CANCELLED_BY_USER, "Cancelled by user before it had any jobs")
            return
        try:
            body = create_body(request)
            check(body, RapCreateRequest)
            links.remember(self.backend, [rap_id])
            creation.create(RapCreateRequest.model_validate(body))
            point("controller.link.created")
        except DATABASE_AWAY:
            raise
        except service.InconsistentRap as error:
            links.forget(rap_id)
            self._refuse(rap_id, str(error))
        except (InvalidBody, creation.CreationError) as error:
            self._refuse(rap_id, str(error))
        except creation.CreationUnavailable as error:
            self._try_later(rap_id, str(error))
        except Exception:
            reference = secrets.token_hex(4)
            logger.exception("Jobs of request %s could not be made, reference %s.", rap_id, reference)
            self._try_later(rap_id, f"Unknown error (reference {reference})")
        else:
            self.notes.pop(rap_id, None)
            self._retries.pop(rap_id, None)
            self._cancel([request])

    # -- telling

    def _try_later(self, rap_id: str, reason: str) -> None:
        """A fault that is not the request's: it waits, and says so, for longer each time."""
        tries = self._retries[rap_id].tries + 1 if rap_id in self._retries else 0
        pause = pause_before_retry(tries + 1, FIRST_PAUSE, LONGEST_PAUSE)
        self._retries[rap_id] = _Retry(reason, tries, time.monotonic() + pause)
        logger.warning("Request %s waits %d s to be tried again: %s", rap_id, pause, reason)
        self._note(rap_id, RapStatusCode.CREATED, f"Not begun yet, it is tried again: {reason}")

    def _refuse(self, rap_id: str, message: str) -> None:
        self._note(rap_id, refusal_code(message), message)

    def _note(self, rap_id: str, code: RapStatusCode, message: str) -> None:
        """Tell this of the request, with the time at which it was first seen, so that it stays the same text."""
        seen_at = self._first_seen.setdefault(rap_id, str(shown_time(clock.now())))
        ended_at = None if code is RapStatusCode.CREATED else seen_at
        self.notes[rap_id] = pseudo_job(rap_id, code, message, seen_at, ended_at)


def create_body(request: ActiveJobRequest) -> dict[str, Any]:
    """The body of `rap/create/` that asks for the same."""
    values = request.model_dump(exclude={"identifier", "sha", "workspace", "cancelled_actions", "created_at"})
    workspace = request.workspace
    values |= {"rap_id": request.identifier, "commit": request.sha}
    return values | {"workspace": workspace.name, "repo_url": workspace.repo, "branch": workspace.branch}


def _is_the_same(rap: Rap, request: ActiveJobRequest) -> bool:
    """As far as the row can be read."""
    here = (rap.backend, rap.repo_url, rap.workspace, rap.commit)
    there = (request.backend, request.workspace.repo, request.workspace.name, request.sha)
    return all(ours is None or ours == theirs for ours, theirs in zip(here, there, strict=True))


def _may_be_named(identifier: str) -> bool:
    """It can stand in a message of ours, and in a look-up."""
    return 0 < len(identifier) <= LONGEST_IDENTIFIER and identifier.isprintable()
