"""The write door from request to end, in one process: rows, events and tasks after each step."""

import pytest
from tests.support.controller import add_jobs, make_jobs, new_job, rap_fields, results

from carrel.controller import clock, service
from carrel.controller.models import Event, Job, RapOutcome, Task
from carrel.controller.service import administration, flags, scheduling, updates
from carrel.controller.service.locks import locked
from carrel.controller.sweep import Sweep
from carrel.jobs.identifiers import job_id
from carrel.messages.tasks import TaskUpdate, UpdateOutcome

pytestmark = pytest.mark.usefixtures("database")

STAGES = ["preparing", "prepared", "executing", "executed", "finalizing"]


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def code(job: Job) -> str:
    return fresh(job).status_code


def report(job: Job, stage: str, complete: bool = False, task: Task | None = None, **result) -> UpdateOutcome:
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


def told(job: Job) -> list[str]:
    events = Event.objects.filter(job_id=job.id, kind="job.status").order_by("id")
    return list(events.values_list("data__to", flat=True))


def sweep_at(monkeypatch, **later) -> None:
    """Let time pass, then sweep."""
    from datetime import timedelta

    moment = clock.now() + timedelta(**later)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: moment)
        Sweep().once()


def test_a_job_goes_from_request_to_success():
    job = make_jobs("a")["a"]
    assert code(job) == "initiated"
    assert active() == [f"runjob {job.id}-001"]
    for stage in STAGES:
        assert report(job, stage).status == 200
        assert code(job) == stage
    report(job, "finalized", complete=True, job_metrics={"cpu_peak": 3})
    job = fresh(job)
    assert (job.state, job.status_code, job.metrics) == ("succeeded", "succeeded", {"cpu_peak": 3})
    assert job.completed_at
    assert active() == []
    assert told(job) == ["initiated", *STAGES, "succeeded"]


def test_job_ids_are_those_of_the_contract():
    # printf 'abcdefghijklmnop\ngenerate_dataset' | sha1sum | cut -c1-20 | xxd -r -p | base32 | tr A-Z a-z
    assert job_id("abcdefghijklmnop", "generate_dataset") == "5pkaxqfxspwgwjtu"
    job = make_jobs("a")["a"]
    assert job.id == job_id(job.rap_id, "a")


def test_jobs_wait_for_what_they_need_and_start_at_once_when_it_is_there():
    rap, _ = service.open_rap(rap_fields())
    jobs = add_jobs(rap, "a", new_job("b", needs=("a",), wait_for_job_ids=(job_id(rap.id, "a"),)))
    assert code(jobs["b"]) == "waiting_on_dependencies"
    report(jobs["a"], "finalized", complete=True)
    assert code(jobs["b"]) == "initiated"
    task = Task.objects.get(job=jobs["b"])
    assert task.definition["input_job_ids"] == [jobs["a"].id]


def test_when_a_job_fails_those_that_need_it_fail_in_the_same_transaction():
    rap, _ = service.open_rap(rap_fields())
    ids = {name: job_id(rap.id, name) for name in "abc"}
    jobs = add_jobs(
        rap,
        "a",
        new_job("b", needs=("a",), wait_for_job_ids=(ids["a"],)),
        new_job("c", needs=("b",), wait_for_job_ids=(ids["b"],)),
    )
    report(jobs["a"], "finalized", complete=True, exit_code="1")
    assert [code(jobs[name]) for name in "abc"] == ["nonzero_exit", "dependency_failed", "dependency_failed"]


def test_a_backend_runs_no_more_than_it_has_room_for():
    jobs = make_jobs("a", "b", "c")  # `test` has 2 workers
    assert [code(job) for job in jobs.values()] == ["initiated", "initiated", "waiting_on_workers"]
    report(jobs["a"], "finalized", complete=True)
    assert code(jobs["c"]) == "initiated"


def test_one_backends_flags_and_room_are_not_anothers():
    administration.set_flags("tpp", {"paused": "true"}, "admin:x")
    assert code(make_jobs("a")["a"]) == "initiated"
    assert code(make_jobs("a", backend="tpp")["a"]) == "paused"


