"""What people who run the installation may do to jobs and old rows. Each records who did it."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from carrel.controller import clock
from carrel.controller.models import Event, Flag, Job, Rap, Task
from carrel.controller.outages import DATABASE_AWAY
from carrel.controller.service import attempts, events, flags, links, queries, scheduling
from carrel.controller.service.locks import locked
from carrel.controller.service.statuses import change_status
from carrel.jobs.statuses import STATUSES, State, StatusCode
from carrel.messages.tasks import TaskType

logger = logging.getLogger(__name__)


def note(command: str, actor: str, backend: str = "", **details: Any) -> Event:
    """Record that an admin command was run."""
    return events.record(f"admin.{command}", actor, backend=backend, **details)


def running_jobs(backend: str) -> list[Job]:
    """In the order in which they were created."""
    running = Job.objects.filter(backend=backend, state=State.RUNNING.value)
    return queries.all_rows(running.order_by("created_at", "position"))


def jobs_being_cancelled(backend: str) -> int:
    """How many attempts the agent has been asked to end, and has not ended yet."""
    return queries.active_tasks(backend).filter(type=TaskType.CANCELJOB).count()


def reset_for_reboot(job_id: str, backend: str, actor: str) -> bool:
    """Stop a running job's attempt; it starts again once the backend is no longer paused.

    False: it ran no more, or its outputs are being published just now, which only the agent's last report ends.
    """
    with locked(backend):
        job = Job.objects.select_related("rap").filter(pk=job_id, state=State.RUNNING.value).first()
        if job is None or attempts.is_publishing(job):
            return False
        code = StatusCode.WAITING_ON_REBOOT
        change_status(job, code, STATUSES[code].message, now=clock.now(), actor=actor)
        attempts.stop(job)
    return True


def set_flags(backend: str, values: Mapping[str, str | None], actor: str) -> list[Flag]:
    """Set flags (None clears) and let the scheduler act on them at once. Returns the rows, in the order given."""
    with locked(backend):
        rows = [flags.write(backend, name, value, actor) for name, value in values.items()]
        scheduling.run(backend)
    return rows


def create_flags(backend: str, names: Iterable[str], actor: str) -> None:
    """Make flags that do not exist yet, with no value."""
    with locked(backend):
        for name in names:
            if not Flag.objects.filter(backend=backend, name=name).exists():
                flags.write(backend, name, None, actor)


def pause(backend: str, on: bool, actor: str) -> list[Flag]:
    """Start nothing new on a backend, or go on. Returns the flags."""
    return set_flags(backend, {flags.PAUSED: "true" if on else None}, actor)


def database_maintenance(backend: str, on: bool, actor: str, *, disable_checks: bool = False) -> list[Flag]:
    """Say by hand that the database is being maintained, or that it is no more. Returns the flags."""
    if not on:
        values = dict.fromkeys((flags.MODE, flags.MANUAL_DB_MAINTENANCE, flags.CHECKS_DISABLED))
        return set_flags(backend, values, actor)
    values = {flags.MODE: flags.DB_MAINTENANCE, flags.MANUAL_DB_MAINTENANCE: "on"}
    if disable_checks:
        values[flags.CHECKS_DISABLED] = "true"
    return set_flags(backend, values, actor)


def purge(before: datetime, actor: str, *, dry_run: bool = False) -> dict[str, int]:
    """Delete requests that were finished with before this time, with their jobs and tasks; events stay for ever.

    A request goes only when all its jobs had ended by then, and none of them is the latest of its action in its
    workspace (plans reuse that one). Returns how many rows of each table went (or would go).
    """
    removed = {"raps": 0, "jobs": 0, "tasks": 0}
    for rap_id, backend in list(Rap.objects.filter(created_at__lt=before).values_list("id", "backend")):
        try:
            with locked(backend):
                counts = _count_or_delete(rap_id, dry_run) if _may_go(rap_id, before) else {}
        except DATABASE_AWAY:
            raise
        except Exception:
            logger.exception("Request %s stays: its rows cannot be read.", rap_id)
            continue
        for name, count in counts.items():
            removed[name] += count
    regular = Task.objects.filter(job=None, active=False, finished_at__lt=before)
    removed["tasks"] += regular.count() if dry_run else regular.delete()[0]
    if not dry_run:
        note("purge", actor, before=before.isoformat(), gone=removed)
    return removed


def _may_go(rap_id: str, before: datetime) -> bool:
    for job in Job.objects.filter(rap_id=rap_id):
        if job.completed_at is None or job.completed_at >= before:
            return False
        same_action = Job.objects.filter(backend=job.backend, workspace=job.workspace, action=job.action)
        if not (job.cancelled or same_action.filter(cancelled=False, created_at__gt=job.created_at).exists()):
            return False  # it is the latest, which plans reuse
    return True


def _count_or_delete(rap_id: str, dry_run: bool) -> dict[str, int]:
    tables = {
        "tasks": Task.objects.filter(job__rap_id=rap_id),
        "jobs": Job.objects.filter(rap_id=rap_id),
        "raps": Rap.objects.filter(pk=rap_id),
    }
    if not dry_run:
        links.forget(rap_id)
    return {name: rows.count() if dry_run else rows.delete()[0] for name, rows in tables.items()}
