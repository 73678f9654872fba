"""One scheduling pass: rows to values, `schedule()`, decisions to rows. The same at every event and in the sweep.

Runs in a transaction of the caller's that holds the backend's lock. What goes wrong with one job is that job's problem:
its changes are rolled back to a savepoint and it gets a `fault_decision` instead; the others go on. A database that is
away is not one job's problem: the whole transaction fails, and the next event or the sweep does it again.
"""

import logging
import secrets
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from django.db import transaction

from carrel.controller import clock
from carrel.controller.models import Job
from carrel.controller.outages import DATABASE_AWAY
from carrel.controller.service import attempts, events, loading, queries
from carrel.controller.service.statuses import change_status, fail_unread
from carrel.jobs.models import ActiveJob
from carrel.jobs.schedule import Decision, Effect, fault_decision, has_read, next_wakeup, schedule
from carrel.jobs.statuses import STATUSES, State, StatusCode, is_final
from carrel.telemetry import traces
from carrel.telemetry.faults import point

logger = logging.getLogger(__name__)

_HAD_NOT_READ = frozenset({StatusCode.INITIATED, StatusCode.PREPARING})


def run(backend: str) -> datetime | None:
    """Do all that can be done now for one backend's jobs. Returns when time alone makes the next thing due."""
    while True:
        now = clock.now()
        with traces.span("LOOP", "loop", backend=backend):
            inp, unreadable = loading.load(backend)
            ended = _apply_all(schedule(inp, now), inp.jobs, now)
            _give_up_unreadable(unreadable, now)
        if not ended:
            return next_wakeup(inp, now)


def run_jobs(job_ids: Collection[str], backend: str) -> None:
    """Do what an agent's reports mean for these running jobs; for all others too when one has stopped running."""
    now = clock.now()
    inp, unreadable = loading.load(backend, only=job_ids)
    _apply_all(schedule(inp, now), inp.jobs, now)
    _give_up_unreadable(unreadable, now)
    still_running = Job.objects.filter(state=State.RUNNING.value)
    stopped = sum(still_running.filter(pk__in=part).count() for part in queries.in_parts(list(job_ids))) < len(job_ids)
    if stopped or _others_waited_for(inp.jobs, backend):
        run(backend)


def _others_waited_for(jobs: Iterable[ActiveJob], backend: str) -> bool:
    """Whether one of these jobs has just read outputs that a waiting job will replace."""
    readers = [job for job in jobs if job.reads and has_read(job) and job.status_code in _HAD_NOT_READ]
    waiting = Job.objects.filter(backend=backend, state=State.PENDING.value)
    return any(waiting.filter(workspace=job.workspace, action__in=list(job.reads)).exists() for job in readers)


def _apply_all(decisions: Iterable[Decision], jobs: Iterable[ActiveJob], now: datetime) -> bool:
    """True when a job ended or was stopped: that leaves room, and decides about those that wait for it."""
    by_id = {job.id: job for job in jobs}
    ended = False
    for decision, job in _with_rows(list(decisions)):
        with traces.span("LOOP_JOB", "loop", **{"job.id": decision.job_id, "job.final_code": decision.status_code}):
            applied = _apply_or_fault(decision, job, by_id[decision.job_id], now)
        ended |= applied and (is_final(decision.status_code) or decision.effect is Effect.STOP)
        point("controller.decision.applied")
    return ended


def _with_rows(decisions: list[Decision]) -> Iterator[tuple[Decision, Job | None]]:
    """Each decision with its job's row, one query for many; None where one of them cannot be read that way.

    The lock keeps the rows as they were read.
    """
    for start in range(0, len(decisions), queries.IDS_AT_ONCE):
        part = decisions[start : start + queries.IDS_AT_ONCE]
        jobs = _rows_of([decision.job_id for decision in part])
        for decision in part:
            yield decision, jobs.get(decision.job_id)


