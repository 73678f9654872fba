"""Values that planning and scheduling work on. Frozen; times are timezone-aware UTC datetimes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from carrel.jobs.retries import DEFAULT_POLICY, RetryPolicy
from carrel.jobs.statuses import State, StatusCode


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveJob:
    """A pending or running job as `schedule()` sees it. `agent_*` are of its latest attempt (task)."""

    id: str
    backend: str
    workspace: str
    action: str
    state: State
    status_code: StatusCode
    created_at: datetime
    status_message: str = ""
    updated_at: datetime | None = None
    requires_db: bool = False
    weight: float = 1.0
    wait_for: tuple[str, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    """By needed action, the job whose outputs it reads."""
    cancelled: bool = False
    attempts: int = 0
    """Attempts made so far (tasks created), whatever ended them."""
    failed_attempts: int = 0
    """How often an infrastructure fault has ended an attempt, or kept one from starting, before the attempt of now."""
    not_before: datetime | None = None
    """Earliest time of the next attempt (retry pause)."""
    started_at: datetime | None = None
    timeout_seconds: float | None = None
    lease_expires_at: datetime | None = None
    """When the running attempt's lease ends; None for agents that know no leases."""
    agent_stage: str | None = None
    agent_complete: bool = False
    agent_results: Mapping[str, Any] | None = None
    agent_timestamp_ns: int | None = None
    may_publish: bool = False
    """The agent has the word to publish the running attempt: only its last report ends it."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room of one backend: sums of weights that may run at once, in two independent pools."""

    max_workers: float
    max_db_workers: float

    def limit(self, requires_db: bool) -> float:
        return self.max_db_workers if requires_db else self.max_workers


@dataclass(frozen=True, slots=True)
class BackendFlags:
    paused: bool = False
    mode: str = ""
    """"" or "db-maintenance"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerInput:
    """All that one scheduling pass over one backend looks at."""

    backend: str
    jobs: tuple[ActiveJob, ...]
    """In the order in which they were created: that order decides between equal jobs."""
    dependency_states: Mapping[str, State] = field(default_factory=dict)
    """State of the jobs named in some `wait_for`, at least of those not in `jobs` (ids in neither are ignored)."""
    capacity: Capacity = Capacity(10, 10)
    flags: BackendFlags = BackendFlags()
    retries: RetryPolicy = DEFAULT_POLICY
