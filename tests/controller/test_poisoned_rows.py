"""One row that holds nonsense is that row's trouble: what runs, waits, is told and is counted of others goes on.

Nonsense comes from outside (a hand at the database, a damaged disk, an older or newer version), so it is written there,
past every check of ours. What the database itself refuses needs no more.
"""

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, models
from django.test import Client
from tests.support.controller import make_jobs, new_job, results

from carrel.controller import metrics, service, settings
from carrel.controller.models import Event, Job, Rap, Task
from carrel.controller.service import scheduling, updates
from carrel.controller.service.locks import locked
from carrel.controller.sweep import Sweep
from carrel.messages.tasks import TaskUpdate

TIMES = [None, "nonsense", "", 5, "infinity", "-infinity", "9999-12-31 23:59:59.999999+00", "0001-01-01 00:00:00+00"]
TEXTS = [None, "", "nonsense", "x" * 100_000, b"\xff", "succeeded"]
NUMBERS = [None, -1, "nonsense", float("nan"), float("inf"), -1e308, 1e308, 2**62]
TRUTHS = [None, "nonsense", 7, b"\x00"]
DOCUMENTS = [None, "null", "[]", "{}", "[[1]]", '{"a": [1]}', '"text"', "5", '{"\\ud800": "\\ud800"}', "no JSON"]


def poisons(field: Any) -> list[Any]:
    kinds = {
        models.DateTimeField: TIMES,
        models.JSONField: DOCUMENTS,
        models.BooleanField: TRUTHS,
        models.CharField: TEXTS,
        models.TextField: TEXTS,
        models.ForeignKey: TEXTS,
    }
    return next((values for kind, values in kinds.items() if isinstance(field, kind)), NUMBERS)


