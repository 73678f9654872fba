"""The link to a controller over real HTTP: what goes out, what each answer comes to, what comes in."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from tests.support.jobserver import (
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
)
from tests.support.rap_server import TOKEN, RapServer, backend_state, new_job, rap_server

from carrel.clients.rap import RapClient
from carrel.jobserver.models import (
    Backend,
    BackendHour,
    Cancellation,
    ControllerContact,
    DataPermission,
    JobRequest,
)
from carrel.jobserver.service import link
from carrel.jobserver.service.cancellations import CancelError, ask_to_cancel

pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> Iterator[RapServer]:
    with rap_server() as running_server:
        yield running_server


@pytest.fixture
def client(server: RapServer) -> Iterator[RapClient]:
    with RapClient(server.base_url, TOKEN) as rap_client:
        yield rap_client


@pytest.fixture
def north() -> Backend:
    return add_backend("north")


def new_request(backend: Backend, *actions: str, **fields: Any) -> JobRequest:
    project = add_project("", backend)
    person = add_person("", "ProjectDeveloper", project=project)
    backend.memberships.create(user=person)
    run = add_run(add_workspace(project), person)
    return add_request(run, backend, actions or ("run_all",), **{"sent_at": None, **fields})


def send_all(client: RapClient) -> None:
    for key in link.due_requests("default"):
        link.send_request(key, client)
    for key in link.due_cancellations("default"):
        link.send_cancellation(key, client)


def test_a_request_is_sent_once_and_its_jobs_come_back(server: RapServer, client: RapClient, north: Backend) -> None:
    request = new_request(north)
    project = request.workspace.project
    DataPermission.objects.create(project=project, kind="dataset_permissions", name="icnarc")
    send_all(client)
    send_all(client)
    assert server.paths() == ["rap/create/"]
    body = server.raps[request.identifier]
    assert body["backend"] == "north"
    assert body["commit"] == request.run.commit
    assert body["requested_actions"] == ["run_all"]
    assert body["project"] == project.slug
    assert body["analysis_scope"]["dataset_permissions"] == ["icnarc"]
    link.poll_requests("default", client)
    request.refresh_from_db()
    assert (request.status, request.jobs.count()) == ("pending", 2)
    assert request.sent_at is not None
    assert ControllerContact.objects.get().failing_since is None


def test_requests_of_others_are_not_sent(server: RapServer, client: RapClient) -> None:
    new_request(add_backend("polled", link="polled"))
    new_request(add_backend("west", controller="west"))
    new_request(add_backend("ended"), status="failed")
    send_all(client)
    assert server.calls == []


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (200, {"result": "No change", "details": "x", "count": 3}, "pending", ""),
        (200, {"result": "Nothing to do", "details": "All done", "count": 0}, "nothing_to_do", "All done"),
        (400, {"error": "Error creating jobs", "details": "No project.yaml file"}, "failed", "No project.yaml file"),
    ],
)
def test_final_answers(
    server: RapServer, client: RapClient, north: Backend, status: int, body: dict[str, Any], expected: str, words: str
) -> None:
    request = new_request(north)
    server.answer_next("rap/create/", status, {"rap_id": request.identifier, **body})
    send_all(client)
    request.refresh_from_db()
    assert (request.status, request.status_message) == (expected, words)
    assert request.sent_at is not None
    assert link.due_requests("default") == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": "Unauthorized", "details": "Invalid token"}, "does not accept this site's token"),
        (403, {"error": "Forbidden", "details": "no"}, "does not accept this site's token"),
        (404, {"error": "Not found", "details": "no such path"}, "does not take it (404)"),
        (500, {"error": "Error creating jobs", "details": "Unknown error (reference ab)"}, "(reference ab)"),
        (502, b"<html>proxy</html>", "cannot be understood"),
        (200, b"[1]", "cannot be understood"),
    ],
)
def test_what_may_work_later_is_tried_again(
    server: RapServer, client: RapClient, north: Backend, status: int, body: Any, words: str
) -> None:
    request = new_request(north)
    server.answer_next("rap/create/", status, body)
    send_all(client)
    request.refresh_from_db()
    assert (request.status, request.sent_at, request.send_attempts) == ("pending", None, 1)
    assert words in request.send_error
    assert "127.0.0.1" not in request.send_error
    assert request.send_after is not None
    contact = ControllerContact.objects.get()
    assert (contact.failing_since is None) == (status == 404)
    JobRequest.objects.update(send_after=timezone.now())
    send_all(client)
    request.refresh_from_db()
    assert (request.status, request.send_error, request.send_attempts) == ("pending", "", 2)
    assert request.sent_at is not None
    assert ControllerContact.objects.get().failing_since is None


def test_a_controller_that_is_away(north: Backend) -> None:
    request = new_request(north)
    with rap_server() as server:
        address = server.base_url
    with RapClient(address, TOKEN) as client:
        send_all(client)
    request.refresh_from_db()
    assert request.send_error == "The controller of north cannot be reached."
    assert ControllerContact.objects.get().failing_since is not None


def test_two_calls_that_met_are_no_refusal(server: RapServer, client: RapClient, north: Backend) -> None:
    """OpenSAFELY's controller says "Unknown error" to the second of two, whose jobs exist."""
    request = new_request(north, send_attempts=1)
    server.raps[request.identifier] = {}
    server.jobs[request.identifier] = [new_job(request.identifier, "north", "extract")]
    server.answer_next("rap/create/", 400, {"error": "Error creating jobs", "details": "Unknown error"})
    send_all(client)
    request.refresh_from_db()
    assert request.status == "pending"
    assert request.sent_at is not None


