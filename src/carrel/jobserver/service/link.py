"""The link to controllers that we ask: requests and cancellations go out, statuses of jobs and backends come in.

Everything is in rows before it is sent, and marked once it is answered; sending again changes nothing at the
controller. So a process may be killed anywhere: nothing is lost, and nothing is done twice. Each step below is one
thing of one request; `link_process` says when, and sees to it that one process at a time does it.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from carrel.clients.rap import RapClient, RapError, RapRefused, RapUnreadable
from carrel.jobserver.models import Backend, Cancellation, Job, JobRequest
from carrel.jobserver.models.runs import ACTIVE_STATUSES
from carrel.jobserver.queries.refusals import refusals_since
from carrel.jobserver.runs.derivation import FAILED, FINAL_REQUEST_STATUSES, NOTHING_TO_DO, PENDING
from carrel.jobserver.runs.reported import ReportedJob, storable_text
from carrel.jobserver.runs.sending import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, RequestToSend
from carrel.jobserver.service import backend_states, link_health
from carrel.jobserver.service.cancellations import CANCELLED_BEFORE_SENT, active_actions
from carrel.jobserver.service.jobs import record_jobs
from carrel.jobserver.service.requests import lock_request, set_outcome
from carrel.messages.rap import CreateResult, RapCreateRequest, RapJobStatuses
from carrel.telemetry.faults import point
from carrel.units.limits import MAX_MESSAGE
from carrel.units.pauses import pause_before_retry

logger = logging.getLogger(__name__)

BATCH = 50
"""Requests asked for in one call."""
MAX_POLLED = 1000
"""Most requests asked for in one round; the next round goes on after them."""
MAX_DUE = 100
"""Most requests or cancellations looked at in one go."""
NOT_CREATED = "Unknown error creating jobs"
UNTOLD_ERROR = "Unknown error"
"""OpenSAFELY's controller says so also when two calls for one request met: then its jobs do exist."""


def requests_of(controller: str) -> Q:
    """Return the condition that a request goes to this controller by our asking."""
    return Q(backend__link=Backend.LinkKind.RAP, backend__controller=controller)


# -- requests out


def due_requests(controller: str) -> list[int]:
    """Return the requests that wait to be sent now, the oldest first."""
    now = timezone.now()
    pending = JobRequest.objects.filter(requests_of(controller), sent_at=None, status__in=ACTIVE_STATUSES)
    due = pending.filter(Q(send_after=None) | Q(send_after__lte=now))
    return list(due.order_by("id").values_list("pk", flat=True)[:MAX_DUE])


def send_request(request_pk: int, client: RapClient) -> None:
    """Send one request that is stored, and mark it by the controller's answer. Any number of times is as once."""
    request = _claim(request_pk)
    if request is None:
        return
    controller = request.backend.controller
    point("jobserver.request.claimed")
    if refusal := refusals_since([request]).get(request.pk):
        _withdraw(request, client, refusal)
        return
    try:
        message = _message(request)
    except ValueError as error:
        logger.exception("Request %s cannot be put into a message.", request.identifier)
        _mark(request.pk, FAILED, f"It cannot be sent to {request.backend.name}: {_first_line(error)}")
        return
    try:
        answer = client.create(message)
    except RapRefused as error:
        link_health.note_refusal(controller, error)
        _refuse(request, client, error)
    except RapError as error:
        _retry_later(request, link_health.note_failure(controller, error))
    else:
        link_health.note_answer(controller)
        point("jobserver.request.answered")
        nothing = answer.result is CreateResult.NOTHING_TO_DO or answer.count == 0
        _mark(
            request.pk,
            *((NOTHING_TO_DO, answer.details) if nothing else (PENDING, "")),
        )
        point("jobserver.request.marked")


def _claim(request_pk: int) -> JobRequest | None:
    """Count the attempt before it is made; None when there is nothing to send any more."""
    with transaction.atomic():
        request = lock_request(request_pk)
        if request.sent_at is not None or request.status in FINAL_REQUEST_STATUSES:
            return None
        if request.send_attempts == 0 and request.cancellations.filter(sent_at=None, actions=[]).exists():
            set_outcome(request, FAILED, CANCELLED_BEFORE_SENT)
            return None
        request.send_attempts += 1
        request.send_after = _next_try(request.send_attempts)
        request.save(update_fields=["send_attempts", "send_after"])
    return request


def _withdraw(request: JobRequest, client: RapClient, why: str) -> None:
    """Send it no more, unless an answer was lost and the controller has it: then its jobs are told as ever."""
    if request.send_attempts > 1:
        try:
            unknown = client.job_statuses([request.identifier]).unrecognised_rap_ids
        except RapError as error:
            _retry_later(request, link_health.note_failure(request.backend.controller, error))
            return
        if request.identifier not in unknown:
            _mark(request.pk, PENDING, "")
            return
    _mark(request.pk, FAILED, why)


