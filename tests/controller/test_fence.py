"""The word that lets one attempt publish: given once, to the attempt that the job is at, and kept to (ADR 0007)."""

from datetime import timedelta

import pytest
from tests.support.controller import make_jobs, new_job, results

from carrel.controller import clock, service
from carrel.controller.models import Event, Job, Task
from carrel.controller.service import administration, attempts, scheduling, updates
from carrel.controller.service.locks import locked
from carrel.controller.sweep import Sweep
from carrel.messages.tasks import TaskUpdate, UpdateOutcome

pytestmark = pytest.mark.usefixtures("database")


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def attempt(job: Job, number: int = 1) -> Task:
    return Task.objects.get(job=job, type="runjob", attempt=number)


def ask(task: Task, token: str | None = "") -> UpdateOutcome:
    token = task.attempt_token if token == "" else token
    update = TaskUpdate(task_id=task.task_id, stage="finalizing", publish=True, attempt_token=token)
    return updates.apply_update(task.backend, update)


def end(task: Task, **result) -> UpdateOutcome:
    update = TaskUpdate(
        task_id=task.task_id,
        stage="finalized",
        complete=True,
        results=results(**result),
        attempt_token=task.attempt_token,
    )
    return updates.apply_update(task.backend, update)


def cancel(job: Job) -> None:
    service.cancel_actions(job.rap_id, [job.action], [job.backend])


def listed() -> list[str]:
    return list(Task.objects.filter(active=True).order_by("id").values_list("task_id", flat=True))


def test_the_word_is_given_to_the_running_attempt_and_again_when_asked_again():
    job = make_jobs("a")["a"]
    task = attempt(job)
    assert ask(task).status == 200
    given = attempt(job).publish_allowed_at
    assert given is not None
    assert ask(task).status == 200
    assert attempt(job).publish_allowed_at == given
    assert Event.objects.filter(kind="task.publish_allowed", task_id=task.task_id).count() == 1
    assert end(task).status == 200
    assert fresh(job).status_code == "succeeded"
    assert ask(task).status == 409, "an attempt that has ended has nothing to publish"


@pytest.mark.parametrize("token", ["another", None])
def test_it_is_not_given_without_the_attempts_own_token(token):
    job = make_jobs("a")["a"]
    assert ask(attempt(job), token).status == 409
    assert attempt(job).publish_allowed_at is None


def test_a_cancelled_attempt_does_not_get_it():
    job = make_jobs("a")["a"]
    cancel(job)
    assert fresh(job).status_code == "cancelled_by_user"
    assert ask(attempt(job)).status == 409
    cancelling = Task.objects.get(job=job, type="canceljob")
    assert ask(cancelling).status == 409


def test_a_cancelled_attempt_does_not_get_it_though_nobody_has_acted_on_the_cancel_yet():
    job = make_jobs("a")["a"]
    Job.objects.filter(pk=job.pk).update(cancelled=True)
    assert ask(attempt(job)).status == 409


def test_an_attempt_given_up_for_maintenance_does_not_get_it_and_its_successor_does():
    job = make_jobs(new_job("a", requires_db=True))["a"]
    administration.database_maintenance("test", True, "admin:x")
    assert fresh(job).status_code == "waiting_db_maintenance"
    assert ask(attempt(job)).status == 409
    administration.database_maintenance("test", False, "admin:x")
    assert not Task.objects.filter(job=job, attempt=2, type="runjob"), "the first has not been ended yet"
    assert end(Task.objects.get(job=job, type="canceljob")).status == 200
    assert ask(attempt(job)).status == 409
    assert ask(attempt(job, 2)).status == 200


def test_an_attempt_stopped_for_a_reboot_or_by_its_time_limit_does_not_get_it(monkeypatch):
    jobs = make_jobs("a", new_job("b", timeout_seconds=60.0))
    administration.reset_for_reboot(jobs["a"].id, "test", "admin:x")
    assert ask(attempt(jobs["a"])).status == 409
    updates.apply_update("test", TaskUpdate(task_id=attempt(jobs["b"]).task_id, stage="executing"))
    _sweep_in(monkeypatch, seconds=90)
    assert fresh(jobs["b"]).status_code == "timed_out"
    assert ask(attempt(jobs["b"])).status == 409