def test_one_request_that_cannot_be_sent_stops_no_other(server: RapServer, client: RapClient, north: Backend) -> None:
    bad, good = new_request(north), new_request(north)
    type(bad.run).objects.filter(pk=bad.run_id).update(commit="not a commit")
    send_all(client)
    bad.refresh_from_db()
    assert bad.status == "failed"
    assert "cannot be sent" in bad.status_message
    assert list(server.raps) == [good.identifier]


def test_odd_jobs_hide_no_others(server: RapServer, client: RapClient, north: Backend) -> None:
    odd, stolen, good = (new_request(north) for _ in range(3))
    send_all(client)
    server.jobs[odd.identifier] = [
        {"rap_id": odd.identifier, "status": 5},
        new_job(odd.identifier, "north", "fine", status_code="waiting_on_the_moon"),
    ]
    for job in server.jobs[stolen.identifier]:
        job["backend"] = "south"
    link.poll_requests("default", client)
    assert list(odd.jobs.values_list("status_code", flat=True)) == ["waiting_on_the_moon"]
    assert stolen.jobs.count() == 0
    assert good.jobs.count() == 2


def test_a_request_does_not_end_by_the_jobs_that_can_be_read(
    server: RapServer, client: RapClient, north: Backend
) -> None:
    request = new_request(north)
    send_all(client)
    done = new_job(request.identifier, "north", "fine", status="succeeded", status_code="succeeded")
    server.jobs[request.identifier] = [done, {**done, "identifier": "another", "status": "hibernating"}]
    link.poll_requests("default", client)
    request.refresh_from_db()
    assert request.status == "unknown"
    server.jobs[request.identifier] = [done, {**done, "identifier": "another"}]
    link.poll_requests("default", client)
    request.refresh_from_db()
    assert request.status == "succeeded"


def test_what_waits_to_be_cancelled_is_not_looked_at_all_the_time(
    server: RapServer, client: RapClient, north: Backend
) -> None:
    request = new_request(north)
    send_all(client)
    server.jobs[request.identifier] = []
    ask_to_cancel(request, (), request.created_by)
    assert link.due_cancellations("default") == []
    add_job(request, "extract", "running")
    assert len(link.due_cancellations("default")) == 1


