"""Values that the tests of `carrel.jobs` start from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings

from carrel.jobs.models import ActiveJob, LatestJob, SchedulerInput
from carrel.jobs.statuses import STATUSES, State, StatusCode, state_of
from carrel.jobs.transitions import JobStatus

NOW = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
MAINTENANCE = "db-maintenance"


PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: how long an example takes says nothing on a machine that does other things too."""


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def active(name: str = "j1", code: StatusCode = StatusCode.CREATED, **changes: Any) -> ActiveJob:
    """An active job that nothing is wrong with, with the message that its code normally has."""
    values: dict[str, Any] = {
        "id": name,
        "backend": "north",
        "workspace": "w",
        "action": name,
        "state": state_of(code),
        "status_code": code,
        "status_message": STATUSES[code].message,
        "created_at": ago(600),
        "updated_at": ago(1),
    }
    if state_of(code) is State.RUNNING:
        values |= {"started_at": ago(100), "attempts": 1}
    return ActiveJob(**(values | changes))


def running(name: str = "j1", **changes: Any) -> ActiveJob:
    return active(name, StatusCode.EXECUTING, **({"agent_stage": "executing"} | changes))


def finished(name: str = "j1", results: dict[str, Any] | None = None, **changes: Any) -> ActiveJob:
    """A running job whose agent says that the attempt is complete; `results` over those of a success."""
    good = {"exit_code": "0", "error": False, "has_unmatched_patterns": False, "has_level4_excluded_files": False}
    return running(name, agent_complete=True, agent_results=good | (results or {}), **changes)


def given(*jobs: ActiveJob, **changes: Any) -> SchedulerInput:
    return SchedulerInput(backend="north", jobs=jobs, **changes)


def status(code: StatusCode = StatusCode.CREATED, **changes: Any) -> JobStatus:
    values: dict[str, Any] = {
        "state": state_of(code),
        "status_code": code,
        "status_message": STATUSES[code].message,
        "status_code_updated_at": ago(10),
        "updated_at": ago(10),
    }
    if state_of(code) is State.RUNNING:
        values["started_at"] = ago(20)
    return JobStatus(**(values | changes))


def latest(action: str, code: StatusCode = StatusCode.SUCCEEDED, **changes: Any) -> LatestJob:
    values: dict[str, Any] = {
        "id": f"job-of-{action}",
        "action": action,
        "state": state_of(code),
        "status_code": code,
        "created_at": ago(1000),
        "completed_at": ago(500),
        "commit": "abc1234def",
    }
    return LatestJob(**(values | changes))


@dataclass(frozen=True)
class Step:
    """An action as far as planning is concerned."""

    needs: list[str] = field(default_factory=list)
    is_database_action: bool = False


@dataclass(frozen=True)
class Steps:
    """A pipeline as far as planning is concerned."""

    actions: dict[str, Step]


def steps(**needs: list[str]) -> Steps:
    return Steps({name: Step(needed) for name, needed in needs.items()})
