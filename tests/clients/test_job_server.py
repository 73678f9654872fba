"""Our client of a job server's older link, over real HTTP: what it reads, and what it makes of every wrong answer."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.http_server import Handler, serving
from tests.support.job_server import JobServer, job_server

from carrel.clients import job_server as client_module
from carrel.clients import job_server_connection
from carrel.clients.job_server import JobServerClient, JobServerError, JobServerRefused, JobServerUnavailable
from carrel.messages.job_requests import PostedJob
from carrel.units import limits


@pytest.fixture
def server() -> Iterator[JobServer]:
    with job_server() as running:
        yield running


@pytest.fixture
def client(server: JobServer) -> Iterator[JobServerClient]:
    with JobServerClient(server.url.rstrip("/"), "test-link") as made:
        yield made


def identifier(number: int) -> str:
    return f"req{number:013}"


def job(**changes: Any) -> PostedJob:
    values = {
        "job_request_id": identifier(1),
        "identifier": "j" * 16,
        "action": "a",
        "status": "running",
        "status_code": "executing",
        "status_message": "Executing",
        "created_at": "2026-11-22T05:06:20Z",
    }
    return PostedJob.model_validate(values | changes)


@pytest.fixture
def answering() -> Iterator[Any]:
    """Starts a server with one answer for everything; gives a client of it."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(body: bytes, status: int = 200, **headers: str) -> JobServerClient:
            class Fixed(Handler):
                def do_GET(self) -> None:
                    self.send(status, body, headers)

                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.send(status, body, headers)

            return stack.enter_context(JobServerClient(stack.enter_context(serving(Fixed)), "t"))

        yield start


def test_the_requests_of_the_tokens_backend(server, client):
    server.add(identifier(1))
    server.add(identifier(2), backend="tpp")
    active = client.active_requests('{"paused": {"v": "true", "ts": null}}')
    assert [request.identifier for request in active.requests] == [identifier(1)]
    assert (active.malformed, active.failure) == ([], None)
    headers = server.asked[0].headers
    assert (headers["Authorization"], headers["Flags"]) == ("test-link", '{"paused": {"v": "true", "ts": null}}')


def test_more_than_a_page_of_requests_without_trusting_the_links_host(server, client):
    for number in range(250):
        server.add(identifier(number))
    active = client.active_requests()
    assert [request.identifier for request in active.requests] == [identifier(number) for number in range(249, -1, -1)]
    assert [asked.path.partition("?")[2] for asked in server.asked] == [
        "",
        "limit=100&offset=100",
        "limit=100&offset=200",
    ]


def test_a_request_that_moved_to_the_next_page_is_read_once(server, client):
    for number in range(101):
        server.add(identifier(number))
    page = server.page

    def with_a_newcomer(*args):
        answer = page(*args)
        server.add("newcomer00000000")
        return answer

    server.page = with_a_newcomer
    requests = client.active_requests().requests
    assert len(requests) == len({request.identifier for request in requests}) == 101


def test_a_server_that_knows_no_pages_is_read(answering, server):
    request = server.add(identifier(1))
    active = answering(json.dumps({"results": [request]}).encode()).active_requests()
    assert [request.identifier for request in active.requests] == [identifier(1)]


@pytest.mark.parametrize("fault", ["500", "html", "lost before", "lost after", "half", "302"])
def test_what_was_read_before_a_page_failed_is_told(server, client, fault):
    for number in range(101):
        server.add(identifier(number))
    server.faults.extend(["ok", fault])
    active = client.active_requests()
    assert len(active.requests) == 100
    assert isinstance(active.failure, JobServerError)


def test_a_bad_request_costs_no_other(server, client):
    server.add(identifier(1))
    server.add("bad1", workspace=None)
    server.add(identifier(3), sha=None, requested_actions="run_all")
    server.add(identifier(4), backend="test", orgs=[{"deep": [[1]]}])
    server.requests["worse"] = {"backend": "test", "identifier": ["x"]}
    server.stored["worse"] = "pending"
    active = client.active_requests()
    assert [request.identifier for request in active.requests] == [identifier(1)]
    malformed = {bad.identifier: bad.problem for bad in active.malformed}
    assert set(malformed) == {"bad1", identifier(3), identifier(4), ""}
    assert {"sha", "requested_actions"} <= set(malformed[identifier(3)].replace(":", " ").split())
    assert "workspace" in malformed["bad1"]


@pytest.mark.parametrize("entry", [None, 1, "x", [], [[]], {}, {"backend": None}])
def test_what_is_no_request_at_all(answering, entry):
    active = answering(json.dumps({"results": [entry]}).encode()).active_requests()
    assert (active.requests, len(active.malformed)) == ([], 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"results": {}}',
        b"<html>Sign in</html>",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"results": ' + b"1" * 10_000 + b"}",
    ],
)
def test_what_is_no_answer_of_a_job_server(answering, body):
    client = answering(body)
    with pytest.raises(JobServerUnavailable, match="JOB_SERVER_ENDPOINT"):
        client.active_requests()
    with pytest.raises(JobServerUnavailable, match="JOB_SERVER_ENDPOINT"):
        client.post_jobs([job()])