def test_cancel_stops_the_attempt_and_is_seen_by_the_agent_at_once():
    job = make_jobs("a")["a"]
    report(job, "executing")
    (cancelled,) = service.cancel_actions(job.rap_id, ["a"], ["test"])
    assert (cancelled.status_code, cancelled.cancelled) == ("cancelled_by_user", True)
    assert active() == [f"canceljob {job.id}-001-cancel"]
    cancel = Task.objects.get(active=True)
    assert cancel.attempt_token == Task.objects.get(task_id=f"{job.id}-001").attempt_token
    assert cancel.definition["task_id"] == f"{job.id}-001-cancel"
    assert report(job, "finalized", complete=True).status == 409
    assert report(job, "finalized", complete=True, task=cancel).status == 200
    assert active() == []
    assert code(job) == "cancelled_by_user"


def test_cancelling_a_finished_job_changes_nothing():
    job = make_jobs("a")["a"]
    report(job, "finalized", complete=True)
    before = fresh(job).__dict__ | {"_state": None}
    (same,) = service.cancel_actions(job.rap_id, ["a"], ["test"])
    assert same.__dict__ | {"_state": None} == before
    assert service.latest_jobs("test", "ws", ["a"])["a"].id == job.id


def test_cancel_is_all_or_nothing_and_bound_to_the_backends_allowed():
    job = make_jobs("a", "b")["a"]
    with pytest.raises(service.ActionsNotFound) as refused:
        service.cancel_actions(job.rap_id, ["a", "z", "y"], ["test"])
    assert refused.value.not_found == ["y", "z"]
    with pytest.raises(service.RapNotFound):
        service.cancel_actions(job.rap_id, ["a"], ["tpp"])
    with pytest.raises(service.RapNotFound):
        service.cancel_actions("nosuchrapnosuch1", ["a"], ["test"])
    assert code(job) == "initiated"
    assert not Event.objects.filter(kind="job.cancel_requested").exists()


def test_an_infrastructure_fault_is_tried_three_times_with_growing_pauses(monkeypatch):
    job = make_jobs("a")["a"]
    fault = {"type": "disk_full", "stage": "prepare", "reference": "abc"}
    for attempt, seconds in ((1, 6), (2, 31)):
        report(job, "error", complete=True, error=fault)
        assert code(job) == "waiting_on_new_task"
        assert f"Attempt {attempt + 1} of 3" in fresh(job).status_message
        Sweep().once()
        assert Task.objects.count() == attempt
        sweep_at(monkeypatch, seconds=seconds)
        assert code(job) == "initiated"
        assert Task.objects.count() == attempt + 1
        Job.objects.filter(pk=job.pk).update(status_code_updated_at=clock.now(), updated_at=clock.now())
    report(job, "error", complete=True, error=fault)
    assert code(job) == "job_error"
    assert "abc" in fresh(job).status_message
    assert active() == []


def test_an_input_that_is_gone_names_the_action_and_its_next_plan_runs_it_again():
    first = make_jobs("a")["a"]
    report(first, "finalized", complete=True)
    user = make_jobs(new_job("b", needs=("a",)))["b"]
    report(user, "error", complete=True, error={"type": "input_missing", "action": "a", "reference": "r"})
    assert code(user) == "dependency_failed"
    assert "'a'" in fresh(user).status_message
    assert service.latest_jobs("test", "ws", ["a"])["a"].outputs_missing
    assert Event.objects.filter(kind="job.outputs_missing", job_id=first.id).count() == 1


def test_a_job_that_takes_longer_than_its_timeout_is_stopped(monkeypatch):
    job = make_jobs(new_job("a", timeout_seconds=60.0))["a"]
    report(job, "executing")
    sweep_at(monkeypatch, seconds=50)
    assert code(job) == "executing"
    sweep_at(monkeypatch, seconds=70)
    assert code(job) == "timed_out"
    assert active() == [f"canceljob {job.id}-001-cancel"]
    assert report(job, "finalized", complete=True, task=Task.objects.get(task_id=f"{job.id}-001")).status == 409


def test_the_backends_own_timeout_is_the_default(controller_env):
    from carrel.controller import settings

    controller_env.setenv("TEST_JOB_TIMEOUT", "2h")
    settings.get.cache_clear()
    assert make_jobs("a")["a"].timeout_seconds == 7200