def columns(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def poison(model: type[models.Model], column: str, value: Any, pk: Any) -> bool:
    """Write it past Django; False when the database refuses it."""
    table, key = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        try:
            cursor.execute(f'UPDATE {table} SET "{column}" = %s WHERE {key} = %s', [value, pk])
        except (DatabaseError, OverflowError, ValueError):
            return False
    return True


def poison_all(model: type[models.Model], column: str, keys: list[Any]) -> bool:
    """Each row another poison; whether the database took any."""
    values = poisons(model._meta.get_field(column))
    taken = sum(poison(model, column, value, pk) for value, pk in zip(values, keys, strict=True))
    # PostgreSQL holds to the kinds of most columns by itself.
    return taken > 0 or connection.vendor == "postgresql"


@pytest.fixture
def room(controller_env: pytest.MonkeyPatch, database: Any) -> None:
    controller_env.setenv("TEST_MAX_WORKERS", "100")
    controller_env.setenv("TEST_MAX_DB_WORKERS", "100")
    settings.get.cache_clear()
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA foreign_keys = OFF")


def report(job: Job, stage: str, complete: bool = False) -> int:
    task = Task.objects.get(job=job, type="runjob")
    update = TaskUpdate(
        task_id=task.task_id,
        stage=stage,
        complete=complete,
        results=results() if complete else None,
        attempt_token=task.attempt_token,
    )
    return updates.apply_updates("test", [update])[0].status


def code_told(job: Job) -> str:
    return service.rap_status_jobs([job.rap_id], ["test"])[0][0].status_code


def victims(number: int) -> tuple[list[Job], list[Job]]:
    """So many jobs that run, and so many that wait, each of a request of its own."""
    running = [make_jobs(f"r{n}", workspace="other")[f"r{n}"] for n in range(number)]
    waiting = [
        make_jobs(new_job(f"w{n}", wait_for_job_ids=(running[0].id,)), workspace="other")[f"w{n}"]
        for n in range(number)
    ]
    return running, waiting


def all_goes_on(good: Job, raps: list[str]) -> None:
    """Everything that looks at more than one row, with a healthy job that goes to its end meanwhile."""
    client = Client(HTTP_AUTHORIZATION="test-client")
    agent = Client(HTTP_AUTHORIZATION="test-token")
    task = Task.objects.get(job=good, type="runjob")

    def look(expected: str) -> None:
        Sweep().once()
        with locked("test"):
            scheduling.run("test")
        body = json.dumps({"rap_ids": [good.rap_id, *raps]})
        answer = client.post("/controller/v1/rap/status/", body, content_type="application/json")
        assert answer.status_code == 200, answer.content
        told = {job["identifier"]: job["status_code"] for job in answer.json()["jobs"]}
        assert told[good.id] == expected
        assert set(raps) <= {job["rap_id"] for job in answer.json()["jobs"]} | set(
            answer.json()["unrecognised_rap_ids"]
        )
        assert client.get("/controller/v1/backend/status/").status_code == 200
        assert b"carrel_queue_length" in metrics.exposition()[0]
        assert service.latest_jobs("test", "ws", ["good"])["good"].id == good.id
        service.latest_jobs("test", "other", [f"{kind}{n}" for kind in "rw" for n in range(10)])

    for extra in ({}, {"HTTP_CARREL_AGENT": "0.1.0"}):
        listed = agent.get("/test/tasks/", **extra)
        assert listed.status_code == 200, listed.content
        assert task.task_id in [item["id"] for item in listed.json()["tasks"]]
    beat = json.dumps({"attempts": dict.fromkeys(map(str, Task.objects.values_list("task_id", flat=True)), "x")})
    beat = beat.replace(f'"{task.task_id}": "x"', f'"{task.task_id}": "{task.attempt_token}"')
    answer = agent.post("/test/tasks/heartbeat/", beat, content_type="application/json", HTTP_CARREL_AGENT="0.1.0")
    assert answer.status_code == 200
    assert task.task_id not in answer.json()["superseded"]

    look("initiated")
    assert report(good, "executing") == 200
    look("executing")
    later = make_jobs(new_job("later", wait_for_job_ids=(good.id,)))["later"]
    assert code_told(later) == "waiting_on_dependencies"
    assert report(good, "finalized", complete=True) == 200
    look("succeeded")
    assert code_told(later) == "initiated"
    for command in (["latest_jobs", "--workspace", "other"], ["prepare_for_reboot", "--backend", "test", "--status"]):
        call_command(*command)
    call_command("prepare_for_reboot", "--backend", "test", "-y")
    assert code_told(later) == "waiting_on_reboot"
    call_command("purge", "--older-than", "1")


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("column", columns(Job))
def test_a_poisoned_job(column: str) -> None:
    good = make_jobs("good")["good"]
    running, waiting = victims(len(poisons(Job._meta.get_field(column))))
    raps = [job.rap_id for job in running + waiting]
    assert poison_all(Job, column, [job.pk for job in running])
    poison_all(Job, column, [job.pk for job in waiting])
    all_goes_on(good, raps)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize(
    ("column", "value", "code"), [("weight", -1.0, "initiated"), ("status_code", "x", "unreadable")]
)
def test_what_became_of_a_poisoned_job_has_its_event(column: str, value: object, code: str) -> None:
    job = make_jobs("r")["r"]
    Job.objects.filter(pk=job.pk).update(**{column: value})
    with locked("test"):
        scheduling.run("test")
    ended = Job.objects.get(pk=job.pk)
    assert (ended.state, ended.status_code) == ("failed", "internal_error")
    event = Event.objects.filter(job_id=job.pk, kind="job.status").order_by("id").last()
    assert event is not None
    assert event.data == {
        "from": code,
        "to": "internal_error",
        "state": "failed",
        "message": ended.status_message,
        "since": ended.updated_at.isoformat(),
        "happened_at": ended.completed_at.isoformat(),
    }
    fault = Event.objects.get(job_id=job.pk, kind="job.fault")
    assert fault.data["reference"] in ended.status_message


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("column", columns(Task))
def test_a_poisoned_task(column: str) -> None:
    good = make_jobs("good")["good"]
    running, _ = victims(len(poisons(Task._meta.get_field(column))))
    assert poison_all(Task, column, [Task.objects.get(job=job).pk for job in running])
    all_goes_on(good, [job.rap_id for job in running])


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("column", columns(Rap))
def test_a_poisoned_request(column: str) -> None:
    good = make_jobs("good")["good"]
    running, waiting = victims(len(poisons(Rap._meta.get_field(column))))
    taken = poison_all(Rap, column, [job.rap_id for job in running])
    assert taken or column == "id"  # the jobs' foreign key keeps it
    poison_all(Rap, column, [job.rap_id for job in waiting])
    all_goes_on(good, [job.rap_id for job in running + waiting])


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("column", columns(Event))
def test_a_poisoned_event(column: str) -> None:
    good = make_jobs("good")["good"]
    names = columns(Event)
    row = dict.fromkeys(names, "") | {"id": 10_000, "at": "2024-01-01 00:00:00+00", "data": "{}"}
    sql = f"INSERT INTO {Event._meta.db_table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
    for number, value in enumerate(poisons(Event._meta.get_field(column))):
        poisoned = row | {"id": 10_000 + number} | {column: value}
        with connection.cursor() as cursor:
            try:
                cursor.execute(sql, list(poisoned.values()))
            except (DatabaseError, OverflowError, ValueError):
                continue
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT setval(pg_get_serial_sequence('controller_event', 'id'), 20000)")
    all_goes_on(good, [])
