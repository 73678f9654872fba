"""The write door from request to end, in one process: rows, events and tasks after each step."""

import pytest
from tests.support.controller import make_jobs, new_job, results

from carrel.controller import service
from carrel.controller.models import Event, Job, Task
from carrel.controller.service import updates
from carrel.messages.tasks import TaskUpdate

pytestmark = pytest.mark.usefixtures("database")


def code(job: Job) -> str:
    job.refresh_from_db()
    return job.status_code


def report(job: Job, stage: str, complete: bool = False, task: Task | None = None, **result) -> updates.UpdateOutcome:
    task = task or Task.objects.filter(job=job, type="runjob").latest("id")
    update = TaskUpdate(
        task_id=task.task_id,
        stage=stage,
        complete=complete,
        results=results(**result) if complete else None,
        attempt_token=task.attempt_token,
    )
    return updates.apply_update(task.backend, update)


def active() -> list[str]:
    return [f"{task.type} {task.task_id}" for task in Task.objects.filter(active=True).order_by("id")]


def test_a_job_goes_from_request_to_success():
    job = make_jobs("a")["a"]
    assert code(job) == "initiated"
    assert active() == [f"runjob {job.id}-001"]
    for stage in ("preparing", "prepared", "executing", "executed", "finalizing"):
        assert report(job, stage).status == 200
        assert code(job) == stage
    report(job, "finalized", complete=True, job_metrics={"cpu_peak": 3})
    assert code(job) == "succeeded"
    assert job.state == "succeeded"
    assert job.completed_at
    assert job.metrics == {"cpu_peak": 3}
    assert active() == []
    told = Event.objects.filter(job_id=job.id, kind="job.status").order_by("id").values_list("data__to", flat=True)
    assert list(told)[-3:] == ["executing", "executed", "finalizing"] or list(told)[-1] == "succeeded"


def test_jobs_wait_for_what_they_need_and_start_at_once_when_it_is_there():
    rap, _ = service.open_rap(__import__("tests.support.controller", fromlist=["x"]).rap_fields())
    from tests.support.controller import add_jobs

    from carrel.controller.identifiers import job_id

    jobs = add_jobs(rap, "a", new_job("b", needs=("a",), wait_for_job_ids=(job_id(rap.id, "a"),)))
    assert code(jobs["b"]) == "waiting_on_dependencies"
    report(jobs["a"], "finalized", complete=True)
    assert code(jobs["b"]) == "initiated"
    task = Task.objects.get(job=jobs["b"])
    assert task.definition["input_job_ids"] == [jobs["a"].id]
