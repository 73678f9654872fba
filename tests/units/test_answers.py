"""An answer that goes on and on is given up, by whoever asked."""

import gzip
from collections.abc import Iterator

import httpx
import pytest
from tests.support.http_server import Handler, serving

from carrel.agent.client import ControllerUnavailable, TaskClient
from carrel.clients.rap import RapClient, RapUnavailable
from carrel.controller.registry import Registry, RegistryError
from carrel.units import answers, limits

ENDLESS = gzip.compress(b" " * (limits.MAX_ANSWER_BYTES + limits.MIB), 1)


class Endless(Handler):
    """More than the bound, in a body of a few hundred kilobytes."""

    def do_GET(self) -> None:
        self.send(200, ENDLESS, {"Content-Encoding": "gzip", "Content-Type": "application/json"})

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()


class Short(Handler):
    def do_GET(self) -> None:
        self.send(200, gzip.compress(b"12345"), {"Content-Encoding": "gzip", "X-Kept": "yes"})


@pytest.fixture
def endless() -> Iterator[str]:
    with serving(Endless) as url:
        yield url


def test_an_answer_within_the_bound_is_whole_and_one_byte_more_is_refused() -> None:
    with serving(Short) as url, httpx.Client() as client:
        answer = answers.ask(client, "GET", url, 5)
        assert (answer.status_code, answer.content, answer.json()) == (200, b"12345", 12345)
        assert answer.headers["X-Kept"] == "yes"
        with pytest.raises(answers.AnswerTooLong):
            answers.ask(client, "GET", url, 4)


def test_whoever_asks_gives_an_endless_answer_up(endless: str) -> None:
    client = TaskClient(endless, "test", "token")
    try:
        with pytest.raises(ControllerUnavailable, match="AnswerTooLong"):
            client.fetch_tasks(None, 0)
    finally:
        client.close()
    with RapClient(endless, "token") as rap, pytest.raises(RapUnavailable, match="longer than"):
        rap.backends()
    with Registry() as registry, pytest.raises(RegistryError, match="AnswerTooLong"):
        registry.digest(f"{endless.removeprefix('http://')}/python:v2")
