"""What reports of jobs come to: whether one is news, and the status of a request from its jobs. Pure."""

from collections.abc import Collection, Iterable
from datetime import datetime

from carrel.jobs.statuses import State, StatusCode

FINAL_JOB_STATUSES = frozenset({State.SUCCEEDED.value, State.FAILED.value})
PENDING, SUCCEEDED, FAILED, NOTHING_TO_DO = "pending", "succeeded", "failed", "nothing_to_do"
"""Statuses of a request, as plain texts (`RequestStatus` has them all)."""
FINAL_REQUEST_STATUSES = frozenset({SUCCEEDED, FAILED, NOTHING_TO_DO})
CANCELLED = "cancelled"
"""What has failed by the contract's statuses, and has not by ours: somebody cancelled it."""
FAILED_BY_JOB = "Failed due to job failure"


def derived_status(stored: str, job_statuses: Iterable[str]) -> str:
    """Return the status of a request by the contract's rules (job-server.md section 1, "Status derivation").

    A final one stays; without jobs it is what was stored; all alike: that; any running or pending: running; any
    failed: failed; anything else is unknown.
    """
    if stored in FINAL_REQUEST_STATUSES:
        return stored
    statuses = {status.lower() for status in job_statuses}
    if not statuses:
        return stored
    if len(statuses) == 1:
        (status,) = statuses
        return status if status in {state.value for state in State} else "unknown"
    for any_of, result in (
        ({State.RUNNING, State.PENDING}, State.RUNNING),
        ({State.FAILED}, State.FAILED),
    ):
        if statuses & any_of:
            return result.value
    return "unknown"


def job_outcome(status: str, status_code: str) -> str:
    """Return how a job stands for people: its status, or `cancelled`, which the contract counts as failed."""
    return CANCELLED if (status, status_code) == (State.FAILED, StatusCode.CANCELLED_BY_USER) else status


def failed_by_cancelling(status: str, job_outcomes: Collection[str], cancelled_actions: Collection[str]) -> bool:
    """Tell whether a request has failed only since somebody cancelled it: jobs of it, or all before there were any."""
    if status != FAILED:
        return False
    return FAILED not in job_outcomes if CANCELLED in job_outcomes else not job_outcomes and bool(cancelled_actions)


def has_ended_by_jobs(status: str, job_statuses: Collection[str]) -> bool:
    """Tell whether a request has ended as its jobs did: then no report changes how they ended, adds or removes one.

    One that ended without jobs (refused, withdrawn) follows those that its controller tells of nevertheless.
    """
    return status in FINAL_REQUEST_STATUSES and bool(job_statuses) and set(job_statuses) <= FINAL_JOB_STATUSES


def status_when_jobs_are_unreadable(status: str) -> str:
    """Return the status of a request of whose jobs some cannot be read: nobody knows then that it has ended."""
    return "unknown" if status in FINAL_REQUEST_STATUSES else status


def is_superseded(
    stored_status: str,
    stored_updated_at: datetime | None,
    status: str,
    updated_at: datetime | None,
    now: datetime,
) -> bool:
    """Tell whether a report is older than what is stored: reports may arrive late, twice and in any order.

    A job that has ended stays ended, and its end is believed whatever its time: a clock that was ahead and is put
    right must not leave a job running for ever. Otherwise the later of two times is the truth, and one that is still
    to come tells of no order.
    """
    has_ended = stored_status in FINAL_JOB_STATUSES
    if has_ended != (status in FINAL_JOB_STATUSES):
        return has_ended
    if stored_updated_at is None or updated_at is None or stored_updated_at > now:
        return False
    return updated_at < stored_updated_at