def test_a_lost_agent_is_said_and_nothing_is_started_again(monkeypatch):
    job = make_jobs("a")["a"]
    report(job, "executing")
    task = Task.objects.get()
    from carrel.messages.tasks import Heartbeat

    updates.heartbeat("test", Heartbeat(attempts={task.task_id: task.attempt_token}))
    sweep_at(monkeypatch, seconds=70)
    assert fresh(job).status_message.startswith("No word from the backend's agent")
    assert (code(job), active()) == ("executing", [f"runjob {job.id}-001"])
    assert report(job, "finalized", complete=True).status == 200
    assert code(job) == "succeeded"


def test_a_poison_job_never_stops_the_others(monkeypatch):
    poison = new_job("poison", run_command='python:v2 python "unbalanced')
    jobs = make_jobs(poison, "a")
    assert code(jobs["a"]) == "initiated"
    assert code(jobs["poison"]) == "waiting_on_new_task"
    sweep_at(monkeypatch, seconds=6)
    assert fresh(jobs["poison"]).failed_attempts == 2
    sweep_at(monkeypatch, seconds=60)
    job = fresh(jobs["poison"])
    assert (job.state, job.status_code) == ("failed", "internal_error")
    references = [event.data["reference"] for event in Event.objects.filter(kind="job.fault").order_by("id")]
    assert len(references) == 3
    assert references[-1] in job.status_message
    assert "unbalanced" not in job.status_message
    assert Task.objects.filter(job=job).count() == 0
    report(jobs["a"], "finalized", complete=True)
    assert code(jobs["a"]) == "succeeded"


def test_a_row_that_cannot_be_read_fails_alone():
    jobs = make_jobs("a", "b", "c")
    Job.objects.filter(pk=jobs["a"].pk).update(status_code="no such code")
    report(jobs["b"], "finalized", complete=True)
    assert code(jobs["a"]) == "internal_error"
    assert code(jobs["b"]) == "succeeded"
    assert code(jobs["c"]) == "initiated"


def test_a_running_job_whose_results_cannot_be_understood_is_a_fault_not_a_crash():
    job = make_jobs("a")["a"]
    task = Task.objects.get()
    update = TaskUpdate(task_id=task.task_id, stage="finalized", complete=True, results={"nonsense": [1]})
    assert updates.apply_update("test", update).status == 200
    assert code(job) in {"waiting_on_new_task", "nonzero_exit"}


def test_database_status_sets_the_mode_unless_a_person_has(monkeypatch):
    from carrel.controller import settings
    from carrel.controller.service import maintenance

    object.__setattr__(settings.get(), "maintenance_enabled_backends", ["test"])
    object.__setattr__(settings.get().backend("test"), "images", "local")
    job = make_jobs(new_job("a", requires_db=True))["a"]

    def answer(status: str) -> None:
        maintenance.keep_regular_tasks("test")
        task = Task.objects.get(type="dbstatus", active=True)
        told = {"results": {"status": status}, "error": None}
        update = TaskUpdate(task_id=task.task_id, stage="", results=told, complete=True)
        assert updates.apply_update("test", update).status == 200

    answer("db-maintenance")
    assert flags.value_of("test", "mode") == "db-maintenance"
    assert code(job) == "waiting_db_maintenance"
    maintenance.keep_regular_tasks("test")
    assert not Task.objects.filter(type="dbstatus", active=True).exists(), "not again within 300 s"
    Task.objects.filter(type="dbstatus").update(finished_at=clock.now().replace(year=2020))
    administration.set_flags("test", {"manual-db-maintenance": "on"}, "admin:x")
    answer("")
    assert flags.value_of("test", "mode") == "db-maintenance"
    administration.set_flags("test", {"db-maintenance-checks-disabled": "true"}, "admin:x")
    Task.objects.filter(type="dbstatus").update(finished_at=clock.now().replace(year=2020))
    maintenance.keep_regular_tasks("test")
    assert not Task.objects.filter(type="dbstatus", active=True).exists(), "checks are disabled"


def test_a_database_status_outside_the_vocabulary_changes_nothing():
    task = Task.objects.create(
        task_id="dbstatus-x", backend="test", type="dbstatus", definition={}, created_at=clock.now()
    )
    told = {"results": {"status": "patient 123"}, "error": None}
    updates.apply_update("test", TaskUpdate(task_id=task.task_id, stage="", results=told, complete=True))
    assert flags.value_of("test", "mode") is None


