"""A job's status changes here and nowhere else: through the pure `transition()`, with its event."""

from datetime import datetime

from django.db import transaction

from carrel.controller.models import Job
from carrel.controller.service import events
from carrel.jobs.statuses import State, StatusCode, is_final
from carrel.jobs.transitions import Change, JobStatus, StatusEvent, Transition, transition
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
        _write(job, result)
    if result.event is not None:
        _record(job, result, actor)
    return result


def _write(job: Job, result: Transition) -> None:
    for column in STATUS_COLUMNS:
        setattr(job, column, getattr(result.status, column))
    job.save(update_fields=STATUS_COLUMNS)


def _record(job: Job, result: Transition, actor: str) -> None:
    event = result.event
    assert event is not None
    events.record(
        "job.status",
        actor,
        job=job,
        **{"from": str(event.from_code), "to": str(event.to_code), "state": str(event.to_state)},
        message=event.message,
        since=event.previous_at.isoformat(),
        happened_at=event.at.isoformat(),
    )
    if traces.is_on() and result.change is Change.CODE:
        transaction.on_commit(lambda: _trace(job, event))


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
