"""What `schedule()` says: a decision is one thing to do to one job."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from carrel.jobs.models import ActiveJob
from carrel.jobs.outcomes import reference_note
from carrel.jobs.retries import DEFAULT_POLICY, RetryPolicy, in_words
from carrel.jobs.statuses import STATUSES, State, StatusCode


class Effect(StrEnum):
    """What must happen in the same transaction as the change of status."""

    NONE = "none"
    START = "start"
    """Create the task of a new attempt."""
    STOP = "stop"
    """Make the attempt's task inactive and ask the agent to cancel it, if one is active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing to do to one job: `transition()` it to this code and message, with this effect.

    `not_before`: write it to the job with the change (None clears it). `missing_inputs_of`: actions whose latest
    job in this workspace and backend gets `outputs_missing`. `failed`: an infrastructure fault is behind this; add one
    to the job's `failed_attempts`. `fault`: an exception that deciding about this job raised; log it with `reference`.
    `too_late_to_cancel`: the job was asked to be cancelled when its outputs were being published; it counts as not
    cancelled.
    """

    job_id: str
    status_code: StatusCode
    message: str
    effect: Effect = Effect.NONE
    at_ns: int | None = None
    not_before: datetime | None = None
    missing_inputs_of: tuple[str, ...] = ()
    reference: str = ""
    failed: bool = False
    fault: Exception | None = None
    too_late_to_cancel: bool = False


def retry_decision(
    job: ActiveJob, cause: str, reference: str, now: datetime, policy: RetryPolicy = DEFAULT_POLICY
) -> Decision:
    """After an infrastructure fault ended the job's attempt: another one after a pause, or `job_error` after the last.

    `cause` in words, as `Outcome.fault`.
    """
    failed = job.failed_attempts + 1
    pause = policy.pause_after(failed)
    note = reference_note(reference)
    if pause is None:
        times = "once" if failed == 1 else f"{failed} times"
        message = f"{STATUSES[StatusCode.JOB_ERROR].message} It was tried {times}; the last time {cause}{note}."
        return Decision(
            job_id=job.id,
            status_code=StatusCode.JOB_ERROR,
            message=message,
            at_ns=job.agent_timestamp_ns,
            reference=reference,
            failed=True,
        )
    words = STATUSES[StatusCode.WAITING_ON_NEW_TASK].message.removesuffix(".")
    return Decision(
        job_id=job.id,
        status_code=StatusCode.WAITING_ON_NEW_TASK,
        message=f"{words}: {cause}{note}. {_next_attempt(failed, pause_words=in_words(pause), policy=policy)}",
        at_ns=job.agent_timestamp_ns,
        not_before=now + pause,
        reference=reference,
        failed=True,
    )


def fault_decision(job: ActiveJob, fault: Exception, now: datetime, policy: RetryPolicy = DEFAULT_POLICY) -> Decision:
    """What becomes of a job about which Carrel's own code raised (its image's digest could not be had, a bug).

    Three tries with growing pauses, then `internal_error` with a reference number. A running attempt is left alone
    until then: it is the looking at it that is tried again. The exception's text is not in the message.
    """
    failed = job.failed_attempts + 1
    pause = policy.pause_after(failed)
    if pause is None and job.may_publish:  # it may not be given up
        pause = timedelta(seconds=policy.pauses_seconds[-1])
    # Log and message share these eight characters; made of values, so that deciding stays a pure function.
    text = f"{job.id}\n{type(fault).__qualname__}\n{fault}\n{now.isoformat()}"
    reference = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:8]
    if pause is None:
        message = f"Internal error{reference_note(reference)}. Give the reference to those who run this installation."
        return Decision(
            job_id=job.id,
            status_code=StatusCode.INTERNAL_ERROR,
            message=message,
            effect=Effect.STOP,
            reference=reference,
            failed=True,
            fault=fault,
        )
    running = job.state is State.RUNNING
    of_how_many = "" if job.may_publish else f" of {policy.attempts}"
    tries = f"Try {failed + 1}{of_how_many} is in {in_words(pause)}."
    return Decision(
        job_id=job.id,
        status_code=job.status_code if running else StatusCode.WAITING_ON_NEW_TASK,
        message=f"Carrel met an error of its own with this job{reference_note(reference)}. "
        + (tries if running else _next_attempt(failed, pause_words=in_words(pause), policy=policy)),
        not_before=now + pause,
        reference=reference,
        failed=True,
        fault=fault,
    )


def _next_attempt(failed: int, *, pause_words: str, policy: RetryPolicy) -> str:
    return f"Attempt {failed + 1} of {policy.attempts} starts in {pause_words}."
