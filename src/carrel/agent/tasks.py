"""What a task says of the attempt it is about: its id, its token, its process's name, and its job."""

from datetime import UTC, datetime

from pydantic import ValidationError

from carrel.agent.errors import InvalidDefinition
from carrel.agent.preparation import memory_limit_of
from carrel.agent.storage import check_identifier, check_name
from carrel.messages.tasks import JobDefinition, Task, TaskType

PROCESS_PREFIX = "os-job-"
CANCEL_SUFFIX = "-cancel"


def attempt_id(task: Task) -> str:
    """The attempt a task is about: its own id, or the id of what it cancels."""
    return task.id.removesuffix(CANCEL_SUFFIX) if task.type is TaskType.CANCELJOB else task.id


def attempt_token(task: Task) -> str | None:
    """What a report about the task must carry; None with an OpenSAFELY controller."""
    return task.carrel.attempt_token if task.carrel else None


def process_name(task_id: str) -> str:
    """The name by which the executor knows the process of a task."""
    return PROCESS_PREFIX + task_id


def parse_job(task: Task) -> JobDefinition:
    """The task's job; InvalidDefinition when it cannot be understood or its names are not safe as file names."""
    try:
        job = JobDefinition.model_validate(task.definition)
        for name in (task.id, job.id, job.workspace, *job.input_job_ids):
            check_identifier(name)
        check_name(job.action)
        memory_limit_of(job.memory_limit)
        datetime.fromtimestamp(job.created_at, UTC)  # its record lies in a folder of that month
        return job
    except (ValidationError, ValueError, OverflowError, OSError):
        raise InvalidDefinition("The agent does not understand the job's definition") from None
