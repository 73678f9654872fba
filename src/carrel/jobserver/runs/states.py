"""How the latest job of an action stands on one backend, as a value. Pure."""

from dataclasses import dataclass
from datetime import datetime

from carrel.jobs.models import LatestJob
from carrel.jobs.statuses import State, StatusCode
from carrel.jobserver.runs.derivation import job_outcome

_CODE_OF_STATE = {
    State.PENDING: StatusCode.CREATED,
    State.RUNNING: StatusCode.EXECUTING,
    State.SUCCEEDED: StatusCode.SUCCEEDED,
    State.FAILED: StatusCode.JOB_ERROR,
}

Cell = tuple[str, str]
"""Slug of the backend, and action: a job of one backend is never looked for without its backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionState:
    """The latest job of one action on one backend; `commit` is its run's."""

    backend: str
    action: str
    identifier: str
    rap_id: str
    run_id: int
    status: str
    status_code: str
    status_message: str
    run_command: str
    commit: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    is_being_cancelled: bool = False
    """The controller has accepted to cancel it, and it has not ended yet."""

    @property
    def outcome(self) -> str:
        """Its status as people are told of it."""
        return job_outcome(self.status, self.status_code)

    @property
    def counts(self) -> bool:
        """Whether planning looks at it: cancelled jobs do not count."""
        return not self.is_being_cancelled and self.status_code != StatusCode.CANCELLED_BY_USER

    def as_latest(self) -> LatestJob | None:
        """Return this as planning takes it; None where its status makes no sense, which then counts as no job."""
        try:
            state = State(self.status)
        except ValueError:
            return None
        try:
            code = StatusCode(self.status_code)
        except ValueError:  # an older controller, or a newer one
            code = _CODE_OF_STATE[state]
        return LatestJob(
            id=self.identifier,
            action=self.action,
            state=state,
            status_code=code,
            created_at=self.created_at,
            completed_at=self.completed_at,
            commit=self.commit,
        )
