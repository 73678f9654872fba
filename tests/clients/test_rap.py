"""Our client of the RAP API where a controller, or whoever answers in its place, says odd things; over real HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from tests.support.http_server import Handler, serving

from carrel.clients import rap as client_module
from carrel.clients.rap import RapClient, RapFault, RapRefused, RapUnavailable, RapUnreadable

JOB = {"rap_id": "a" * 16, "identifier": "b" * 16, "action": "a", "status": "running"}


@pytest.fixture
def answering() -> Iterator[Callable[..., RapClient]]:
    """Starts a server with one answer for everything; gives a client of it."""
    with ExitStack() as stack:

        def start(body: Any, status: int = 200, **headers: str) -> RapClient:
            text = body if isinstance(body, bytes) else json.dumps(body).encode()

            class Fixed(Handler):
                def do_GET(self) -> None:
                    self.send(status, text, headers)

                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.send(status, text, headers)

            return stack.enter_context(RapClient(stack.enter_context(serving(Fixed)), "secret-token"))

        yield start


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {**JOB, "status": "lost"},
        {**JOB, "status_code": "unheard_of", "new_key": [1]},
        {**JOB, "created_at": "yesterday", "metrics": None},
        {**JOB, "run_command": 1, "trace_context": "x"},
    ],
)
def test_an_odd_job_hides_no_other(answering, odd):
    statuses = answering({"jobs": [odd, JOB], "more": 1}).job_statuses(["a" * 16])
    assert statuses.jobs == [odd, JOB]
    assert statuses.unrecognised_rap_ids == []


def test_an_odd_backend_hides_no_other(answering):
    states = answering({"backends": [{"slug": 1}, {"slug": "north", "paused": None}]}).backend_states()
    assert [state["slug"] for state in states.backends] == [1, "north"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"jobs": [1]}),
        (200, {"jobs": None}),
        (200, []),
        (200, b"[" * 100_000),
        (200, b'{"jobs": [{"cut'),
        (413, b"<html>too large</html>"),
        (500, b"<html>Server Error</html>"),
        (500, {"detail": "no"}),
    ],
)
def test_where_less_may_be_readable(answering, status, body):
    with pytest.raises(RapUnreadable) as error:
        answering(body, status).job_statuses(["a" * 16, "b" * 16])
    assert error.value.less_may_work


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Sign in</html>"),
        (200, b""),
        (302, b""),
        (302, {"jobs": None}),
        (403, {"detail": "no"}),
        (404, b"<html>Not found</html>"),
        (502, b"<html>proxy</html>"),
    ],
)
def test_where_somebody_else_answers_less_is_no_better(answering, status, body):
    with pytest.raises(RapUnreadable) as error:
        answering(body, status, Location="http://elsewhere.invalid/").job_statuses(["a" * 16, "b" * 16])
    assert not error.value.less_may_work
    assert "secret-token" not in str(error.value)


def test_refusals_and_faults_are_told_apart(answering):
    words = {"error": "Unauthorized", "details": "Invalid token"}
    with pytest.raises(RapRefused, match="Unauthorized: Invalid token"):
        answering(words, 401).job_statuses(["a" * 16])
    with pytest.raises(RapFault, match="Unauthorized: Invalid token"):
        answering(words, 503).job_statuses(["a" * 16])


def test_an_answer_in_drops_is_given_up(monkeypatch):
    done = threading.Event()

    class Dripping(Handler):
        def do_GET(self) -> None:
            self.send(200, b'{"backends"', {"Content-Length": "1000"})
            done.wait(60)

    monkeypatch.setattr(client_module, "ANSWER_SECONDS", -1.0)
    with serving(Dripping) as url, RapClient(url, "t", httpx.Client(timeout=60)) as client:
        with pytest.raises(RapUnavailable, match="ReadTimeout"):
            client.backend_states()
        done.set()


@pytest.mark.parametrize("address", ["", "no-scheme.example.org", "http://a\x00b/", "http://[broken/"])
def test_an_address_that_is_none(address):
    with RapClient(address, "t") as client, pytest.raises(RapUnavailable, match="does not answer"):
        client.backend_states()
