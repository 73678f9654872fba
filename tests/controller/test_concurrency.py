"""Many processes and threads at once: the same request, the same report, one backend's room."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from tests.support.controller import make_jobs, new_job, rap_fields, results
from tests.support.controller_server import environ_of

from carrel.controller import service
from carrel.controller.models import Event, Job, Rap, Task
from carrel.controller.service import updates
from carrel.messages.tasks import TaskUpdate

pytestmark = pytest.mark.usefixtures("database")

ROOT = Path(__file__).parents[2]

CREATE = """
import django, json, sys
django.setup()
from carrel.controller import service
from tests.support.controller import new_job, rap_fields
sys.stdin.readline()
rap, opened = service.open_rap(rap_fields(id="samesamesamesame"))
jobs, created = service.create_jobs(rap.id, lambda: [new_job(f"action{n}") for n in range(5)])
print(json.dumps([opened, created, [job.id for job in jobs]]))
"""


def in_threads(work: Callable[[int], object], count: int = 6) -> list[object]:
    """Results of `work(n)` from as many threads, started together."""
    results: list[object] = [None] * count
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            ready.wait()
            results[number] = work(number)
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_many_processes_create_the_same_request_and_one_row_of_each_is_made(database, workdir):
    environ = environ_of(database.url, workdir, DJANGO_SETTINGS_MODULE="carrel.web.settings")
    command = [sys.executable, "-c", CREATE]
    workers = [
        subprocess.Popen(command, env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    answers = [json.loads(worker.communicate("go\n", timeout=60)[0]) for worker in workers]
    assert [sorted(column) for column in list(zip(*answers, strict=True))[:2]] == [[False] * 4 + [True]] * 2
    assert len({tuple(ids) for _, _, ids in answers}) == 1
    assert (Rap.objects.count(), Job.objects.count(), Task.objects.count()) == (1, 5, 2)
    assert Event.objects.filter(kind="rap.opened").count() == 1
    assert Event.objects.filter(kind="job.created").count() == 5


def test_many_threads_create_the_same_request(database):
    def create(_number: int) -> bool:
        rap, _ = service.open_rap(rap_fields(id="samesamesamesame"))
        return service.create_jobs(rap.id, lambda: [new_job("a")])[1]

    assert sorted(in_threads(create)) == [False] * 5 + [True]


def test_many_requests_at_once_never_take_more_room_than_there_is(database):
    fields = [rap_fields(workspace=f"w{n}") for n in range(6)]

    def create(number: int) -> int:
        rap, _ = service.open_rap(fields[number])
        return len(service.create_jobs(rap.id, lambda: [new_job("a"), new_job("b")])[0])

    assert in_threads(create) == [2] * 6
    assert Job.objects.filter(state="running").count() == 2
    assert Task.objects.filter(active=True).count() == 2


def test_the_same_last_report_from_many_threads_is_taken_in_once():
    job = make_jobs("a")["a"]
    task = Task.objects.get()
    update = TaskUpdate(
        task_id=task.task_id, stage="finalized", complete=True, results=results(), attempt_token=task.attempt_token
    )
    outcomes = in_threads(lambda _: updates.apply_update("test", update).status)
    assert outcomes == [200] * 6
    assert Event.objects.filter(kind="task.update").count() == 1
    assert Event.objects.filter(job_id=job.id, data__to="succeeded").count() == 1


def test_a_cancel_and_a_last_report_at_once_leave_one_outcome_and_no_task_behind():
    for _ in range(5):
        job = make_jobs("a")["a"]
        task = Task.objects.get(job=job)
        update = TaskUpdate(
            task_id=task.task_id, stage="finalized", complete=True, results=results(), attempt_token=task.attempt_token
        )
        work = [
            lambda job=job: service.cancel_actions(job.rap_id, ["a"], ["test"]),
            lambda update=update: updates.apply_update("test", update).status,
        ]
        _, status = in_threads(lambda number, work=work: work[number](), count=2)
        final = Job.objects.get(pk=job.pk)
        ended = {"succeeded": (200, False, 0), "cancelled_by_user": (409, True, 1)}[final.status_code]
        cancels = Task.objects.filter(job=job, type="canceljob")
        assert (status, final.cancelled, cancels.count()) == ended
        cancels.update(active=False)
        assert not Task.objects.filter(active=True).exists()


def test_an_agent_seen_by_many_threads_at_once_is_one_flag():
    from carrel.controller.models import Flag
    from carrel.controller.service import flags

    assert in_threads(lambda _: flags.saw_agent("test")) == [None] * 6
    assert Flag.objects.count() == 1