def _message(request: JobRequest) -> RapCreateRequest:
    run, workspace = request.run, request.workspace
    return RequestToSend(
        identifier=request.identifier,
        backend=request.backend.slug,
        workspace=workspace.name,
        repo_url=workspace.repo_url,
        branch=run.branch,
        commit=run.commit,
        database_name=run.database_name,
        requested_actions=tuple(request.requested_actions),
        codelists_ok=run.codelists_ok,
        force_run_dependencies=request.force_run_dependencies,
        created_by=request.created_by.username,
        project=workspace.project.slug,
        organisations=tuple(
            workspace.project.collaborations.order_by("-is_lead").values_list("organisation__slug", flat=True)
        ),
        permissions=tuple(workspace.project.data_permissions.values_list("kind", "name")),
    ).message()


def _next_try(attempts: int) -> datetime:
    chance = random.random()  # noqa: S311 (no secret)
    pause = pause_before_retry(attempts, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, chance)
    return timezone.now() + timedelta(seconds=pause)


def _refuse(request: JobRequest, client: RapClient, error: RapRefused) -> None:
    """The controller answered no: for ever (400), or because of us, which somebody can mend."""
    if error.status != 400:
        words = link_health.words_of_refusal(request.backend.name, error)
        _retry_later(request, words)
        return
    if request.send_attempts > 1 and error.details.startswith(UNTOLD_ERROR):
        try:
            unknown = client.job_statuses([request.identifier]).unrecognised_rap_ids
        except RapError:
            return
        if request.identifier not in unknown:
            _mark(request.pk, PENDING, "")
            return
    _mark(request.pk, FAILED, error.details or str(error))


def _mark(request_pk: int, status: str, message: str) -> None:
    with transaction.atomic():
        request = lock_request(request_pk)
        if request.sent_at is None:
            request.sent_at = timezone.now()
            request.send_error = ""
            request.save(update_fields=["sent_at", "send_error"])
            set_outcome(request, status, message)


def _retry_later(request: JobRequest, words: str) -> None:
    """Say why it waits; when it is sent again was settled before it was tried."""
    JobRequest.objects.filter(pk=request.pk, sent_at=None).update(
        send_error=storable_text(words.replace("{backend}", request.backend.name), MAX_MESSAGE)
    )


# -- cancellations out


def due_cancellations(controller: str) -> list[int]:
    """Return the cancellations that can be sent now: of requests that the controller has.

    Those of "all" are sent once there are jobs to name. Until then they are not looked at: each look would ask the
    controller for news at once, over and over, and they would stand in others' way.
    """
    now = timezone.now()
    of_controller = Q(request__backend__link=Backend.LinkKind.RAP, request__backend__controller=controller)
    has_jobs = Exists(Job.objects.filter(request=OuterRef("request")))
    can_be_named = ~Q(actions=[]) | has_jobs | Q(request__status__in=FINAL_REQUEST_STATUSES)
    pending = Cancellation.objects.filter(of_controller, can_be_named, sent_at=None, request__sent_at__isnull=False)
    due = pending.filter(Q(send_after=None) | Q(send_after__lte=now))
    return list(due.order_by("id").values_list("pk", flat=True)[:MAX_DUE])


def send_cancellation(cancellation_pk: int, client: RapClient) -> None:
    """Send one cancellation, and mark it by the controller's answer. Any number of times is as once.

    One for "all" waits until the request's jobs are known, or until it has ended.
    """
    cancellation = Cancellation.objects.select_related("request__backend").get(pk=cancellation_pk)
    request = cancellation.request
    if cancellation.sent_at is not None:
        return
    actions = cancellation.actions or active_actions(request)
    if not actions:
        has_ended = request.status in FINAL_REQUEST_STATUSES or request.jobs.exists()
        _mark_cancellation(cancellation, [], "It had ended before it could be cancelled") if has_ended else None
        return
    attempts = cancellation.send_attempts + 1
    again = _next_try(attempts)
    Cancellation.objects.filter(pk=cancellation.pk).update(send_attempts=attempts, send_after=again)
    point("jobserver.cancellation.claimed")
    controller = request.backend.controller
    try:
        accepted, words = _cancel(client, request.identifier, actions)
    except RapRefused as error:
        link_health.note_refusal(controller, error)
        if error.status == 400:
            _mark_cancellation(cancellation, [], str(error))
    except RapError as error:
        link_health.note_failure(controller, error)
    else:
        link_health.note_answer(controller)
        point("jobserver.cancellation.answered")
        _mark_cancellation(cancellation, accepted, words)
        point("jobserver.cancellation.marked")


def _cancel(client: RapClient, rap_id: str, actions: list[str]) -> tuple[list[str], str]:
    """Return which actions the controller cancels, and its words. It takes all or none, so what it does not know of is
    found out one by one. Raises RapRefused (but for 404) and RapUnavailable."""
    try:
        return actions, client.cancel(rap_id, actions).details
    except RapRefused as error:
        if error.status != 404:
            raise
        if len(actions) == 1:
            return [], error.details
    results = [_cancel(client, rap_id, [action]) for action in actions]
    accepted = [action for done, _ in results for action in done]
    return accepted, "; ".join(dict.fromkeys(words for _, words in results))


