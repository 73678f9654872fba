"""A job's status changes here and nowhere else: through the pure `transition()`, with its event."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from carrel.controller.models import Job
from carrel.controller.service import events
from carrel.controller.service.queries import readable
from carrel.jobs.statuses import State, StatusCode, is_final
from carrel.jobs.transitions import Change, JobStatus, StatusEvent, Transition, failed_unread, transition
from carrel.telemetry import traces

STATUS_COLUMNS = (
    "state",
    "status_code",
    "status_message",
    "status_code_updated_at",
    "updated_at",
    "started_at",
    "completed_at",
)


def status_of(job: Job) -> JobStatus:
    """The columns that `transition()` works on."""
    return JobStatus(
        state=State(job.state),
        status_code=StatusCode(job.status_code),
        status_message=job.status_message,
        status_code_updated_at=job.status_code_updated_at,
        updated_at=job.updated_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
    )


def change_status(
    job: Job, code: StatusCode, message: str, *, now: datetime, at_ns: int | None = None, actor: str = events.SCHEDULER
) -> Transition:
    """Write the job's new status and its event. Call under the backend's lock, with a row read under it."""
    result = transition(status_of(job), code, message, at_ns, now=now)
    if result.change is not Change.NONE:
        _write(job, result.status, STATUS_COLUMNS)
    event = result.event
    if event is not None:
        _record(job, event.from_code, result.status, since=event.previous_at, at=event.at, actor=actor)
        if traces.is_on() and result.change is Change.CODE:
            transaction.on_commit(lambda: _trace(job, event))
    return result


def fail_unread(job_id: str, message: str, *, now: datetime) -> Job:
    """End a job whose status cannot be read, and write its event. Call under the backend's lock.

    No other column is read or written than must be: any of them may hold nonsense.
    """
    job = Job.objects.only("id", "rap_id", "backend").get(pk=job_id)
    codes, _ = readable(Job.objects.filter(pk=job_id).values_list("status_code", flat=True))
    status = failed_unread(message, now=now)
    _write(job, status, [column for column in STATUS_COLUMNS if column != "started_at"])
    from_code = codes[0] if codes and codes[0] in set(StatusCode) else "unreadable"
    _record(job, from_code, status, since=now, at=now, actor=events.SCHEDULER)
    return job


def _write(job: Job, status: JobStatus, columns: Sequence[str]) -> None:
    for column in columns:
        setattr(job, column, getattr(status, column))
    job.save(update_fields=columns)


def _record(job: Job, from_code: str, status: JobStatus, *, since: datetime, at: datetime, actor: str) -> None:
    events.record(
        "job.status",
        actor,
        job=job,
        **{"from": str(from_code), "to": str(status.status_code), "state": str(status.state)},
        message=status.status_message,
        since=since.isoformat(),
        happened_at=at.isoformat(),
    )


def _trace(job: Job, event: StatusEvent) -> None:
    traces.job_moved(
        job.trace_context.get("traceparent", ""),
        event.from_code.name,
        event.to_code.value,
        event.previous_at,
        event.at,
        job.created_at,
        final=is_final(event.to_code),
        attributes={
            "rap.backend": job.backend,
            "job.id": job.id,
            "job.request": job.rap_id,
            "job.workspace": job.workspace,
            "job.action": job.action,
            "job.commit": job.commit,
            "job.requires_db": job.requires_db,
            "job.initial_code": event.from_code.value,
            "job.final_code": event.to_code.value,
            "job.message": event.message,
        },
    )
