"""The one door for statuses of jobs and requests: what controllers report becomes rows here and nowhere else."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from carrel.jobserver.models import Job, JobRequest, JobStatusChange
from carrel.jobserver.runs.derivation import (
    FAILED_BY_JOB,
    FINAL_JOB_STATUSES,
    FINAL_REQUEST_STATUSES,
    PENDING,
    derived_status,
    failed_by_cancelling,
    has_ended_by_jobs,
    is_superseded,
    job_outcome,
    status_when_jobs_are_unreadable,
)
from carrel.jobserver.runs.reported import ReportedJob, with_sample
from carrel.jobserver.service import cancellations, notifications
from carrel.jobserver.service.requests import lock_request, set_outcome
from carrel.messages.job_requests import ERROR_ACTION
from carrel.telemetry.faults import point
from carrel.units.limits import MAX_ACTIONS

logger = logging.getLogger(__name__)

MAX_STATUS_CHANGES = 500
"""Most steps of one job's timeline that are stored: what flaps for ever fills no table."""
NOT_ALL_READ = "The controller tells of jobs that cannot be stored: the log of the link says which and why"
_REPORTED_FIELDS = (
    "action",
    "run_command",
    "requires_db",
    "status",
    "status_code",
    "status_message",
    "updated_at",
    "started_at",
    "completed_at",
    "metrics",
    "trace_context",
)


@dataclass(frozen=True, slots=True)
class RecordedJobs:
    """What became of a report: jobs that were added or changed, deleted, and refused (with the reason)."""

    changed: int = 0
    deleted: int = 0
    refusals: tuple[str, ...] = ()


def record_jobs(
    request: JobRequest, jobs: Sequence[ReportedJob], *, complete: bool, some_unreadable: bool = False
) -> RecordedJobs:
    """Store what a controller says of a request's jobs, and the request's status that follows, in one transaction.

    The same report twice changes nothing, and one that is older than what is stored changes nothing. Where there are
    jobs, the request's status is always theirs; once all have ended, and it with them, none ends otherwise, comes or
    goes. A job of another request or backend is refused; the others are stored. The job `__error__` tells of the
    request itself. `complete`: the list holds all jobs of the request, so that those that are not in it are deleted
    (the older link). `some_unreadable`: the controller told of more jobs, which could not be read. Whatever a report
    holds that is not stored, by this or by a refusal, the request does not end by the rest.
    """
    report = {job.identifier: job for job in jobs[: MAX_ACTIONS + 1] if job.action != ERROR_ACTION}
    outcome = next((job for job in jobs if job.action == ERROR_ACTION), None)
    refusals = _refusals(request, report.values())
    for refusal in refusals.values():
        logger.warning("A job that was reported for request %s is refused: %s", request.identifier, refusal)
    report = {identifier: job for identifier, job in report.items() if identifier not in refusals}
    is_whole = not (some_unreadable or refusals or len(jobs) > MAX_ACTIONS + 1)
    # Most reports say nothing new: they are read without a lock, and cost no write.
    if not _is_news(request, report, complete, is_whole) and (
        outcome is None or request.status in FINAL_REQUEST_STATUSES
    ):
        return RecordedJobs(refusals=tuple(refusals.values()))
    with transaction.atomic():
        locked = lock_request(request.pk)
        stored = {job.identifier: job for job in locked.jobs.all()}
        has_ended = has_ended_by_jobs(locked.status, [job.status for job in stored.values()])
        report, surplus = _accepted(locked, stored, report, complete)
        changed = _store(locked, stored, report)
        if surplus:
            Job.objects.filter(pk__in=surplus).delete()
        point("jobserver.jobs.stored")
        _derive(locked, outcome, is_whole, has_ended)
        point("jobserver.jobs.derived")
    request.refresh_from_db(
        fields=["status", "status_message", "was_cancelled", "updated_at", "completed_at", "cancelled_actions"]
    )
    return RecordedJobs(changed, len(surplus), tuple(refusals.values()))


def _refusals(request: JobRequest, report: Iterable[ReportedJob]) -> dict[str, str]:
    """By identifier, why a job is not this request's."""
    by_identifier = {job.identifier: job for job in report}
    of_others = set(
        Job.objects.filter(identifier__in=by_identifier).exclude(request=request).values_list("identifier", flat=True)
    )
    refusals = {}
    for identifier, job in by_identifier.items():
        if job.request_identifier != request.identifier:
            refusals[identifier] = f"{identifier} names another request"
        elif job.backend not in ("", request.backend.slug):
            refusals[identifier] = f"{identifier} is of another backend"
        elif identifier in of_others:
            refusals[identifier] = f"{identifier} belongs to another request already"
    return refusals


def _accepted(
    request: JobRequest, stored: dict[str, Job], report: dict[str, ReportedJob], complete: bool
) -> tuple[dict[str, ReportedJob], list[int]]:
    """What of a report is stored, and the keys of the jobs that go by it."""
    if has_ended_by_jobs(request.status, [job.status for job in stored.values()]):
        late = {
            identifier
            for identifier, reported in report.items()
            if identifier not in stored or stored[identifier].status != reported.status
        }
        if late:
            logger.info("Request %s has ended: what is told of %d jobs is too late.", request.identifier, len(late))
        return {identifier: reported for identifier, reported in report.items() if identifier not in late}, []
    return report, [job.pk for identifier, job in stored.items() if identifier not in report] if complete else []


