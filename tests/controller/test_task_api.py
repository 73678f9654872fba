"""The task API over real HTTP: the contract word for word for an agent that is not ours, then our extensions."""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest
from tests.support.controller import add_jobs, make_jobs, new_job, rap_fields, results
from tests.support.controller_server import Live, environ_of, eventually, web
from tests.support.databases import Database
from tests.support.legacy_agent import LegacyAgent

from carrel.controller import service
from carrel.controller.models import Event, Flag, Job, Task
from carrel.controller.service import administration, flags


@pytest.fixture
def server(database: Database, settings) -> Iterator[Live]:  # `settings`: Django's, by pytest-django
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    running = Live()
    yield running
    running.close()


@pytest.fixture
def legacy(server: Live) -> LegacyAgent:
    return LegacyAgent(server.url)


@pytest.fixture
def carrels(server: Live) -> Iterator[httpx.Client]:
    with server.client(**{"Carrel-Agent": "0.1.0"}) as client:
        yield client


def job_of(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def dag() -> dict[str, Job]:
    """a -> (b, c) -> d, where c fails in some tests; e needs nothing."""
    from carrel.jobs.identifiers import job_id

    rap, _ = service.open_rap(rap_fields())
    ids = {name: job_id(rap.id, name) for name in "abcd"}
    return add_jobs(
        rap,
        "a",
        new_job("b", needs=("a",), wait_for_job_ids=(ids["a"],)),
        new_job("c", needs=("a",), wait_for_job_ids=(ids["a"],)),
        new_job("d", needs=("b", "c"), wait_for_job_ids=(ids["b"], ids["c"])),
        "e",
    )


def test_a_contract_agent_drives_jobs_to_their_end(legacy):
    jobs = dag()
    legacy.exit_codes["e"] = "3"
    eventually(lambda: legacy.loop() == 0)
    codes = {name: job_of(job).status_code for name, job in jobs.items()}
    assert codes == {"a": "succeeded", "b": "succeeded", "c": "succeeded", "d": "succeeded", "e": "nonzero_exit"}
    assert sorted(legacy.ran) == ["a", "b", "c", "d", "e"]
    assert legacy.ran.index("d") > max(legacy.ran.index("b"), legacy.ran.index("c"))
    assert Task.objects.filter(active=True).count() == 0


def test_a_contract_agent_sees_exactly_the_contracts_keys(server, legacy):
    job = make_jobs(new_job("a", requires_db=True, analysis_scope={"dataset_permissions": ["icnarc"]}))["a"]
    with server.client() as client:
        answer = client.get("/test/tasks/")
    assert list(answer.json()) == ["tasks"]
    (task,) = answer.json()["tasks"]
    assert list(task) == ["id", "backend", "type", "definition", "attributes", "created_at"]
    assert task["id"] == f"{job.id}-001"
    assert task["type"] == "runjob"
    assert task["attributes"] == {"user": "alice", "project": "the-project", "orgs": "org1,org2"}
    assert task["definition"] == {
        "id": job.id,
        "rap_id": job.rap_id,
        "task_id": f"{job.id}-001",
        "repo_url": "https://github.com/opensafely/study",
        "commit": "a" * 40,
        "study": {"git_repo_url": "https://github.com/opensafely/study", "commit": "a" * 40, "branch": "main"},
        "workspace": "ws",
        "action": "a",
        "created_at": int(job.created_at.timestamp()),
        "user": "alice",
        "image": "ghcr.io/opensafely-core/python:v2",
        "image_sha": None,
        "args": ["python", "a.py"],
        "env": {"OPENSAFELY_BACKEND": "test", "EHRQL_PERMISSIONS": '["icnarc"]'},
        "inputs": [],
        "input_job_ids": [],
        "output_spec": {"output/a.csv": "highly_sensitive"},
        "allow_database_access": True,
        "database_name": "default",
        "cpu_count": 2.0,
        "memory_limit": "4G",
        "level4_max_filesize": 16 * 1024 * 1024,
        "level4_max_csv_rows": 5000,
        "level4_file_types": [
            ".csv", ".jpg", ".jpeg", ".png", ".svg", ".svgz", ".html", ".txt", ".log", ".json", ".md",
        ],
    }  # fmt: skip


INVALID = {"error": "Unauthorized", "details": "Invalid token for backend 'test'"}


@pytest.mark.parametrize(
    ("method", "path", "token", "status", "body"),
    [
        ("GET", "/", None, 200, {"method": "GET"}),
        ("POST", "/", None, 200, {"method": "POST"}),
        ("GET", "/other/tasks/", "t", 404, {"error": "Not found", "details": "Backend 'other' not found"}),
        ("GET", "/test/tasks/", None, 401, {"error": "Unauthorized", "details": "No token provided"}),
        ("GET", "/test/tasks/", "x", 401, INVALID),
        ("GET", "/test/tasks/", "tpp-token", 401, INVALID),
        ("POST", "/test/tasks/", "test-token", 403, None),
        ("GET", "/test/task/update/", "test-token", 405, None),
        ("POST", "/test/task/update/", "test-token", 400, None),
        ("GET", "/healthz", None, 200, {"status": "ok"}),
        ("GET", "/readyz", None, 200, {"status": "ready"}),
    ],
)  # fmt: skip
def test_answers_of_the_contract(server, method, path, token, status, body):
    answer = httpx.request(method, server.url + path, headers={"Authorization": token} if token else {})
    assert answer.status_code == status
    assert body is None or answer.json() == body


def test_every_url_works_with_and_without_its_slash(server, carrels):
    for path in ("/test/tasks", "/test/tasks/", "/healthz/", "/metrics", "/metrics/"):
        assert carrels.get(path).status_code == 200


@pytest.mark.parametrize("payload", ["not json", "[]", "{}", '{"task_id": 1}', '{"task_id": "x", "stage": null}'])
def test_a_malformed_update_is_refused_without_repeating_it(server, payload):
    with server.client() as client:
        answer = client.post("/test/task/update/", data={"payload": payload})
    assert answer.status_code == 400
    assert answer.json()["error"] == "Validation error"


def test_an_unknown_task_is_an_error_as_in_the_contract(server, carrels):
    message = {"task_id": "unknown", "stage": "executing", "results": None, "complete": False, "timestamp_ns": None}
    with server.client() as client:
        answer = client.post("/test/task/update/", data={"payload": json.dumps(message)})
    assert (answer.status_code, answer.json()) == (500, {"error": "Error updating task"})
    assert carrels.post("/test/task/update/", json=message).status_code == 404


def test_no_backend_can_see_or_change_the_tasks_of_another(server):
    job = make_jobs("a")["a"]
    other = LegacyAgent(server.url, backend="tpp", token="tpp-token")
    assert other.get() == []
    with pytest.raises(httpx.HTTPStatusError, match="500"):
        other.update(f"{job.id}-001", "finalized", results(), complete=True)
    with server.client("tpp-token", **{"Carrel-Agent": "1"}) as theirs:
        attempts = {f"{job.id}-001": Task.objects.get().attempt_token}
        answer = theirs.post("/tpp/tasks/heartbeat/", json={"attempts": attempts})
    assert answer.json() == {"superseded": [f"{job.id}-001"]}
    assert job_of(job).status_code == "initiated"
    assert Task.objects.get().lease_expires_at is None


def test_database_status_comes_first(server, legacy):
    from carrel.controller import settings
    from carrel.controller.service import maintenance

    make_jobs("a")
    object.__setattr__(settings.get(), "maintenance_enabled_backends", ["test"])
    maintenance.keep_regular_tasks("test")
    maintenance.keep_regular_tasks("test")
    first, second = legacy.get()
    assert (first.type, second.type) == ("dbstatus", "runjob")
    assert first.definition == {
        "database_name": "default",
        "image": "ghcr.io/opensafely-core/tpp-database-utils:latest",
        "image_sha": None,
    }


def test_a_contract_agents_late_word_on_a_cancelled_job_changes_nothing(legacy):
    job = make_jobs("a")["a"]
    service.cancel_actions(job.rap_id, ["a"], ["test"])
    legacy.update(f"{job.id}-001", "finalized", results(), complete=True)
    assert job_of(job).status_code == "cancelled_by_user"
    (cancel,) = legacy.get()
    assert (cancel.type, cancel.id) == ("canceljob", f"{job.id}-001-cancel")
    assert cancel.definition["image_sha"] is None
    legacy.loop()
    assert legacy.get() == []
    assert job_of(job).status_code == "cancelled_by_user"


def test_an_idle_backend_writes_last_seen_once_in_15_seconds_and_nothing_else(legacy):
    for _ in range(5):
        legacy.get()
    seen = Flag.objects.get(backend="test", name=flags.LAST_SEEN)
    legacy.get()
    assert Flag.objects.get(backend="test", name=flags.LAST_SEEN).timestamp == seen.timestamp
    assert Event.objects.count() == 0


def test_our_agent_gets_its_extensions(carrels):
    job = make_jobs(new_job("a", timeout_seconds=60.0))["a"]
    body = carrels.get("/test/tasks/").json()
    assert set(body) == {"tasks", "cursor"}
    extensions = body["tasks"][0]["carrel"]
    assert extensions.pop("attempt_token") == Task.objects.get(job=job).attempt_token
    assert extensions == {"attempt": 1, "lease_seconds": 60.0, "timeout_seconds": 60.0}


def test_a_long_poll_answers_at_once_when_something_changed_before_it(carrels):
    cursor = carrels.get("/test/tasks/").json()["cursor"]
    make_jobs("a")
    body = carrels.get("/test/tasks/", params={"wait": 30, "seen": cursor}).json()
    assert len(body["tasks"]) == 1
    assert body["cursor"] != cursor


def check_that_a_waiting_poll_is_woken(client: httpx.Client) -> None:
    cursor = client.get("/test/tasks/").json()["cursor"]
    answers: list[dict] = []

    def poll() -> None:
        answers.append(client.get("/test/tasks/", params={"wait": 35, "seen": cursor}).json())

    thread = threading.Thread(target=poll)
    thread.start()
    thread.join(0.3)
    assert not answers
    job = make_jobs("a")["a"]
    thread.join(20)
    assert [task["id"] for task in answers[0]["tasks"]] == [f"{job.id}-001"]


def test_a_long_poll_answers_when_another_thread_changes_something(carrels):
    check_that_a_waiting_poll_is_woken(carrels)


def test_a_long_poll_answers_when_another_process_changes_something(database, workdir):
    with web(environ_of(database.url, workdir)) as other, other.client(**{"Carrel-Agent": "0.1.0"}) as client:
        check_that_a_waiting_poll_is_woken(client)


def test_a_long_poll_ends_unchanged_after_its_time(carrels):
    cursor = carrels.get("/test/tasks/").json()["cursor"]
    assert carrels.get("/test/tasks/", params={"wait": 0.2, "seen": cursor}).json()["cursor"] == cursor
    assert carrels.get("/test/tasks/", params={"wait": "nan", "seen": cursor}).status_code == 200
    assert carrels.get("/test/tasks/", params={"wait": "x", "seen": cursor}).status_code == 400


def test_a_newer_poll_of_the_same_backend_releases_the_older(server, carrels):
    cursor = carrels.get("/test/tasks/").json()["cursor"]
    ended = threading.Event()

    def poll() -> None:
        with server.client(**{"Carrel-Agent": "1"}) as older:
            older.get("/test/tasks/", params={"wait": 39, "seen": cursor})
        ended.set()

    threading.Thread(target=poll, daemon=True).start()
    eventually(
        lambda: carrels.get("/test/tasks/", params={"wait": 0.1, "seen": cursor}).status_code == 200 and ended.is_set()
    )


def send(client: httpx.Client, task: Task, stage: str, complete: bool = False, token: str | None = None, **result):
    return client.post(
        "/test/task/update/",
        json={
            "task_id": task.task_id,
            "stage": stage,
            "complete": complete,
            "results": results(**result) if complete else None,
            "attempt_token": token or task.attempt_token,
        },
    )


def test_the_same_update_twice_is_200_twice_and_one_event(carrels):
    job = make_jobs("a")["a"]
    task = Task.objects.get(job=job)
    for _ in range(2):
        assert send(carrels, task, "executing").status_code == 200
    for _ in range(2):
        assert send(carrels, task, "finalized", complete=True).status_code == 200
    assert send(carrels, task, "executing").status_code == 200  # late, after the last word
    assert job_of(job).status_code == "succeeded"
    assert Event.objects.filter(job_id=job.id, kind="task.update").count() == 2


def test_a_superseded_token_is_refused_and_changes_nothing(carrels):
    job = make_jobs("a")["a"]
    first = Task.objects.get(job=job)
    send(carrels, first, "finalized", complete=True, error={"type": "executor_error", "stage": "x", "reference": "r"})
    assert job_of(job).status_code == "waiting_on_new_task"
    administration.set_flags("test", {"paused": "true"}, "admin:test")
    administration.set_flags("test", {"paused": None}, "admin:test")
    Job.objects.filter(pk=job.pk).update(not_before=None)
    administration.set_flags("test", {"mode": ""}, "admin:test")
    second = Task.objects.filter(job=job).latest("id")
    assert second.task_id == f"{job.id}-002"
    assert send(carrels, second, "executing", token=first.attempt_token).status_code == 409
    assert job_of(job).status_code == "initiated"
    service.cancel_actions(job.rap_id, ["a"], ["test"])
    assert send(carrels, second, "finalized", complete=True).status_code == 409
    assert job_of(job).status_code == "cancelled_by_user"


def test_a_batch_is_taken_in_one_by_one(carrels):
    jobs = make_jobs("a", "b")
    tasks = {action: Task.objects.get(job=job) for action, job in jobs.items()}
    updates = [
        {"task_id": "unknown", "stage": "executing"},
        {"task_id": tasks["a"].task_id, "stage": "executing", "attempt_token": tasks["a"].attempt_token},
        {"task_id": tasks["b"].task_id, "stage": "executing", "attempt_token": "wrong"},
    ]
    outcomes = carrels.post("/test/tasks/updates/", json={"updates": updates}).json()["outcomes"]
    assert [outcome["status"] for outcome in outcomes] == [404, 200, 409]
    assert job_of(jobs["a"]).status_code == "executing"
    assert job_of(jobs["b"]).status_code == "initiated"


def test_a_heartbeat_renews_leases_and_tells_what_was_superseded(carrels):
    jobs = make_jobs("a", "b")
    tasks = [Task.objects.get(job=job) for job in jobs.values()]
    service.cancel_actions(jobs["b"].rap_id, ["b"], ["test"])
    body = {"attempts": {task.task_id: task.attempt_token for task in tasks}}
    answer = carrels.post("/test/tasks/heartbeat/", json=body)
    assert answer.json() == {"superseded": [f"{jobs['b'].id}-001"]}
    assert Task.objects.get(task_id=f"{jobs['a'].id}-001").lease_expires_at is not None
    assert Task.objects.get(task_id=f"{jobs['b'].id}-001").lease_expires_at is None


def test_metrics_tell_of_each_backend(server, legacy):
    legacy.get()
    make_jobs("a", new_job("b", weight=2.0))
    text = httpx.get(f"{server.url}/metrics").text
    assert 'carrel_jobs_running{backend="test"} 1.0' in text
    assert 'carrel_queue_length{backend="test"} 1.0' in text
    assert 'carrel_agent_last_seen_seconds{backend="test"}' in text
    assert 'carrel_backend_paused{backend="tpp"} 0.0' in text
