"""The server as strangers meet it, over real sockets: what has no token costs little and holds nothing up."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from tests.support.controller_server import Web, environ_of, eventually, web
from tests.support.databases import Database

from carrel.controller.service import tokens
from carrel.units.limits import MAX_REQUEST_BYTES, MAX_UNKNOWN_REQUEST_BYTES
from carrel.web import server as web_server


@pytest.fixture
def served(database: Database, workdir: Path) -> Iterator[Web]:
    with web(environ_of(database.url, workdir)) as process:
        yield process


@contextmanager
def connections(url: str, count: int, first_words: bytes = b"") -> Iterator[list[socket.socket]]:
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection((host, int(port)), timeout=60)) for _ in range(count)]
        for each in sockets:
            each.sendall(first_words)
        yield sockets


def is_well(url: str) -> bool:
    return httpx.get(f"{url}/healthz", timeout=60).status_code == 200


@pytest.mark.parametrize(
    "words", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", b"POST /test/task/update/ HTTP/1.1\r\n"]
)
def test_many_connections_that_say_little_keep_nobody_out(served: Web, words: bytes) -> None:
    with connections(served.url, 200, words):
        assert is_well(served.url)


def test_a_long_body_is_taken_only_from_a_caller_whose_token_is_known(served: Web) -> None:
    long = b"a" * (MAX_UNKNOWN_REQUEST_BYTES + 1)
    for path in ("/test/task/update/", "/controller/v1/rap/create/"):
        for headers in ({}, {"Authorization": ""}, {"Authorization": "wrong"}, {"Authorization": "Bearer wrong"}):
            answer = httpx.post(served.url + path, content=long, headers=headers, timeout=60)
            assert (answer.status_code, "valid token" in answer.text) == (401, True)
        chunked = httpx.post(served.url + path, content=iter([long]), headers={"Authorization": "wrong"}, timeout=60)
        assert chunked.status_code == 401
    good = httpx.post(f"{served.url}/test/task/update/", content=long, headers=_json("test-token"), timeout=60)
    assert (good.status_code, good.json()["error"]) == (400, "Validation error")
    bearer = httpx.post(f"{served.url}/controller/v1/rap/status/", content=long, headers=_json("Bearer test-client"))
    assert bearer.status_code == 400


def test_a_body_over_the_limit_is_refused_and_not_stored(served: Web) -> None:
    answer = httpx.post(
        f"{served.url}/test/task/update/",
        content=b"a" * (MAX_REQUEST_BYTES + 1),
        headers=_json("test-token"),
        timeout=60,
    )
    assert answer.status_code == 413
    with connections(served.url, 1) as [one]:
        one.sendall(
            b"POST /test/task/update/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n" + b"a" * 100_000
        )
        assert is_well(served.url)


def test_who_waits_to_be_asked_for_the_body_is_refused_at_once(served: Web) -> None:
    with connections(served.url, 1) as [one]:
        one.sendall(
            b"POST /test/task/update/ HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert one.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_a_token_of_the_table_is_known_once_it_was_valid(database: Database) -> None:
    token = tokens.create_token("agent", ["test"], "", "admin:x")
    assert not tokens.is_known(token)
    assert tokens.agent_token_is_valid("test", token)
    assert tokens.is_known(token)
    assert tokens.is_known(f"Bearer {token}")
    for odd in ("", " ", "Bearer ", "Bearer", "\udcff", "x" * 10_000):
        assert not tokens.is_known(odd)
        assert not tokens.agent_token_is_valid("test", odd)
        assert tokens.backends_of_client_token(odd) == []


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "body", [DEEP[:60_000], '{"a":' * 10_000, '{"task_id":"x","stage":"s","results":' + DEEP[:50_000]]
)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "path", ["test/task/update/", "test/tasks/updates/", "test/tasks/heartbeat/", "controller/v1/rap/status/"]
)
def test_json_nested_without_end_is_a_bad_request(server_here: str, path: str, body: str, whole: bool) -> None:
    token = "test-client" if path.startswith("controller") else "test-token"
    text = DEEP if whole else body
    answer = httpx.post(f"{server_here}/{path}", content=text, headers=_json(token) | {"Carrel-Agent": "1"}, timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation error")


def _json(token: str) -> dict[str, str]:
    return {"Authorization": token, "Content-Type": "application/json"}


@pytest.fixture
def server_here(database: Database, settings) -> Iterator[str]:
    from carrel.web.wsgi import application

    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    with serving(application, tokens.is_known) as url:
        yield url


@contextmanager
def serving(application: object, token_known: Callable[[str], bool] = lambda header: True) -> Iterator[str]:
    server = web_server.create_server(application, "127.0.0.1", 0, 4, token_known)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
        thread.join()


def _hello(environ: dict, start_response: Callable) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def _is_closed(one: socket.socket) -> bool:
    one.settimeout(30)
    try:
        return one.recv(10) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("words", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"])
def test_a_request_that_never_becomes_whole_is_given_up_though_it_goes_on_and_on(monkeypatch, words: bytes) -> None:
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(web_server, "LOOK_EVERY", 0)
    with serving(_hello) as url, connections(url, 1, words) as [one]:
        closed = threading.Event()

        def trickle() -> None:
            try:
                while not closed.wait(0.05):
                    one.sendall(b"x")
            except OSError:
                pass

        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            assert _is_closed(one)
        finally:
            closed.set()
            sender.join()


def test_with_no_room_left_the_oldest_that_wait_for_nothing_make_way(monkeypatch) -> None:
    monkeypatch.setattr(web_server, "CONNECTIONS", 20)
    with serving(_hello) as url, connections(url, 60) as sockets:
        assert httpx.get(url, timeout=60).text == "ok"
        assert _is_closed(sockets[0])


# -- outages


@contextmanager
def database_away(database: Database) -> Iterator[None]:
    """Nobody can open it meanwhile."""
    if database.vendor == "sqlite":
        path = Path(database.url.removeprefix("sqlite:///"))
        aside = path.with_suffix(".aside")
        path.rename(aside)
        path.mkdir()
        yield
        path.rmdir()
        aside.rename(path)
        return
    name = re.search(r"@/(\w+)", database.url)[1]
    with closing(psycopg.connect(database.url.replace(f"@/{name}", "@/postgres"), autocommit=True)) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize(
    ("method", "path", "token"),
    [
        ("GET", "controller/v1/backend/status/", "test-client"),
        ("POST", "controller/v1/rap/create/", "test-client"),
        ("POST", "controller/v1/rap/cancel/", "test-client"),
        ("POST", "controller/v1/rap/status/", "test-client"),
        ("GET", "test/tasks/", "test-token"),
        ("POST", "test/task/update/", "test-token"),
        ("POST", "test/tasks/updates/", "test-token"),
        ("POST", "test/tasks/heartbeat/", "test-token"),
    ],
)
def test_a_database_that_is_away_is_an_outage_and_not_a_refusal(
    served: Web, database: Database, method: str, path: str, token: str
) -> None:
    with database_away(database):
        answer = httpx.request(method, f"{served.url}/{path}", content=b"{}", headers=_json(token), timeout=60)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert set(json.loads(answer.text)) == {"error", "details"}
    eventually(
        lambda: httpx.request(method, f"{served.url}/{path}", content=b"{}", headers=_json(token)).status_code < 500
    )
