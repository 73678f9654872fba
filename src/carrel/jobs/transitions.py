"""`transition()`: the new values of a job whose status changes (spec: controller.md section 3.1, set_code)."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from carrel.jobs.statuses import RESET_CODES, State, StatusCode, can_transition, is_final, state_of

HEARTBEAT_AFTER = timedelta(seconds=60)
"""An unchanged job's `updated_at` is written again when it is this old."""

_STEP = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidTransition(ValueError):
    """The table does not allow this change. A caller's bug: nothing may be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """The columns of a job that `transition()` reads and writes, under the names they have there."""

    state: State
    status_code: StatusCode
    status_message: str
    status_code_updated_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None


class Change(StrEnum):
    """What kind of write follows: nothing, `updated_at` alone, the message, or all of the status."""

    NONE = "none"
    HEARTBEAT = "heartbeat"
    MESSAGE = "message"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEvent:
    """One row of the event table: a job went from one code (or message) to another, at a time."""

    from_code: StatusCode
    to_code: StatusCode
    from_state: State
    to_state: State
    message: str
    at: datetime
    previous_at: datetime
    """When the code left had begun: start of its span in the job's trace."""
    clamped_seconds: float = 0.0
    """By how much the time given was moved, because it lay before the previous change or in the future."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What to write. `event` is None unless code or message changed."""

    change: Change
    status: JobStatus
    event: StatusEvent | None = None


def transition(
    job: JobStatus, code: StatusCode, message: str, at_ns: int | None = None, *, now: datetime
) -> Transition:
    """The job's values once it has this code and message.

    `at_ns`: when it happened by the agent's clock, nanoseconds since 1970; None: now. A time before the previous
    change becomes that plus 1 ms, and one in the future becomes now. `started_at` is set once, with the first running
    code, and forgotten by a reset code; `completed_at` is set by a final code, unless a cancel has set it already.
    An unchanged job has its `updated_at` moved on when that is 60 s old or more.

    Raises InvalidTransition when the table forbids the change, or when a final status would get another message.
    """
    if code is job.status_code:
        return _same_code(job, message, now)
    if not can_transition(job.status_code, code):
        raise InvalidTransition(f"A job cannot go from '{job.status_code}' to '{code}'.")
    at, clamped = _time_of_change(job.status_code_updated_at, at_ns, now)
    state = state_of(code)
    status = JobStatus(
        state=state,
        status_code=code,
        status_message=message,
        status_code_updated_at=at,
        updated_at=now,
        started_at=_started_at(job, code, state, at),
        completed_at=(job.completed_at or at) if is_final(code) else job.completed_at,
    )
    return Transition(Change.CODE, status, _event(job, status, at, clamped))


def failed_unread(message: str, *, now: datetime) -> JobStatus:
    """The status of a job that ends because nobody can tell what its own is: no table can judge such a change."""
    return JobStatus(
        state=State.FAILED,
        status_code=StatusCode.INTERNAL_ERROR,
        status_message=message,
        status_code_updated_at=now,
        updated_at=now,
        completed_at=now,
    )


def _same_code(job: JobStatus, message: str, now: datetime) -> Transition:
    if message != job.status_message:
        if is_final(job.status_code):
            raise InvalidTransition(f"A job that is '{job.status_code}' is finished: its message cannot change.")
        status = replace(job, status_message=message, updated_at=now)
        return Transition(Change.MESSAGE, status, _event(job, status, now, 0.0))
    if now - job.updated_at >= HEARTBEAT_AFTER and not is_final(job.status_code):
        return Transition(Change.HEARTBEAT, replace(job, updated_at=now))
    return Transition(Change.NONE, job)


def _time_of_change(previous: datetime, at_ns: int | None, now: datetime) -> tuple[datetime, float]:
    reported = now
    if at_ns is not None:
        with suppress(OverflowError):  # an agent's clock (or its unit) is nonsense: believe ours
            reported = _EPOCH + timedelta(microseconds=at_ns // 1000)
    at = min(reported, now)
    if at < previous:
        at = previous + _STEP
    return at, (at - reported).total_seconds()


def _started_at(job: JobStatus, code: StatusCode, state: State, at: datetime) -> datetime | None:
    if code in RESET_CODES:
        return None
    if state is State.RUNNING:
        return job.started_at or at
    return job.started_at


def _event(old: JobStatus, new: JobStatus, at: datetime, clamped: float) -> StatusEvent:
    return StatusEvent(
        from_code=old.status_code,
        to_code=new.status_code,
        from_state=old.state,
        to_state=new.state,
        message=new.status_message,
        at=at,
        previous_at=old.status_code_updated_at,
        clamped_seconds=clamped,
    )
