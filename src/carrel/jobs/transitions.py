"""`transition()`: the new values of a job whose status changes (spec: controller.md section 3.1, set_code)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from carrel.jobs.statuses import State, StatusCode


class InvalidTransition(ValueError):
    """The table does not allow this change. A caller's bug: nothing may be written."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """One row of the event table: a job went from one code (or message) to another, at a time."""

    from_code: StatusCode
    to_code: StatusCode
    from_state: State
    to_state: State
    message: str
    at: datetime
    left_at: datetime
    """When the code now left had begun: start of its span in the job's trace."""
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

    `at_ns`: when it happened by the agent's clock, nanoseconds since 1970; None: now. A time that is not after the
    previous change becomes that plus 1 ms, and one in the future becomes now. `started_at` is set once, with the first
    running code, and forgotten by a reset code; `completed_at` is set by a final code unless a cancel has set it already.
    An unchanged job has its `updated_at` moved on when that is 60 s old or more.

    Raises InvalidTransition when the table forbids the change; a final status with another message included.
    """
    raise NotImplementedError