def _rows_of(job_ids: list[str]) -> dict[str, Job]:
    try:
        return Job.objects.select_related("rap").in_bulk(job_ids)
    except DATABASE_AWAY:
        raise
    except Exception:
        logger.warning("One of %d jobs cannot be read; they are read one by one.", len(job_ids), exc_info=True)
        return {}


def _apply_or_fault(decision: Decision, job: Job | None, active: ActiveJob, now: datetime) -> bool:
    try:
        with transaction.atomic():
            _apply(decision, job, now)
    except DATABASE_AWAY:
        raise
    except Exception as error:
        _apply_fault(active, error, now)
        return False
    return True


def _apply(decision: Decision, row: Job | None, now: datetime) -> None:
    job = row or Job.objects.select_related("rap").get(pk=decision.job_id)
    if decision.fault is not None:
        reference, fault = decision.reference, decision.fault
        logger.error("Job %s failed inside Carrel, reference %s.", job.id, reference, exc_info=fault)
        events.record("job.fault", events.SCHEDULER, job=job, reference=reference, exception=type(fault).__name__)
    _write_retry(job, decision)
    change_status(job, decision.status_code, decision.message, now=now, at_ns=decision.at_ns)
    point("controller.status.changed")
    if decision.effect is Effect.START:
        attempts.start(job)
    elif decision.effect is Effect.STOP:
        attempts.stop(job)
    if decision.too_late_to_cancel:
        job.cancelled = False  # its outputs are there: the next plan may reuse them
        job.save(update_fields=["cancelled"])
        events.record("job.cancel_too_late", events.SCHEDULER, job=job)
    for action in decision.missing_inputs_of:
        mark_outputs_missing(job, action)


def _write_retry(job: Job, decision: Decision) -> None:
    gave_up_attempt = job.state == State.RUNNING and decision.status_code is StatusCode.WAITING_ON_NEW_TASK
    if gave_up_attempt or decision.fault is not None:
        job.failed_attempts += 1
    elif job.not_before == decision.not_before:
        return
    job.not_before = decision.not_before
    job.save(update_fields=["failed_attempts", "not_before"])


def _apply_fault(active: ActiveJob, error: Exception, now: datetime) -> None:
    decision = fault_decision(active, error, now)
    try:
        with transaction.atomic():  # of the first try this row knows what was rolled back: read it again
            _apply(decision, None, now)
    except DATABASE_AWAY:
        raise
    except Exception as why:
        logger.exception("Job %s: its fault %s could not be written either.", active.id, decision.reference)
        _give_up_unreadable([loading.UnreadableRow(active.id, why)], now)


def _give_up_unreadable(rows: Iterable[loading.UnreadableRow], now: datetime) -> None:
    """A row that no value can be made of will not mend itself: it fails at once, with its reference.

    But not while the agent publishes its attempt: that ends first.
    """
    for row in rows:
        reference = secrets.token_hex(4)
        logger.error("Job %s cannot be read, reference %s.", row.job_id, reference, exc_info=row.error)
        try:
            with transaction.atomic():
                attempts.stop(Job.objects.only("id", "backend").get(pk=row.job_id))
                message = f"{STATUSES[StatusCode.INTERNAL_ERROR].message} (reference {reference})"
                job = fail_unread(row.job_id, message, now=now)
                kind = type(row.error).__name__
                events.record("job.fault", events.SCHEDULER, job=job, reference=reference, exception=kind)
        except DATABASE_AWAY:
            raise
        except Exception:
            logger.exception("Job %s could not be given up, reference %s.", row.job_id, reference)


def mark_outputs_missing(job: Job, action: str) -> None:
    """An output of this action that `job` needs is gone: its next plan runs the action again."""
    latest = queries.latest_jobs(job.backend, job.workspace, [action]).get(action)
    if latest is None or latest.outputs_missing or latest.id != job.input_job_ids.get(action, latest.id):
        return  # a later job has made them anew
    row = Job.objects.get(pk=latest.id)
    row.outputs_missing = True
    row.save(update_fields=["outputs_missing"])
    events.record("job.outputs_missing", events.AGENT, job=row, found_by=job.id)
