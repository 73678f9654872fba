"""`plan()`: what to run, what to reuse, what to wait for, and why (spec: controller.md section 3.3).

The same function serves the controller, the local run and the preview on the run page. It reads a pipeline that is
already projected on one backend, and the latest not cancelled job of each action there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from carrel.jobs.models import Capacity, LatestJob

RUN_ALL = "run_all"


class PlannedAction(Protocol):
    """What planning reads of an action; `carrel.project`'s Action fits."""

    @property
    def needs(self) -> Sequence[str]: ...

    @property
    def is_database_action(self) -> bool: ...


class PlannedPipeline(Protocol):
    """What planning reads of a pipeline; `carrel.project`'s Pipeline fits once projected on a backend."""

    @property
    def actions(self) -> Mapping[str, PlannedAction]: ...


class PlanError(ValueError):
    """The request cannot be planned: a user's error. The first line is the contract's message."""


class NoActionsRequested(PlanError):
    pass


class UnknownAction(PlanError):
    """`name` is not in the file; `known` are those that are, in file order; `suggestion` the nearest one."""

    name: str
    known: tuple[str, ...]
    suggestion: str | None


class CyclicNeeds(PlanError):
    pass


class StaleCodelists(PlanError):
    """`action`: the first new job that reads the database."""

    action: str


class TooHeavy(PlanError):
    """A job is heavier than the pool it would run in, and would wait for ever."""


class Reason(StrEnum):
    """Why an action runs."""

    REQUESTED = "requested"
    FORCED = "forced"
    NEVER_RAN = "never_ran"
    LAST_FAILED = "last_failed"
    OUTPUTS_MISSING = "outputs_missing"


@dataclass(frozen=True, slots=True)
class Run:
    """A new job. `wait_for_new` names actions that run in this same plan; `wait_for_jobs` ids of jobs already active."""

    action: str
    reason: Reason
    requires_db: bool = False
    previous: LatestJob | None = None
    wait_for_new: tuple[str, ...] = ()
    wait_for_jobs: tuple[str, ...] = ()

    def words(self, today: date | None = None) -> str:
        """ "will run: last run failed"."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Reuse:
    """The action has succeeded before, and its outputs are used. `since`: when it completed."""

    action: str
    job: LatestJob

    @property
    def since(self) -> datetime:
        return self.job.completed_at or self.job.created_at

    def words(self, today: date | None = None) -> str:
        """ "reused: succeeded on 3 May 2026, commit abc1234"; the year is left out when it is that of `today`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class WaitFor:
    """The action is pending or running already."""

    action: str
    job: LatestJob

    def words(self, today: date | None = None) -> str:
        raise NotImplementedError


Entry = Run | Reuse | WaitFor


class NothingToDo(StrEnum):
    """The contract's two messages when no job is made."""

    ALL_SUCCEEDED = "All actions have already completed successfully"
    ALL_SCHEDULED = "All requested actions were already scheduled to run"


@dataclass(frozen=True, slots=True)
class Plan:
    """One entry per action reached, in dependency order: what an action needs comes before it."""

    entries: tuple[Entry, ...]
    nothing_to_do: NothingToDo | None = None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The new jobs, in dependency order."""
        return tuple(entry for entry in self.entries if isinstance(entry, Run))


def plan(
    requested_actions: Sequence[str],
    pipeline: PlannedPipeline,
    latest: Mapping[str, LatestJob],
    force: bool = False,
) -> Plan:
    """What to do for a request.

    `latest`: by action, the latest not cancelled job in this workspace and backend; actions no longer in the file are
    ignored. `force`: dependencies run again though they succeeded (`force_run_dependencies`, `carrel run -f`).

    Raises NoActionsRequested, UnknownAction, CyclicNeeds.
    """
    raise NotImplementedError


def check_codelists(planned: Plan, codelists_ok: bool) -> None:
    """Raises StaleCodelists when the codelists are out of date and a new job reads the database."""
    raise NotImplementedError


def check_weights(planned: Plan, weights: Mapping[str, float], capacity: Capacity) -> None:
    """Raises TooHeavy for the first new job that is heavier than its whole pool. `weights`: by action, default 1."""
    raise NotImplementedError
