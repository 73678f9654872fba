"""Rows as the values that the scheduler works on. Reads only: four queries, however many jobs there are."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from types import NoneType
from typing import Any

from carrel.controller import settings
from carrel.controller.models import Job, Task
from carrel.controller.service import flags
from carrel.controller.service.queries import active_tasks, in_parts, readable
from carrel.jobs.models import ActiveJob, SchedulerInput
from carrel.jobs.statuses import State, StatusCode
from carrel.messages.tasks import TaskType

logger = logging.getLogger(__name__)

MAX_WEIGHT = 1e6
"""What a job may weigh: a larger weight, once it ran, would keep all others waiting."""

ACTIVE = [State.PENDING.value, State.RUNNING.value]

JOB_COLUMNS = (
    "id",
    "workspace",
    "action",
    "state",
    "status_code",
    "created_at",
    "status_message",
    "updated_at",
    "requires_db",
    "weight",
    "wait_for_job_ids",
    "input_job_ids",
    "cancelled",
    "failed_attempts",
    "not_before",
    "started_at",
    "timeout_seconds",
)
TASK_COLUMNS = (
    "job_id",
    "attempt",
    "lease_expires_at",
    "agent_stage",
    "agent_complete",
    "agent_results",
    "agent_timestamp_ns",
    "publish_allowed_at",
    "id",
)

_KINDS: dict[str, tuple[type, ...]] = {
    "workspace": (str,),
    "action": (str,),
    "status_message": (str,),
    "requires_db": (bool,),
    "weight": (int, float),
    "wait_for_job_ids": (list,),
    "input_job_ids": (dict,),
    "cancelled": (bool,),
    "failed_attempts": (int,),
    "timeout_seconds": (int, float, NoneType),
    "agent_complete": (bool,),
    "agent_stage": (str,),
    "attempt": (int,),
    "created_at": (datetime,),
}
"""What may stand in columns that a pass over all jobs compares or adds up: SQLite, and JSON, hold anything."""


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that cannot be turned into a value: that job's own problem."""

    job_id: str
    error: Exception


def load(backend: str, only: Collection[str] | None = None) -> tuple[SchedulerInput, list[UnreadableRow]]:
    """What a pass over one backend looks at; with `only`, what a look at those of these jobs that run does."""
    if only is None:
        active = Job.objects.filter(backend=backend, state__in=ACTIVE)
        rows, errors = readable(active.order_by("created_at", "position").values(*JOB_COLUMNS))
    else:
        rows, errors = _running_rows(backend, only)
    latest, attempt_errors = _latest_attempts([row["id"] for row in rows if row["state"] == State.RUNNING])
    # Jobs whose last attempt the agent has not ended yet: a new one must not start beside it.
    cancellations = active_tasks(backend).filter(type=TaskType.CANCELJOB)
    ending = {str(job_id) for job_id in cancellations.values_list("job_id", flat=True)}
    jobs: list[ActiveJob] = []
    unreadable = [UnreadableRow(job_id, error) for job_id, error in (errors | attempt_errors).items()]
    for row in rows:
        if row["id"] in attempt_errors:
            continue
        if row["id"] in ending and row["state"] == State.PENDING and not row["cancelled"]:
            continue
        try:
            jobs.append(_active_job(backend, row, latest.get(row["id"], {})))
        except Exception as error:
            unreadable.append(UnreadableRow(row["id"], error))
    dependencies, stateless = _dependency_states(jobs)
    return _input(backend, jobs, dependencies), unreadable + stateless


def _running_rows(backend: str, job_ids: Collection[str]) -> tuple[list[dict[str, Any]], dict[str, Exception]]:
    """Not those that wait: whether they may start depends on all the others."""
    rows: list[dict[str, Any]] = []
    errors: dict[str, Exception] = {}
    for part in in_parts(sorted(job_ids)):
        running = Job.objects.filter(pk__in=part, backend=backend, state=State.RUNNING.value)
        more, unreadable = readable(running.order_by("created_at", "position").values(*JOB_COLUMNS))
        rows += more
        errors |= unreadable
    return rows, errors