@pytest.mark.parametrize("tried_before", [False, True])
@pytest.mark.parametrize(
    ("withdraw", "words"),
    [
        (lambda request: request.backend.memberships.all().delete(), "not a member"),
        (lambda request: request.workspace.project.opt_ins.all().delete(), "not opted in"),
        (lambda request: type(request.created_by).objects.update(is_active=False), "role"),
        (lambda request: type(request.workspace.project).objects.update(ends_on=date(2020, 1, 1)), "ended"),
    ],
)
def test_what_may_not_run_any_more_is_not_sent(
    server: RapServer, client: RapClient, north: Backend, withdraw: Any, words: str, tried_before: bool
) -> None:
    request = new_request(north, send_attempts=int(tried_before))
    withdraw(request)
    send_all(client)
    request.refresh_from_db()
    assert request.status == "failed"
    assert words in request.status_message
    assert request.identifier not in server.raps


def test_what_the_controller_has_already_is_told_of_whatever_was_withdrawn_since(
    server: RapServer, client: RapClient, north: Backend
) -> None:
    request = new_request(north)
    send_all(client)
    JobRequest.objects.filter(pk=request.pk).update(sent_at=None, send_after=None)  # its answer was lost
    north.memberships.all().delete()
    send_all(client)
    request.refresh_from_db()
    assert (request.status, request.sent_at is not None) == ("pending", True)


def test_an_answer_that_cannot_be_read_is_asked_for_in_parts(
    server: RapServer, client: RapClient, north: Backend
) -> None:
    requests = [new_request(north) for _ in range(3)]
    send_all(client)
    server.calls.clear()
    server.answer_next("rap/status/", 200, b"{")  # of all
    server.answer_next("rap/status/", 200, b"{")  # of the first alone
    link.poll_requests("default", client)
    assert [len(body["rap_ids"]) for _, body in server.calls] == [3, 1, 2]
    assert [request.jobs.count() for request in requests] == [0, 2, 2]


def test_an_id_that_the_controller_does_not_know(server: RapServer, client: RapClient, north: Backend) -> None:
    lost, lost_with_jobs = new_request(north, sent_at=timezone.now()), new_request(north, sent_at=timezone.now())
    add_job(lost_with_jobs, "extract", "running")
    link.poll_requests("default", client)
    lost.refresh_from_db()
    lost_with_jobs.refresh_from_db()
    assert (lost.status, lost.status_message) == ("failed", "Unknown error creating jobs")
    assert lost_with_jobs.status == "pending"
    assert "no longer knows" in lost_with_jobs.send_error


def test_long_lists_are_asked_for_in_rounds(
    server: RapServer, client: RapClient, north: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "BATCH", 2)
    monkeypatch.setattr(link, "MAX_POLLED", 3)
    for _ in range(5):
        new_request(north)
    send_all(client)
    server.calls.clear()
    after = link.poll_requests("default", client)
    assert [len(body["rap_ids"]) for _, body in server.calls] == [2, 1]
    assert link.poll_requests("default", client, after) == 0
    assert [len(body["rap_ids"]) for _, body in server.calls] == [2, 1, 2]


def test_backends_by_themselves(server: RapServer, client: RapClient, north: Backend) -> None:
    south, silent = add_backend("south"), add_backend("silent")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    states: list[Any] = [
        {"slug": "nobody's"},
        {"slug": "south", "paused": "maybe"},
        backend_state("north", now, paused="on"),
        ["no", "backend"],
    ]
    server.backends = states
    link.poll_backends("default", client)
    assert ControllerContact.objects.get().problem.endswith("cannot be understood.")
    server.backends.pop()
    link.poll_backends("default", client)
    north.refresh_from_db()
    assert (north.is_paused, north.in_maintenance) == (True, False)
    assert north.status_at is not None
    hours = {hour.backend_id: hour for hour in BackendHour.objects.all()}
    assert (hours[north.pk].asked, hours[north.pk].paused, hours[north.pk].up) == (2, 1, 0)
    assert (hours[silent.pk].asked, hours[silent.pk].up) == (2, 0)
    assert not south.is_paused


