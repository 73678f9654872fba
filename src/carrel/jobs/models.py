"""Values that planning and scheduling work on. Frozen; times are timezone-aware UTC datetimes."""

from dataclasses import dataclass, field
from datetime import datetime

from carrel.jobs.statuses import State, StatusCode


@dataclass(frozen=True, slots=True)
class LatestJob:
    """The latest not cancelled job of one action in one (workspace, backend): what `plan()` looks at."""

    id: str
    action: str
    state: State
    status_code: StatusCode
    created_at: datetime
    completed_at: datetime | None = None
    commit: str = ""
    outputs_missing: bool = False
    """An agent (or the local run) found an output of this job gone: it counts as never having run."""


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A pending or running job as `schedule()` sees it."""

    id: str
    backend: str
    workspace: str
    action: str
    state: State
    status_code: StatusCode
    created_at: datetime
    requires_db: bool = False
    weight: float = 1.0
    wait_for: tuple[str, ...] = ()
    cancelled: bool = False
    attempts: int = 0
    """Attempts made so far (tasks created)."""
    not_before: datetime | None = None
    """Earliest time of the next attempt (retry pause)."""
    started_at: datetime | None = None
    timeout_seconds: float | None = None
    lease_expires_at: datetime | None = None
    agent_stage: str | None = None
    agent_complete: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room of one backend: sums of weights that may run at once, in two independent pools."""

    max_workers: float
    max_db_workers: float


@dataclass(frozen=True, slots=True)
class BackendFlags:
    paused: bool = False
    mode: str = ""
    """"" or "db-maintenance"."""


@dataclass(frozen=True, slots=True)
class SchedulerInput:
    """All that one scheduling pass over one backend looks at."""

    backend: str
    jobs: tuple[ActiveJob, ...]
    dependency_states: dict[str, State] = field(default_factory=dict)
    """State of every job named in some `wait_for` (missing ids are ignored)."""
    capacity: Capacity = Capacity(10, 10)
    flags: BackendFlags = BackendFlags()
