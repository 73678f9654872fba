"""What agents tell: reports about tasks, and heartbeats. Each request is one transaction, with all that follows."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction

from carrel.controller import clock, settings
from carrel.controller.models import Task
from carrel.controller.outages import DATABASE_AWAY
from carrel.controller.service import events, flags, scheduling
from carrel.controller.service.locks import locked
from carrel.jobs.statuses import State
from carrel.messages.tasks import Heartbeat, HeartbeatResult, TaskType, TaskUpdate, UpdateOutcome
from carrel.telemetry.faults import point

logger = logging.getLogger(__name__)

TAKEN, UNKNOWN, SUPERSEDED, FAILED = 200, 404, 409, 500
_COLUMNS = (
    *(f"job__{name}" for name in ("backend", "rap_id", "state", "cancelled", "metrics")),
    *("task_id", "backend", "type", "active", "finished_at", "attempt_token", "superseded", "publish_allowed_at"),
    *("agent_stage", "agent_complete", "agent_results", "agent_timestamp_ns"),
)
"""What a report needs of its task and job: nonsense in any other column does not keep it from being taken in."""
DATABASE_MODES = ("", flags.DB_MAINTENANCE)


@dataclass(slots=True)
class _Consequences:
    """What the scheduler must look at, once all reports of a request are written."""

    jobs: set[str] = field(default_factory=set)
    backend: bool = False
    """All of the backend's jobs."""

    def follow(self, backend: str) -> None:
        if self.jobs:
            scheduling.run_jobs(self.jobs, backend)
        if self.backend:
            scheduling.run(backend)


def apply_update(backend: str, update: TaskUpdate) -> UpdateOutcome:
    """Take one report in. Sent twice it is taken twice and changes nothing the second time."""
    point("controller.update.received")
    with locked(backend):
        consequences = _Consequences()
        outcome = _apply(backend, update, consequences)
        consequences.follow(backend)
        point("controller.update.applied")
    point("controller.update.committed")
    return outcome


def apply_updates(backend: str, updates: Sequence[TaskUpdate]) -> list[UpdateOutcome]:
    """Take many reports in, in one transaction, and schedule once for all of them.

    One that cannot be taken in does not stop the others.
    """
    with locked(backend):
        consequences = _Consequences()
        outcomes = [_apply_alone(backend, update, consequences) for update in updates]
        consequences.follow(backend)
        point("controller.updates.applied")
    return outcomes


def _apply_alone(backend: str, update: TaskUpdate, consequences: _Consequences) -> UpdateOutcome:
    try:
        with transaction.atomic():
            return _apply(backend, update, consequences)
    except DATABASE_AWAY:
        raise
    except Exception:
        logger.exception("An update of task %s could not be taken in.", update.task_id)
        return UpdateOutcome(task_id=update.task_id, status=FAILED, detail="Error updating task")


def _apply(backend: str, update: TaskUpdate, consequences: _Consequences) -> UpdateOutcome:
    tasks = Task.objects.filter(task_id=update.task_id, backend=backend)
    task = tasks.select_related("job").only(*_COLUMNS).first()
    if task is None:
        return UpdateOutcome(task_id=update.task_id, status=UNKNOWN, detail="No such task")
    # Only agents of our own show a token. Theirs may report on anything; what is finished stays as it is anyhow.
    if update.attempt_token is not None and (task.superseded or update.attempt_token != task.attempt_token):
        return UpdateOutcome(task_id=update.task_id, status=SUPERSEDED, detail="Superseded")
    if update.publish and not (update.attempt_token and _let_publish(task)):
        return UpdateOutcome(task_id=update.task_id, status=SUPERSEDED, detail="Not to be published")
    if _write(task, update):
        point("controller.update.written")
        _follow(task, consequences)
    return UpdateOutcome(task_id=update.task_id, status=TAKEN)


def _let_publish(task: Task) -> bool:
    """Give the word that this attempt may change its workspace, once and for all, if it is the one the job is at.

    Asked again (the answer was lost, or the agent killed) it is given again. Not to one without a token: an agent that
    shows none publishes as it likes.
    """
    if task.publish_allowed_at is not None:
        return task.active
    job = task.job
    if job is None or task.type != TaskType.RUNJOB or not task.active or job.state != State.RUNNING or job.cancelled:
        return False
    task.publish_allowed_at = clock.now()
    task.save(update_fields=["publish_allowed_at"])
    events.record_task("task.publish_allowed", events.AGENT, task)
    point("controller.word.given")
    return True


def _write(task: Task, update: TaskUpdate) -> bool:
    """Write the report on the task's row. False when it tells nothing new, or comes after the last word."""
    same = (task.agent_stage, task.agent_complete) == (update.stage, update.complete)
    if task.agent_complete or (same and (update.results is None or update.results == task.agent_results)):
        return False
    task.agent_stage = update.stage
    task.agent_results = update.results if update.results is not None else task.agent_results
    task.agent_timestamp_ns = update.timestamp_ns or task.agent_timestamp_ns
    if update.complete:
        task.agent_complete, task.active = True, False
        task.finished_at = task.finished_at or clock.now()
    task.save(
        update_fields=[
            "agent_stage",
            "agent_results",
            "agent_timestamp_ns",
            "agent_complete",
            "active",
            "finished_at",
        ]
    )
    events.record_task("task.update", events.AGENT, task, stage=update.stage, complete=update.complete)
    return True


def _follow(task: Task, consequences: _Consequences) -> None:
    """What must follow from a report, in its transaction."""
    if task.type == TaskType.DBSTATUS and task.agent_complete:
        consequences.backend |= _take_database_status(task)
    if task.job is None or task.superseded:
        return
    metrics = (task.agent_results or {}).get("job_metrics")
    if isinstance(metrics, dict) and metrics != task.job.metrics:
        task.job.metrics = metrics
        task.job.save(update_fields=["metrics"])
    if task.type == TaskType.RUNJOB:
        consequences.jobs.add(task.job.id)
    elif task.agent_complete:  # the attempt is gone: the job's next one may start
        consequences.backend = True


def _take_database_status(task: Task) -> bool:
    """The database says whether it is being maintained, unless a person has said so (manual-db-maintenance).

    True when that is a change.
    """
    if flags.value_of(task.backend, flags.MANUAL_DB_MAINTENANCE):
        return False
    results = (task.agent_results or {}).get("results")
    mode = results.get("status") if isinstance(results, dict) else None
    if mode not in DATABASE_MODES:
        logger.warning("Task %s did not tell whether the database is being maintained.", task.task_id)
        return False
    if mode == (flags.value_of(task.backend, flags.MODE) or ""):
        return False
    flags.write(task.backend, flags.MODE, mode, events.AGENT)
    return True


def heartbeat(backend: str, message: Heartbeat) -> HeartbeatResult:
    """Renew the leases of these attempts; tell which of them were superseded, or are not this backend's."""
    expires = clock.now() + timedelta(seconds=settings.get().carrel_lease_seconds)
    with locked(backend):
        rows = Task.objects.filter(task_id__in=list(message.attempts), backend=backend, superseded=False)
        tokens = rows.values_list("pk", "task_id", "attempt_token")
        good = [pk for pk, task_id, token in tokens if token == message.attempts[task_id]]
        Task.objects.filter(pk__in=good, agent_complete=False, superseded=False).update(lease_expires_at=expires)
        current = set(Task.objects.filter(pk__in=good, superseded=False).values_list("task_id", flat=True))
    return HeartbeatResult(superseded=sorted(message.attempts.keys() - current))