def test_resources_are_capped_by_the_backends_limits(controller_env):
    from carrel.controller import settings

    controller_env.setenv("TEST_JOB_CPU_COUNT", "2")
    controller_env.setenv("TEST_MAX_JOB_CPU_COUNT", "4")
    controller_env.setenv("TEST_MAX_JOB_MEMORY_LIMIT", "16G")
    settings.get.cache_clear()
    make_jobs(new_job("a", cpu_count=64.0, memory_limit="1T"), new_job("b", cpu_count=0.5, memory_limit="512M"))
    asked = {task.definition["action"]: task.definition for task in Task.objects.all()}
    assert (asked["a"]["cpu_count"], asked["a"]["memory_limit"]) == (4.0, "16G")
    assert (asked["b"]["cpu_count"], asked["b"]["memory_limit"]) == (0.5, "512M")


def test_environment_of_a_job(controller_env):
    from carrel.controller import settings

    controller_env.setenv("STATA_LICENSE", "licence")
    controller_env.setenv("WORKSPACE_EHRQL_MAX_JOIN_COUNT", '{"ws": 7}')
    settings.get.cache_clear()
    make_jobs(new_job("a", run_command="stata-mp:latest analysis.do"), new_job("b", requires_db=True), workspace="ws")
    made = {task.definition["action"]: task.definition["env"] for task in Task.objects.all()}
    assert made["a"] == {"OPENSAFELY_BACKEND": "test", "STATA_LICENSE": "licence", "EHRQL_MAX_JOIN_COUNT": "7"}
    assert made["b"] == {"OPENSAFELY_BACKEND": "test", "EHRQL_PERMISSIONS": "[]", "EHRQL_MAX_JOIN_COUNT": "7"}


def test_a_request_is_opened_once_and_its_jobs_are_made_once():
    fields = rap_fields()
    rap, created = service.open_rap(fields)
    assert created
    assert service.open_rap(fields) == (rap, False)
    jobs = add_jobs(rap, "a")
    again, made = service.create_jobs(rap.id, lambda: [new_job("b")])
    assert ([job.id for job in again], made) == ([jobs["a"].id], False)
    with pytest.raises(service.InconsistentRap):
        service.open_rap(rap_fields(id=rap.id, commit="b" * 40))


def test_an_outcome_never_replaces_that_jobs_were_made():
    rap, _ = service.open_rap(rap_fields())
    assert service.record_rap_outcome(rap.id, RapOutcome.ERROR, "no such branch").outcome == "error"
    add_jobs(rap, "a")
    assert service.record_rap_outcome(rap.id, RapOutcome.ERROR, "late").outcome == "created"


def test_when_jobs_cannot_be_made_none_is():
    rap, _ = service.open_rap(rap_fields())

    def breaking():
        raise LookupError

    with pytest.raises(LookupError):
        service.create_jobs(rap.id, breaking)
    assert (Job.objects.count(), Task.objects.count()) == (0, 0)


def test_latest_jobs_sees_the_newest_that_was_not_cancelled():
    first, second = make_jobs("a", "b"), make_jobs("a")
    make_jobs("a", workspace="other")
    make_jobs("a", backend="tpp")
    latest = service.latest_jobs("test", "ws", ["a", "b", "never"])
    assert {action: job.id for action, job in latest.items()} == {"a": second["a"].id, "b": first["b"].id}
    service.cancel_actions(second["a"].rap_id, ["a"], ["test"])
    assert service.latest_jobs("test", "ws", ["a"])["a"].id == first["a"].id
    assert service.latest_jobs("test", "ws", []) == {}


def test_rap_status_jobs_costs_the_same_number_of_queries_however_many_jobs(django_assert_num_queries):
    raps = [make_jobs("a", "b")["a"].rap_id for _ in range(3)]
    foreign = make_jobs("a", backend="tpp")["a"].rap_id
    with django_assert_num_queries(1):
        jobs, unknown = service.rap_status_jobs([*raps, foreign, "unknown"], ["test"])
        assert [job.rap.id for job in jobs] == [raps[0]] * 2 + [raps[1]] * 2 + [raps[2]] * 2
    assert unknown == [foreign, "unknown"]


def test_a_pass_with_nothing_to_do_writes_nothing(django_assert_num_queries):
    make_jobs("a", "b", "c")
    events = Event.objects.count()
    with locked("test"):
        scheduling.run("test")
    assert Event.objects.count() == events
