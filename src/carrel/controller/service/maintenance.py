"""Regular tasks that ask the database how it is: DBSTATUS and DBDATACHECK (spec: controller.md section 3.5)."""

import secrets
from datetime import datetime, timedelta

from carrel.controller import changes, clock, definitions, identifiers, images, settings
from carrel.controller.models import Task
from carrel.controller.service import events, flags
from carrel.controller.service.locks import locked
from carrel.controller.service.queries import active_tasks, readable
from carrel.messages.tasks import TaskType


def keep_regular_tasks(backend: str) -> None:
    """Make the regular tasks that are due, end those no longer wanted. Takes the lock only when there is something."""
    common = settings.get()
    if backend in common.maintenance_enabled_backends:
        by_hand = bool(flags.value_of(backend, flags.MANUAL_DB_MAINTENANCE))
        is_off = by_hand and flags.is_true(flags.value_of(backend, flags.CHECKS_DISABLED))
        _make_or_end(backend, TaskType.DBSTATUS, common.maintenance_poll_interval, is_off=is_off)
    if backend in common.data_check_enabled_backends:
        maintained = flags.value_of(backend, flags.MODE) == flags.DB_MAINTENANCE
        _make_or_end(backend, TaskType.DBDATACHECK, common.data_check_poll_interval, is_off=maintained)


def _make_or_end(backend: str, kind: TaskType, interval: float, *, is_off: bool) -> None:
    if is_off:
        if active_tasks(backend).filter(type=kind).exists():
            _end(backend, kind)
    elif _is_due(backend, kind, interval, clock.now()):
        images.try_to_know(backend, definitions.DATABASE_UTILS)
        with locked(backend):
            if _is_due(backend, kind, interval, clock.now()):
                _create(backend, kind)


def _is_due(backend: str, kind: TaskType, interval: float, now: datetime) -> bool:
    if active_tasks(backend).filter(type=kind).exists():
        return False
    # One whose times cannot be read is as good as none.
    last, _ = readable(Task.objects.filter(backend=backend, type=kind).order_by("-id"), first=1)
    at = (last[0].finished_at or last[0].created_at) if last else None
    return at is None or at <= now - timedelta(seconds=interval)


def _create(backend: str, kind: TaskType) -> Task:
    now = clock.now()
    make = definitions.dbstatus_definition if kind is TaskType.DBSTATUS else definitions.dbdatacheck_definition
    task = Task.objects.create(
        task_id=identifiers.scheduled_task_id(kind, now.date()),
        backend=backend,
        type=kind,
        definition=make(backend),
        created_at=now,
        attempt_token=secrets.token_urlsafe(24),
    )
    events.record_task("task.created", events.SCHEDULER, task, type=str(kind))
    changes.announce()
    return task


def _end(backend: str, kind: TaskType) -> None:
    with locked(backend):
        for task in active_tasks(backend).filter(type=kind):
            task.active, task.superseded, task.finished_at = False, True, clock.now()
            task.save(update_fields=["active", "superseded", "finished_at"])
            events.record_task("task.ended", events.SCHEDULER, task, type=str(kind))
