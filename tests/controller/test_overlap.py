"""Requests that overlap, through the write door: inputs are those that were waited for or reused."""

import pytest
from tests.support.controller import add_jobs, make_jobs, new_job, rap_fields, results

from carrel.controller import service
from carrel.controller.models import Job, Task
from carrel.controller.service import updates
from carrel.jobs.identifiers import job_id
from carrel.messages.tasks import TaskUpdate

pytestmark = pytest.mark.usefixtures("database")


def code(job: Job) -> str:
    return Job.objects.get(pk=job.pk).status_code


def tell(job: Job, stage: str, complete: bool = False, **result) -> None:
    task = Task.objects.filter(job=job, type="runjob").latest("id")
    final = results(**result) if complete else None
    updates.apply_update("test", TaskUpdate(task_id=task.task_id, stage=stage, complete=complete, results=final))


def succeed(job: Job) -> None:
    tell(job, "finalized", complete=True)


def inputs(job: Job) -> list[str]:
    return Task.objects.filter(job=job, type="runjob").latest("id").definition["input_job_ids"]


def first_request() -> dict[str, Job]:
    """make and hold run; read waits for both."""
    rap, _ = service.open_rap(rap_fields())
    ids = {name: job_id(rap.id, name) for name in ("make", "hold")}
    reads = new_job("read", needs=("make", "hold"), wait_for_job_ids=tuple(ids.values()), input_job_ids=ids)
    return add_jobs(rap, "make", "hold", reads)


def test_a_new_job_of_an_action_is_not_the_input_of_one_that_waited_for_another():
    jobs = first_request()
    succeed(jobs["make"])
    later = make_jobs("make")["make"]
    assert code(later) == "waiting_on_dependencies"
    assert "have read" in Job.objects.get(pk=later.pk).status_message
    succeed(jobs["hold"])
    assert code(jobs["read"]) == "initiated"
    assert inputs(jobs["read"]) == [jobs["make"].id, jobs["hold"].id]
    tell(jobs["read"], "preparing")
    assert code(later) == "waiting_on_dependencies"
    tell(jobs["read"], "prepared")
    assert code(later) == "initiated", "it starts at once when the reader has what it reads"
    succeed(jobs["read"])
    assert code(jobs["read"]) == "succeeded"


def test_a_job_that_is_cancelled_keeps_nobody_waiting():
    jobs = first_request()
    succeed(jobs["make"])
    later = make_jobs("make")["make"]
    service.cancel_actions(jobs["read"].rap_id, ["read"], ["test"])
    assert code(later) == "initiated"


def test_a_row_planned_before_inputs_were_noted_reads_what_it_waited_for_or_the_latest_that_succeeded():
    old = make_jobs("make")["make"]
    succeed(old)
    failed = make_jobs("make")["make"]
    tell(failed, "finalized", complete=True, exit_code="1")
    hold = make_jobs("hold")["hold"]
    newer_hold = make_jobs("hold")["hold"]
    succeed(newer_hold)
    read = make_jobs(new_job("read", needs=("make", "hold"), wait_for_job_ids=(hold.id,)))["read"]
    succeed(hold)
    assert inputs(read) == [old.id, hold.id]


def test_an_output_found_gone_makes_its_action_run_again_only_when_no_later_job_has_made_it_anew():
    jobs = first_request()
    succeed(jobs["make"])
    succeed(jobs["hold"])
    tell(jobs["read"], "executing")
    later = make_jobs("make")["make"]
    succeed(later)
    tell(jobs["read"], "error", complete=True, error={"type": "input_missing", "action": "make"})
    assert not service.latest_jobs("test", "ws", ["make"])["make"].outputs_missing