def _latest_attempts(running: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Exception]]:
    """By job, its latest attempt's task, or what is wrong with it."""
    latest: dict[str, dict[str, Any]] = {}
    errors: dict[str, Exception] = {}
    for part in in_parts(running):
        tasks = Task.objects.filter(job_id__in=part, type=TaskType.RUNJOB).order_by("id")
        whole, unreadable = readable(tasks.values(*TASK_COLUMNS))
        latest |= {task["job_id"]: task for task in whole}
        for pk, job_id in tasks.filter(pk__in=list(unreadable)).values_list("pk", "job_id"):
            if job_id not in latest or latest[job_id]["id"] < pk:
                errors[job_id] = unreadable[pk]
    return latest, errors


def _input(backend: str, jobs: list[ActiveJob], dependencies: dict[str, State]) -> SchedulerInput:
    return SchedulerInput(
        backend=backend,
        jobs=tuple(jobs),
        dependency_states=dependencies,
        capacity=settings.get().capacity(backend),
        flags=flags.scheduler_flags(backend),
    )


def _active_job(backend: str, row: dict[str, Any], attempt: dict[str, Any]) -> ActiveJob:
    """`attempt`: the latest of a running job; what was said of a pending job's earlier attempts is over."""
    _check(row | attempt)
    return ActiveJob(
        id=row["id"],
        backend=backend,
        workspace=row["workspace"],
        action=row["action"],
        state=State(row["state"]),
        status_code=StatusCode(row["status_code"]),
        created_at=row["created_at"],
        status_message=row["status_message"],
        updated_at=row["updated_at"],
        requires_db=row["requires_db"],
        weight=row["weight"],
        wait_for=tuple(row["wait_for_job_ids"]),
        reads=dict(row["input_job_ids"]),
        cancelled=row["cancelled"],
        attempts=attempt.get("attempt", 0),
        failed_attempts=row["failed_attempts"],
        not_before=row["not_before"],
        started_at=row["started_at"],
        timeout_seconds=row["timeout_seconds"],
        lease_expires_at=attempt.get("lease_expires_at"),
        agent_stage=attempt.get("agent_stage") or None,
        agent_complete=attempt.get("agent_complete", False),
        agent_results=attempt.get("agent_results"),
        agent_timestamp_ns=attempt.get("agent_timestamp_ns"),
        may_publish=attempt.get("publish_allowed_at") is not None,
    )


def _check(values: dict[str, Any]) -> None:
    """Raise ValueError for what would mislead, or stop, the look at all the other jobs."""
    for name, kinds in _KINDS.items():
        if name in values and not isinstance(values[name], kinds):
            raise ValueError(f"{name} is of the kind {type(values[name]).__name__}")
    if not 0 < values["weight"] <= MAX_WEIGHT:  # not so for NaN either
        raise ValueError("weight is no number above 0, or larger than any backend")
    ids = [*values["wait_for_job_ids"], *values["input_job_ids"].values()]
    if not all(isinstance(job_id, str) for job_id in ids):
        raise ValueError("an id of another job is no text")


def _dependency_states(jobs: Iterable[ActiveJob]) -> tuple[dict[str, State], list[UnreadableRow]]:
    """States of the jobs waited for that are not active themselves. One in no state that there is has failed."""
    active = {job.id for job in jobs}
    needed_ids = sorted({needed for job in jobs for needed in job.wait_for} - active)
    states: dict[str, State] = {}
    stateless: list[UnreadableRow] = []
    parts = (Job.objects.filter(pk__in=part).values_list("pk", "state") for part in in_parts(needed_ids))
    for pk, state in chain.from_iterable(parts):
        try:
            states[pk] = State(state)
        except ValueError as error:
            states[pk] = State.FAILED
            stateless.append(UnreadableRow(pk, error))
    return states, stateless