class TestCancelling:
    def test_a_request_that_was_never_sent_never_is(self, server: RapServer, client: RapClient, north: Backend) -> None:
        request = new_request(north)
        asked = ask_to_cancel(request, (), request.created_by)
        assert "never will be" in asked.words
        send_all(client)
        assert server.calls == []
        assert (request.status, request.status_message) == ("failed", "Cancelled before it was sent")

    def test_jobs(self, server: RapServer, client: RapClient, north: Backend) -> None:
        request = new_request(north, "a", "b", "c")
        send_all(client)
        link.poll_requests("default", client)
        server.set_job(request.identifier, "b", status="succeeded", status_code="succeeded")
        link.poll_requests("default", client)
        ask_to_cancel(request, ["a"], request.created_by)
        send_all(client)
        assert server.cancelled[request.identifier] == ["a"]
        ask_to_cancel(request, (), request.created_by)
        send_all(client)
        assert server.cancelled[request.identifier] == ["a", "a", "c"]
        request.refresh_from_db()
        assert request.cancelled_actions == ["a", "c"]
        assert Cancellation.objects.first().outcome == "1 actions cancelled"

    def test_all_waits_for_the_jobs(self, server: RapServer, client: RapClient, north: Backend) -> None:
        request = new_request(north)
        send_all(client)
        assert "as soon as there are any" in ask_to_cancel(request, (), request.created_by).words
        send_all(client)
        assert server.cancelled == {}
        link.poll_requests("default", client)
        send_all(client)
        assert server.cancelled[request.identifier] == ["extract", "model"]

    def test_what_the_controller_does_not_know_keeps_no_other(
        self, server: RapServer, client: RapClient, north: Backend
    ) -> None:
        request = new_request(north, "a", "b")
        send_all(client)
        link.poll_requests("default", client)
        server.jobs[request.identifier].pop(0)
        ask_to_cancel(request, (), request.created_by)
        send_all(client)
        request.refresh_from_db()
        assert (server.cancelled[request.identifier], request.cancelled_actions) == (["b"], ["b"])
        assert "could not be found: a" in Cancellation.objects.get().outcome

    def test_it_is_tried_again(self, server: RapServer, client: RapClient, north: Backend) -> None:
        request = new_request(north, "a")
        send_all(client)
        link.poll_requests("default", client)
        ask_to_cancel(request, ["a"], request.created_by)
        server.answer_next("rap/cancel/", 503, {"error": "x", "details": "y"})
        send_all(client)
        assert Cancellation.objects.get().sent_at is None
        Cancellation.objects.update(send_after=timezone.now() - timedelta(seconds=1))
        send_all(client)
        assert server.cancelled[request.identifier] == ["a"]

    def test_distinct_refusals(self, server: RapServer, client: RapClient, north: Backend) -> None:
        request = new_request(north, "a", "b")
        send_all(client)
        link.poll_requests("default", client)
        with pytest.raises(CancelError, match="no job of nothing"):
            ask_to_cancel(request, ["nothing"], request.created_by)
        ask_to_cancel(request, ["a"], request.created_by)
        send_all(client)
        with pytest.raises(CancelError, match="a: being cancelled already"):
            ask_to_cancel(request, ["a"], request.created_by)
        for action in "ab":
            server.set_job(request.identifier, action, status="failed", status_code="cancelled_by_user")
        link.poll_requests("default", client)
        with pytest.raises(CancelError, match="ended already"):
            ask_to_cancel(request, (), request.created_by)

    def test_a_controller_that_asks_us_reads_it(self) -> None:
        request = new_request(add_backend("east", link="polled"))
        ask_to_cancel(request, (), request.created_by)
        request.refresh_from_db()
        assert request.cancelled_actions == ["run_all"]
        job = new_job(request.identifier, "east", "extract", status="running")
        link.store_statuses(
            {request.identifier: request}, link.RapJobStatuses.model_validate({"jobs": [json.loads(json.dumps(job))]})
        )
        request.refresh_from_db()
        assert request.cancelled_actions == ["run_all", "extract"]
        assert Cancellation.objects.get().sent_at is not None