def _mark_cancellation(cancellation: Cancellation, accepted: Sequence[str], words: str) -> None:
    with transaction.atomic():
        request = lock_request(cancellation.request_id)
        request.cancelled_actions = list(dict.fromkeys([*request.cancelled_actions, *accepted]))
        request.save(update_fields=["cancelled_actions"])
        Cancellation.objects.filter(pk=cancellation.pk).update(
            sent_at=timezone.now(), outcome=storable_text(words, MAX_MESSAGE)
        )


# -- statuses in


def poll_requests(controller: str, client: RapClient, after: int = 0) -> int:
    """Ask how the jobs of active requests are, and store it: each request by itself.

    Begins after the request with the key `after`; returns where to go on, 0 when all were asked for.
    """
    active = JobRequest.objects.filter(requests_of(controller), status__in=ACTIVE_STATUSES, sent_at__isnull=False)
    requests = list(active.filter(pk__gt=after).select_related("backend").order_by("pk")[:MAX_POLLED])
    for start in range(0, len(requests), BATCH):
        batch = {request.identifier: request for request in requests[start : start + BATCH]}
        try:
            answer = _job_statuses(client, list(batch))
        except RapRefused as error:
            link_health.note_refusal(controller, error)
            return after
        except RapError as error:
            link_health.note_failure(controller, error)
            return after
        link_health.note_answer(controller)
        store_statuses(batch, answer)
    return requests[-1].pk if len(requests) == MAX_POLLED else 0


def _job_statuses(client: RapClient, rap_ids: list[str]) -> RapJobStatuses:
    """Ask for all; when the answer cannot be read, or is too long, for the halves, down to one request.

    One that cannot be read even alone is left out, with a line in the log. Raises RapRefused, RapUnavailable.
    """
    try:
        return client.job_statuses(rap_ids)
    except RapUnreadable as error:
        if not error.less_may_work:
            raise
        if len(rap_ids) == 1:
            logger.warning("What a controller says of request %s cannot be read: %s", rap_ids[0], error)
            return RapJobStatuses(jobs=[])
    middle = len(rap_ids) // 2
    one, other = _job_statuses(client, rap_ids[:middle]), _job_statuses(client, rap_ids[middle:])
    return RapJobStatuses(
        jobs=[*one.jobs, *other.jobs],
        unrecognised_rap_ids=[*one.unrecognised_rap_ids, *other.unrecognised_rap_ids],
    )


def store_statuses(requests: Mapping[str, JobRequest], answer: RapJobStatuses) -> None:
    """Store what the answer says of these requests (by identifier). What is wrong with one stops no other."""
    jobs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for job in answer.jobs:
        jobs[str(job.get("rap_id"))].append(job)
    unrecognised = set(answer.unrecognised_rap_ids)
    for identifier, request in requests.items():
        try:
            if identifier in unrecognised and identifier not in jobs:
                _note_unrecognised(request)
            else:
                readable = _readable(jobs[identifier])
                some_unreadable = len(readable) < len(jobs[identifier])
                record_jobs(request, readable, complete=False, some_unreadable=some_unreadable)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("What the controller says of request %s cannot be stored; the others are.", identifier)
        point("jobserver.poll.stored")


def _readable(jobs: Sequence[Mapping[str, Any]]) -> list[ReportedJob]:
    reports = []
    for job in jobs:
        try:
            reports.append(ReportedJob.from_rap(job))
        except ValueError as error:
            logger.warning("A job of request %.40s is left out: %s", job.get("rap_id"), _first_line(error))
    return reports


def _note_unrecognised(request: JobRequest) -> None:
    """The controller took the request and knows nothing of it: without jobs it has failed, as the contract has it.

    With jobs it stays, since they may be known again (a token that was changed, a database that comes back).
    """
    with transaction.atomic():
        locked = lock_request(request.pk)
        if locked.jobs.exists():
            words = f"The controller of {locked.backend.name} no longer knows of this. Tell those who run the backend."
            JobRequest.objects.filter(~Q(send_error=words), pk=locked.pk).update(send_error=words)
        else:
            set_outcome(locked, FAILED, NOT_CREATED)


# -- backends in


def poll_backends(controller: str, client: RapClient) -> None:
    """Ask how the backends are, and store it: each backend by itself."""
    try:
        states = client.backend_states().backends
    except RapRefused as error:
        link_health.note_refusal(controller, error)
        backend_states.note_silence(controller)
    except RapError as error:
        link_health.note_failure(controller, error)
        backend_states.note_silence(controller)
    else:
        link_health.note_answer(controller)
        backend_states.record_states(controller, states)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
