"""`schedule()`: what to do now with the active jobs of one backend (spec: controller.md part 1 and section 3.2).

Pure: the caller reads the rows, applies the decisions through its one write door, and calls again at the next event or
at `next_wakeup()`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from carrel.jobs.models import ActiveJob, SchedulerInput
from carrel.jobs.retries import RetryPolicy
from carrel.jobs.statuses import StatusCode


class Effect(StrEnum):
    """What must happen in the same transaction as the change of status."""

    NONE = "none"
    START = "start"
    """Create the task of a new attempt."""
    STOP = "stop"
    """Make the attempt's task inactive and ask the agent to cancel it, if one is active."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing to do to one job: `transition()` it to this code and message, with this effect.

    `not_before`: write it to the job with the change (None clears it). `missing_inputs_of`: actions whose latest
    job in this workspace and backend gets `outputs_missing`. `fault`: an exception that deciding about this job raised;
    log it with `reference`.
    """

    job_id: str
    status_code: StatusCode
    message: str
    effect: Effect = Effect.NONE
    at_ns: int | None = None
    not_before: datetime | None = None
    missing_inputs_of: tuple[str, ...] = ()
    reference: str = ""
    fault: Exception | None = None


def schedule(inp: SchedulerInput, now: datetime) -> list[Decision]:
    """At most one decision per job, only for jobs that something changes for (or whose `updated_at` is 60 s old).

    Decisions are in the order in which the jobs were handled; apply them in that order. An exception about one job becomes
    that job's decision, and never stops the others.
    """
    raise NotImplementedError


def fault_decision(job: ActiveJob, fault: Exception, now: datetime, policy: RetryPolicy = RetryPolicy()) -> Decision:
    """What becomes of a job about which the caller's own code raised (its image's digest could not be had, a bug).

    Three tries with growing pauses, then `internal_error` with a reference number. The exception's text is not in the
    message. Count the fault in the job's `failed_attempts` the next time.
    """
    raise NotImplementedError


def next_wakeup(inp: SchedulerInput, now: datetime) -> datetime | None:
    """When time alone makes something due (a retry's pause over, a timeout, a lease's end); None: nothing does."""
    raise NotImplementedError
