"""Writing events. Every change of state records one, in the transaction of the change."""

from collections.abc import Iterable
from typing import Any

from carrel.controller import clock
from carrel.controller.models import Event, Job, Rap, Task

AGENT = "agent"
CLIENT = "client"
SCHEDULER = "scheduler"


def record(kind: str, actor: str, *, backend: str = "", job: Job | None = None, **data: Any) -> Event:
    """One event about a job, or about a backend when `job` is None. `data` must be JSON."""
    event = _about(job, kind, actor, data) if job else Event(kind=kind, actor=actor, backend=backend, data=data)
    return _save(event)


def record_rap(kind: str, actor: str, rap: Rap, **data: Any) -> Event:
    """One event about a request."""
    return _save(Event(kind=kind, actor=actor, backend=rap.backend, rap_id=rap.id, data=data))


def record_task(kind: str, actor: str, task: Task, **data: Any) -> Event:
    """One event about a task (and its job, when it has one)."""
    event = _about(task.job, kind, actor, data) if task.job else Event(kind=kind, actor=actor, data=data)
    event.backend, event.task_id = task.backend, task.task_id
    return _save(event)


def record_created(jobs: Iterable[Job]) -> None:
    """One event for each of these new jobs, in one statement."""
    created = [_about(job, "job.created", CLIENT, {"action": job.action}) for job in jobs]
    for event in created:
        event.at = clock.now()
    Event.objects.bulk_create(created)


def _about(job: Job, kind: str, actor: str, data: dict[str, Any]) -> Event:
    return Event(kind=kind, actor=actor, backend=job.backend, rap_id=job.rap_id, job_id=job.id, data=data)


def _save(event: Event) -> Event:
    event.at = clock.now()
    event.save(force_insert=True)
    return event