def test_a_cancel_after_the_word_is_told_to_be_too_late_and_the_job_ends_as_it_is():
    job = make_jobs("a")["a"]
    task = attempt(job)
    assert ask(task).status == 200
    cancel(job)
    assert (fresh(job).state, fresh(job).status_code) == ("running", "finalizing")
    assert "published already" in fresh(job).status_message
    assert listed() == [task.task_id], "the agent is not asked to end what it publishes"
    assert ask(task).status == 200
    assert end(task).status == 200
    assert (fresh(job).status_code, fresh(job).cancelled) == ("succeeded", False)
    assert Event.objects.filter(kind="job.cancel_too_late", job_id=job.id).count() == 1
    assert service.latest_jobs("test", "ws", ["a"])["a"].id == job.id, "its outputs are there to be used"


def test_a_cancel_after_the_word_holds_when_nothing_was_published():
    job = make_jobs("a")["a"]
    task = attempt(job)
    ask(task)
    cancel(job)
    end(task, error={"type": "disk_full", "stage": "finalizing", "reference": "12345678"})
    assert (fresh(job).status_code, fresh(job).cancelled) == ("cancelled_by_user", True)
    assert listed() == []


@pytest.mark.parametrize("error", [{"type": "disk_full"}, {"type": "lost"}])
def test_an_attempt_with_the_word_that_failed_by_our_fault_is_followed_by_one_that_asks_anew(monkeypatch, error):
    job = make_jobs("a")["a"]
    ask(attempt(job))
    end(attempt(job), error=error)
    _sweep_in(monkeypatch, seconds=60)
    assert ask(attempt(job)).status == 409
    assert attempt(job, 2).publish_allowed_at is None
    assert ask(attempt(job, 2)).status == 200


def test_nothing_stops_an_attempt_that_has_the_word(monkeypatch):
    job = make_jobs(new_job("a", requires_db=True, timeout_seconds=60.0))["a"]
    task = attempt(job)
    updates.apply_update("test", TaskUpdate(task_id=task.task_id, stage="executing"))
    ask(task)
    administration.database_maintenance("test", True, "admin:x")
    assert not administration.reset_for_reboot(job.id, "test", "admin:x")
    _sweep_in(monkeypatch, seconds=90)
    assert fresh(job).status_code == "finalizing"
    assert listed() == [task.task_id]
    with pytest.raises(attempts.StillPublishing), locked("test"):
        attempts.stop(fresh(job))
    end(task)
    assert fresh(job).status_code == "succeeded"


def test_a_fault_of_our_own_never_gives_up_an_attempt_that_has_the_word(monkeypatch):
    job = make_jobs("a")["a"]
    task = attempt(job)
    ask(task)
    Task.objects.filter(pk=task.pk).update(agent_stage="executing", lease_expires_at=clock.now())
    monkeypatch.setattr("carrel.jobs.schedule._Pass._mirror", _broken)
    for minutes in range(10, 70, 10):
        _sweep_in(monkeypatch, minutes=minutes)
    assert fresh(job).failed_attempts >= 4
    assert (fresh(job).state, fresh(job).status_code) == ("running", "finalizing")
    assert listed() == [task.task_id]


def _broken(*_args: object) -> None:
    raise ZeroDivisionError


def test_a_row_that_cannot_be_read_is_given_up_with_its_attempt_but_not_while_that_publishes():
    jobs = make_jobs("a", "b")
    ask(attempt(jobs["b"]))
    Job.objects.filter(pk__in=[jobs["a"].pk, jobs["b"].pk]).update(wait_for_job_ids=7)
    with locked("test"):
        scheduling.run("test")
    assert fresh(jobs["a"]).status_code == "internal_error"
    assert ask(attempt(jobs["a"])).status == 409
    assert fresh(jobs["b"]).state == "running"
    assert listed() == [attempt(jobs["b"]).task_id, f"{attempt(jobs['a']).task_id}-cancel"]


def _sweep_in(monkeypatch, **later) -> None:
    moment = clock.now() + timedelta(**later)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: moment)
        Sweep().once()
