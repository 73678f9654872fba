"""What reports of jobs come to: whether one is news, and the status of a request from its jobs. Pure."""

from collections.abc import Iterable
from datetime import datetime

from carrel.jobs.statuses import State

FINAL_JOB_STATUSES = frozenset({State.SUCCEEDED.value, State.FAILED.value})
PENDING, SUCCEEDED, FAILED, NOTHING_TO_DO = "pending", "succeeded", "failed", "nothing_to_do"
"""Statuses of a request, as plain texts (`RequestStatus` has them all)."""
FINAL_REQUEST_STATUSES = frozenset({SUCCEEDED, FAILED, NOTHING_TO_DO})
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


def is_superseded(
    stored_status: str, stored_updated_at: datetime | None, status: str, updated_at: datetime | None
) -> bool:
    """Tell whether a report is older than what is stored: reports may arrive late, twice and in any order.

    A job that has ended stays ended, and of two times the later one is the truth.
    """
    if stored_status in FINAL_JOB_STATUSES and status not in FINAL_JOB_STATUSES:
        return True
    return stored_updated_at is not None and updated_at is not None and updated_at < stored_updated_at
