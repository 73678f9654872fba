"""kill -9 between any two instructions, then simply start again: no job lost, none made twice, the same final rows."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.controller import make_jobs, results
from tests.support.controller_server import environ_of, eventually, sweeper, web

from carrel.controller import service
from carrel.controller.models import Event, Job, Rap, Task

POINTS = [
    "controller.attempt.created",
    "controller.attempt.superseded",
    "controller.cancel.done",
    "controller.cancel.flagged",
    "controller.decision.applied",
    "controller.decision.applied:4",
    "controller.jobs.created",
    "controller.jobs.inserted",
    "controller.jobs.scheduled",
    "controller.rap.inserted",
    "controller.rap.opened",
    "controller.status.changed",
    "controller.status.changed:6",
    "controller.sweep.ran",
    "controller.update.applied",
    "controller.update.committed",
    "controller.update.received",
    "controller.update.written",
    "controller.update.written:3",
    "controller.updates.applied",
]


def run_scenario(environ: dict[str, str], *args: str) -> int:
    command = [sys.executable, "-m", "tests.support.crash_scenario", *args]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environ, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def rows() -> dict[str, list]:
    """All that matters, without what a clock or a random number made."""
    transitions = Event.objects.filter(kind="job.status").order_by("id")
    return {
        "raps": list(Rap.objects.values_list("id", "outcome")),
        "jobs": list(
            Job.objects.order_by("action").values_list(
                "action", "state", "status_code", "status_message", "cancelled", "outputs_missing", "failed_attempts"
            )
        ),
        "tasks": sorted(
            Task.objects.values_list("task_id", "type", "active", "superseded", "agent_stage", "agent_complete")
        ),
        "transitions": sorted(transitions.values_list("job_id", "data__from", "data__to")),
        "others": sorted(Event.objects.exclude(kind="job.status").values_list("kind", "job_id", "task_id")),
    }


@pytest.fixture(scope="module")
def expected(database_template, tmp_path_factory, django_db_blocker) -> dict[str, list]:
    """The rows of a run that nothing disturbed, which passes every fault point there is."""
    from tests.controller.conftest import environment
    from tests.support.databases import used_by_django

    folder = tmp_path_factory.mktemp("undisturbed")
    database = database_template.copy(folder)
    points = folder / "points"
    assert run_scenario(environ_of(database.url, folder, **environment(folder)), str(points)) == 0
    assert set(points.read_text().split()) == {point.partition(":")[0] for point in POINTS}
    with django_db_blocker.unblock(), used_by_django(database):
        return rows()


def test_the_undisturbed_run_is_what_it_should_be(expected):
    assert [(job[0], job[2]) for job in expected["jobs"]] == [
        ("a", "succeeded"),
        ("b", "succeeded"),
        ("c", "cancelled_by_user"),
        ("d", "dependency_failed"),
    ]
    assert expected["jobs"][0][5] is True, "a's output is gone: the next plan runs it again"
    assert "a" in expected["jobs"][3][3]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_and_run_again(point, expected, database, workdir):
    environ = environ_of(database.url, workdir)
    assert run_scenario({**environ, "CARREL_FAULT": point}) == -signal.SIGKILL
    assert run_scenario(environ) == 0
    assert rows() == expected


@pytest.mark.parametrize(
    "point", ["controller.update.received", "controller.update.written", "controller.update.committed"]
)
def test_the_web_process_is_killed_while_an_agent_reports(point, database, workdir):
    job = make_jobs("a")["a"]
    environ = environ_of(database.url, workdir)
    message = {
        "task_id": f"{job.id}-001",
        "stage": "finalized",
        "complete": True,
        "results": results(),
        "attempt_token": Task.objects.get().attempt_token,
    }
    import httpx

    with web({**environ, "CARREL_FAULT": point}) as killed, killed.client(**{"Carrel-Agent": "1"}) as client:
        with pytest.raises(httpx.TransportError):
            client.post("/test/task/update/", json=message)
        assert killed.process.wait(20) == -signal.SIGKILL
    with web(environ) as again, again.client(**{"Carrel-Agent": "1"}) as client:
        assert client.post("/test/task/update/", json=message).status_code == 200
    assert Job.objects.get().status_code == "succeeded"
    assert Event.objects.filter(kind="task.update").count() == 1
    assert Event.objects.filter(kind="job.status", data__to="succeeded").count() == 1


def test_the_sweep_is_killed_and_a_second_one_beside_it_does_no_harm(database, workdir, controller_env):
    """Two sweeps, one killed at work: the retry that only time triggers is made once."""
    job = make_jobs("a")["a"]
    fail_attempt(job)
    assert Job.objects.get().status_code == "waiting_on_new_task"
    environ = environ_of(database.url, workdir, JOB_LOOP_INTERVAL="0.1")
    with sweeper({**environ, "CARREL_FAULT": "controller.attempt.created"}) as killed:
        assert killed.process.wait(30) == -signal.SIGKILL
    assert Task.objects.count() == 1
    with sweeper(environ), sweeper(environ):
        eventually(lambda: Job.objects.get().status_code == "initiated")
    assert sorted(Task.objects.values_list("task_id", flat=True)) == [f"{job.id}-001", f"{job.id}-002"]


def fail_attempt(job: Job) -> None:
    from carrel.controller.service import updates
    from carrel.messages.tasks import TaskUpdate

    error = {"type": "executor_error", "stage": "prepare", "reference": "r1"}
    update = TaskUpdate(task_id=f"{job.id}-001", stage="error", results=results(error=error), complete=True)
    assert updates.apply_update(job.backend, update).status == 200


def test_a_planner_killed_before_it_made_jobs_leaves_a_request_that_can_be_planned_again(database):
    from tests.support.controller import add_jobs, rap_fields

    fields = rap_fields()
    service.open_rap(fields)
    rap, created = service.open_rap(fields)
    assert (created, rap.outcome) == (False, "")
    assert set(add_jobs(rap, "a")) == {"a"}
    assert os.environ.get("CARREL_FAULT") is None