def _is_news(request: JobRequest, report: dict[str, ReportedJob], complete: bool, is_whole: bool) -> bool:
    stored = {job.identifier: job for job in request.jobs.all()}
    report, surplus = _accepted(request, stored, report, complete)
    if surplus:
        return True
    statuses = [job.status for job in stored.values()]
    if statuses and not has_ended_by_jobs(request.status, statuses) and _status(statuses, is_whole) != request.status:
        return True
    return any(
        identifier not in stored or _differs(stored[identifier], reported) for identifier, reported in report.items()
    )


def _status(statuses: Sequence[str], is_whole: bool) -> str:
    """The status of a request that has these jobs; not `is_whole`: there are more, of which nobody knows."""
    status = derived_status(PENDING, statuses)
    return status if is_whole else status_when_jobs_are_unreadable(status)


def _differs(job: Job, reported: ReportedJob) -> bool:
    if is_superseded(job.status, job.updated_at, reported.status, reported.updated_at, timezone.now()):
        return False
    return any(getattr(job, field) != _value(reported, field) for field in _REPORTED_FIELDS)


def _value(reported: ReportedJob, field: str) -> object:
    value = getattr(reported, field)
    return dict(value) if field in ("metrics", "trace_context") else value


def _store(request: JobRequest, stored: dict[str, Job], report: dict[str, ReportedJob]) -> int:
    """Add and change rows, and note each change of status code. Returns how many rows."""
    now = timezone.now()
    added, changed, moved = [], [], []
    for identifier, reported in report.items():
        job = stored.get(identifier)
        if job is not None and not _differs(job, reported):
            continue
        code_before = job.status_code if job else None
        if job is None:
            job = Job(
                identifier=identifier,
                request=request,
                workspace=request.workspace,
                backend=request.backend,
                created_at=reported.created_at or request.created_at,
            )
            added.append(job)
        else:
            changed.append(job)
        for field in _REPORTED_FIELDS:
            setattr(job, field, _value(reported, field))
        job.samples = with_sample(job.samples, reported, now)
        if job.status_code != code_before:
            moved.append(job)
    Job.objects.bulk_create(added)
    Job.objects.bulk_update(changed, (*_REPORTED_FIELDS, "samples"), batch_size=100)
    _note_changes(moved, now)
    return len(added) + len(changed)


def _note_changes(moved: list[Job], now: datetime) -> None:
    full = set(
        JobStatusChange.objects.filter(job__in=moved)
        .values("job")
        .annotate(count=Count("id"))
        .filter(count__gte=MAX_STATUS_CHANGES)
        .values_list("job", flat=True)
    )
    JobStatusChange.objects.bulk_create(
        JobStatusChange(
            job=job, status_code=job.status_code, status_message=job.status_message, at=job.updated_at or now
        )
        for job in moved
        if job.pk not in full or job.status in FINAL_JOB_STATUSES
    )


def _derive(request: JobRequest, outcome: ReportedJob | None, is_whole: bool, has_ended: bool) -> None:
    """Set the status that follows from the request's jobs, or from the pseudo-job that stands for them.

    `has_ended`: it had ended by its jobs before.
    """
    now = timezone.now()
    jobs = list(request.jobs.values_list("status", "status_code"))
    statuses = [status for status, _ in jobs]
    if outcome is not None and not statuses:
        if outcome.status in FINAL_JOB_STATUSES:
            set_outcome(request, "nothing_to_do" if outcome.status == "succeeded" else "failed", outcome.status_message)
        elif (PENDING, outcome.status_message) != (request.status, request.status_message):
            set_outcome(request, PENDING, outcome.status_message)
        return
    status = request.status if has_ended or not statuses else _status(statuses, is_whole)
    had_ended_without_jobs = request.status in FINAL_REQUEST_STATUSES and not has_ended
    if status != request.status or had_ended_without_jobs:
        request.status, request.completed_at = status, None
        request.status_message = {"failed": FAILED_BY_JOB, "unknown": NOT_ALL_READ}.get(status, "")
        if status in FINAL_REQUEST_STATUSES:
            ends = request.jobs.exclude(completed_at=None).order_by("-completed_at")
            request.completed_at = ends.values_list("completed_at", flat=True).first() or now
    outcomes = [job_outcome(*job) for job in jobs]
    request.was_cancelled = failed_by_cancelling(status, outcomes, request.cancelled_actions)
    if request.sent_at is None and statuses:
        request.sent_at = now
    request.updated_at, request.send_error = now, ""
    request.save(
        update_fields=[
            "status",
            "status_message",
            "was_cancelled",
            "completed_at",
            "sent_at",
            "updated_at",
            "send_error",
        ],
    )
    cancellations.apply_when_polled(request)
    notifications.tell_of(request.run)
