"""`plan()`: what to run, what to reuse, what to wait for, and why (spec: controller.md section 3.3).

The same function serves the controller, the local run and the preview on the run page. It reads a pipeline that is
already projected on one backend, and the latest not cancelled job of each action there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from carrel.jobs.models import LatestJob
from carrel.jobs.statuses import State
from carrel.project.constants import RUN_ALL_COMMAND
from carrel.project.problems import UnknownActionError, nearest

RUN_ALL = RUN_ALL_COMMAND


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


class PlanError(Exception):
    """The request cannot be planned: a user's error. The first line of the text is the contract's message."""

    @property
    def contract_message(self) -> str:
        """The message alone, without our hints: what the RAP API answers."""
        return str(self).partition("\n")[0]


class NoActionsRequested(PlanError):
    def __init__(self) -> None:
        super().__init__("At least one action must be supplied")


class UnknownAction(PlanError, UnknownActionError):
    """`name` is not in the file; `known` are those that are, in file order; `suggestion` the nearest one."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(names)
        self.suggestion = nearest(name, names)
        hint = f"\nDid you mean `{self.suggestion}`?" if self.suggestion else ""
        super().__init__(f"Action '{name}' not found in project.yaml{hint}")


class CyclicNeeds(PlanError):
    """Actions need each other in a circle. `carrel.project` refuses such a file before it gets here."""

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = tuple(cycle)
        super().__init__(f"Actions need each other in a circle: {' -> '.join(cycle)}")


class Reason(StrEnum):
    """Why an action runs."""

    REQUESTED = "requested"
    FORCED = "forced"
    NEVER_RAN = "never_ran"
    LAST_FAILED = "last_failed"
    OUTPUTS_MISSING = "outputs_missing"


_REASON_WORDS = {
    Reason.REQUESTED: "asked for by name",
    Reason.FORCED: "dependencies are forced to run again",
    Reason.NEVER_RAN: "has not run here before",
    Reason.LAST_FAILED: "last run failed",
    Reason.OUTPUTS_MISSING: "an output of its last run is missing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A new job. `wait_for_new`: actions that run in this same plan; `wait_for_jobs`: ids of jobs already active.

    `reads`: each needed action with the id of the job whose outputs are read, where that is there already: reused or
    active. With those of `wait_for_new` they are all that the job reads, whatever else runs meanwhile.
    """

    action: str
    reason: Reason
    requires_db: bool = False
    previous: LatestJob | None = None
    wait_for_new: tuple[str, ...] = ()
    wait_for_jobs: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()

    def words(self, today: date | None = None) -> str:
        """ "will run: last run failed (nonzero_exit)"."""
        words = f"will run: {_REASON_WORDS[self.reason]}"
        if self.reason is Reason.LAST_FAILED and self.previous is not None:
            words += f" ({self.previous.status_code})"
        return words


@dataclass(frozen=True, slots=True)
class Reuse:
    """The action has succeeded before, and its outputs are used."""

    action: str
    job: LatestJob

    @property
    def since(self) -> datetime:
        """When the job reused completed."""
        return self.job.completed_at or self.job.created_at

    def words(self, today: date | None = None, commits_ago: int | None = None) -> str:
        """ "reused: succeeded on 3 May 2026, commit abc1234, 14 commits ago".

        The year is left out when it is that of `today`; `commits_ago` is for callers that know the study's history.
        """
        year = "" if today is not None and today.year == self.since.year else f" {self.since.year}"
        words = f"reused: succeeded on {self.since.day} {self.since:%B}{year}"
        if self.job.commit:
            words += f", commit {self.job.commit[:7]}"
        if commits_ago:
            words += f", {commits_ago} commit{'s' if commits_ago > 1 else ''} ago"
        return words


@dataclass(frozen=True, slots=True)
class WaitFor:
    """The action is pending or running already."""

    action: str
    job: LatestJob

    def words(self, today: date | None = None) -> str:
        """ "waits for the job that is running already"; `today` as for other entries."""
        return f"waits for the job that is {'running' if self.job.state is State.RUNNING else 'waiting'} already"


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
    if not requested_actions:
        raise NoActionsRequested
    run_all = RUN_ALL in requested_actions
    explicit = frozenset(requested_actions) - {RUN_ALL}
    names = [name for name in pipeline.actions if name != RUN_ALL]
    for name in requested_actions:
        if name != RUN_ALL and name not in pipeline.actions:
            raise UnknownAction(name, [RUN_ALL, *names])
    planner = _Planner(pipeline.actions, latest, explicit, force)
    for name in names if run_all else requested_actions:
        planner.reach(name)
    entries = tuple(planner.entries.values())
    if any(isinstance(entry, Run) for entry in entries):
        return Plan(entries, None)
    # An action asked for by name runs, or is active already: with nothing new, all asked for are active.
    return Plan(entries, NothingToDo.ALL_SUCCEEDED if run_all else NothingToDo.ALL_SCHEDULED)


def why_run(job: LatestJob | None, explicit: bool, force: bool) -> Reason | None:
    """Why the action must run, or None when the job it has will do (`should_rerun` of the contract)."""
    if job is None:
        return Reason.REQUESTED if explicit else Reason.NEVER_RAN
    if job.state in (State.PENDING, State.RUNNING):
        return None
    if explicit:
        return Reason.REQUESTED
    if force:
        return Reason.FORCED
    if job.state is State.FAILED:
        return Reason.LAST_FAILED
    return Reason.OUTPUTS_MISSING if job.outputs_missing else None


@dataclass(slots=True)
class _Planner:
    """Walks the needs, deepest first, without recursion: a chain may be as long as the file allows."""

    actions: Mapping[str, PlannedAction]
    latest: Mapping[str, LatestJob]
    explicit: frozenset[str]
    force: bool
    entries: dict[str, Entry] = field(default_factory=dict)

    def reach(self, name: str) -> None:
        """Add entries for this action and, if it must run, for all it needs."""
        path: dict[str, tuple[Reason, Iterator[str]]] = {}
        self._enter(name, path)
        while path:
            action, (reason, needs) = next(reversed(path.items()))
            need = next((candidate for candidate in needs if candidate not in self.entries), None)
            if need is None:
                del path[action]
                self.entries[action] = self._new_job(action, reason)
            else:
                self._enter(need, path)

    def _enter(self, name: str, path: dict[str, tuple[Reason, Iterator[str]]]) -> None:
        if name in path:
            names = list(path)
            raise CyclicNeeds([*names[names.index(name) :], name])
        if name in self.entries:
            return
        if name not in self.actions:
            raise UnknownAction(name, list(self.actions))
        job = self.latest.get(name)
        reason = why_run(job, name in self.explicit, self.force)
        if reason is not None:
            path[name] = (reason, iter(self.actions[name].needs))
        elif job is not None:
            self.entries[name] = Reuse(name, job) if job.state is State.SUCCEEDED else WaitFor(name, job)

    def _new_job(self, action: str, reason: Reason) -> Run:
        needed = [self.entries[need] for need in dict.fromkeys(self.actions[action].needs)]
        return Run(
            action=action,
            reason=reason,
            requires_db=self.actions[action].is_database_action,
            previous=self.latest.get(action),
            wait_for_new=tuple(entry.action for entry in needed if isinstance(entry, Run)),
            wait_for_jobs=tuple(entry.job.id for entry in needed if isinstance(entry, WaitFor)),
            reads=tuple((entry.action, entry.job.id) for entry in needed if not isinstance(entry, Run)),
        )
