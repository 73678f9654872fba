"""Attempts at a job: their tasks are created, stopped and superseded here. Called under the backend's lock."""

import secrets

from carrel.controller import changes, clock, definitions, identifiers
from carrel.controller.models import Job, Task
from carrel.controller.service import events, queries
from carrel.messages.tasks import TaskType
from carrel.telemetry.faults import point


def start(job: Job) -> Task:
    """Create the task of the job's next attempt."""
    attempt = Task.objects.filter(job=job, type=TaskType.RUNJOB).count() + 1
    task_id = identifiers.runjob_task_id(job.id, attempt)
    image, _ = definitions.image_and_args(job.run_command)
    inputs = queries.input_jobs(job)
    task = Task.objects.create(
        task_id=task_id,
        backend=job.backend,
        type=TaskType.RUNJOB,
        job=job,
        attempt=attempt,
        definition=definitions.job_definition(
            job,
            task_id,
            [inputs[need] for need in job.needs if need in inputs],
            definitions.known_digest(image, job.backend),
        ),
        attributes=definitions.attributes(job),
        created_at=clock.now(),
        attempt_token=secrets.token_urlsafe(24),
    )
    point("controller.attempt.created")
    events.record_task("task.created", events.SCHEDULER, task, type=task.type, attempt=attempt)
    changes.announce()
    return task


class StillPublishing(Exception):
    """The agent was told that this attempt may change its workspace: nothing but its last report ends it."""


def active(job: Job) -> Task | None:
    """The attempt that the agent works on."""
    tasks = Task.objects.filter(job=job, type=TaskType.RUNJOB, active=True).order_by("-id")
    return tasks.only("task_id", "attempt", "publish_allowed_at").first()


def is_publishing(job: Job) -> bool:
    """Whether the agent has the word to publish the job's attempt, and has not told yet how that ended."""
    running = active(job)
    return running is not None and running.publish_allowed_at is not None


def stop(job: Job) -> Task | None:
    """Give up the job's active attempt, if it has one, and ask the agent to end it. Returns the cancelling task.

    Raises StillPublishing.
    """
    running = active(job)
    if running is None:
        return None
    if running.publish_allowed_at is not None:
        raise StillPublishing(running.task_id)
    running.active, running.superseded, running.finished_at = False, True, clock.now()
    running.save(update_fields=["active", "superseded", "finished_at"])
    point("controller.attempt.superseded")
    cancel_id = identifiers.cancel_task_id(running.task_id)
    # Of an attempt whose row holds nonsense there, what names the attempt is enough.
    definition = running.definition if isinstance(running.definition, dict) else {"id": running.job_id}
    task = Task.objects.create(
        task_id=cancel_id,
        backend=job.backend,
        type=TaskType.CANCELJOB,
        job=job,
        attempt=running.attempt,
        definition={**definition, "task_id": cancel_id, "image_sha": None},
        attributes=running.attributes,
        created_at=clock.now(),
        # The agent knows the attempt to end by its token, whatever the task that asks for it.
        attempt_token=running.attempt_token,
    )
    events.record_task("task.created", events.SCHEDULER, task, type=task.type, attempt=running.attempt)
    changes.announce()
    return task