@pytest.mark.parametrize("link", ["", 1, {}, "http://[broken", "?", "no-query", "http://x.invalid/?offset=100"])
def test_links_to_next_pages_that_lead_nowhere_end_the_reading(answering, link):
    """The last of them leads to the same page for ever."""
    active = answering(json.dumps({"next": link, "results": []}).encode()).active_requests()
    assert (active.requests, active.failure) == ([], None)


def test_there_is_an_end_to_pages():
    class Endless(Handler):
        number = 0

        def do_GET(self) -> None:
            Endless.number += 1
            self.send(200, json.dumps({"next": f"?offset={Endless.number}", "results": []}).encode())

    with serving(Endless) as url, JobServerClient(url, "t") as client:
        active = client.active_requests()
    assert Endless.number == limits.MAX_JOB_REQUEST_PAGES
    assert "more than" in str(active.failure)


def test_all_pages_together_are_bounded(answering, monkeypatch):
    class Long(Handler):
        number = 0

        def do_GET(self) -> None:
            Long.number += 1
            self.send(200, json.dumps({"next": f"?offset={Long.number}", "results": ["x" * 1000]}).encode())

    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 2500)
    with serving(Long) as url, JobServerClient(url, "t") as client:
        active = client.active_requests()
    assert len(active.malformed) == 2
    assert "AnswerTooLong" in str(active.failure)


def test_a_redirect_is_not_followed(server):
    class Elsewhere(Handler):
        tokens: list[str | None] = []

        def do_GET(self) -> None:
            Elsewhere.tokens.append(self.headers.get("Authorization"))
            self.send(200, b'{"results": []}')

    with serving(Elsewhere) as other:

        class Redirecting(Handler):
            def do_GET(self) -> None:
                self.send(302, b"", {"Location": f"{other}/job-requests/"})

        refused = pytest.raises(JobServerUnavailable, match="sends us elsewhere")
        with serving(Redirecting) as url, JobServerClient(url, "secret") as client, refused as error:
            client.active_requests()
    assert Elsewhere.tokens == []
    assert "secret" not in str(error.value)


def test_a_wrong_token_is_refused_in_the_servers_words(server):
    with JobServerClient(server.url, "wrong-secret") as client:
        for ask in (client.active_requests, lambda: client.post_jobs([job()])):
            with pytest.raises(JobServerRefused, match=r"403: Invalid token\.") as error:
                ask()
            assert (error.value.status, error.value.is_about_content) == (403, False)
            assert "wrong-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, JobServerRefused), (404, JobServerRefused), (413, JobServerRefused), (500, JobServerRefused)]
    + [(status, JobServerUnavailable) for status in (301, 307, 429, 502, 503, 504)],
)
def test_each_status_is_one_kind_of_failure(server, client, status, kind):
    server.faults.extend([str(status)] * 2)
    for ask in (client.active_requests, lambda: client.post_jobs([job()])):
        with pytest.raises(kind) as error:
            ask()
        if status in (429, 503):
            assert error.value.retry_after == 7.0


@pytest.mark.parametrize("pause", ["-1", "Wed, 21 Oct 2026 07:28:00 GMT", "1e9", "9" * 30, "nan"])
def test_a_pause_that_is_no_number_of_seconds_is_none(answering, pause):
    with pytest.raises(JobServerUnavailable) as error:
        answering(b"", 503, **{"Retry-After": pause}).active_requests()
    assert error.value.retry_after == 0


def test_a_servers_long_and_unprintable_words_are_cut(answering):
    body = json.dumps({"detail": "a\r\n\x1b[31m" + "b" * 10_000}).encode()
    with pytest.raises(JobServerRefused) as error:
        answering(body, 400).active_requests()
    assert len(str(error.value)) < 500
    assert str(error.value).isprintable()


def test_nobody_there_and_half_an_answer(server, client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with JobServerClient(url, "t") as alone, pytest.raises(JobServerUnavailable, match="does not answer as it should"):
        alone.active_requests()
    server.faults.append("half")
    with pytest.raises(JobServerUnavailable, match="RemoteProtocolError"):
        client.active_requests()


def test_an_answer_in_drops_is_given_up(monkeypatch):
    """The time that the whole may take has passed at the first drop: nothing is waited for."""
    done = threading.Event()

    class Dripping(Handler):
        def do_GET(self) -> None:
            self.send(200, b'{"results"', {"Content-Length": "1000"})
            done.wait(60)

    monkeypatch.setattr(job_server_connection, "ANSWER_SECONDS", -1.0)
    with serving(Dripping) as url, JobServerClient(url, "t") as client:
        with pytest.raises(JobServerUnavailable, match="ReadTimeout"):
            client.active_requests()
        done.set()


def test_jobs_are_posted_and_those_missing_are_gone(server, client):
    server.add(identifier(1))
    client.post_jobs([job(), job(identifier="k" * 16, action="b")])
    assert set(server.jobs_of(identifier(1))) == {"a", "b"}
    assert server.asked[-1].headers["Content-Type"] == "application/json"
    client.post_jobs([job(status="succeeded")])
    assert {name: posted["status"] for name, posted in server.jobs_of(identifier(1)).items()} == {"a": "succeeded"}
    client.post_jobs([job(job_request_id="unknown000000000", identifier="u" * 16)])
    assert set(server.jobs) == {"j" * 16}
