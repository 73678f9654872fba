"""Our client of the RAP API, against a live server."""

import socket
import threading

import pytest

from carrel.clients.rap import RapClient, RapRefused, RapUnavailable
from carrel.messages.rap import RapCreateRequest


@pytest.fixture
def client(api):
    with RapClient(f"{api.url}/controller/v1", "test-client") as made:
        yield made


def test_a_requests_whole_life(client, api):
    body = RapCreateRequest.model_validate(api.body())
    assert client.create(body).count == 3
    assert client.create(body).result == "No change"
    found = client.status([body.rap_id, "other00000000000"])
    assert [job.action for job in found.jobs] == ["extract", "model", "plot"]
    assert found.unrecognised_rap_ids == ["other00000000000"]
    assert client.cancel(body.rap_id, ["plot"]).count == 1
    assert [backend.slug for backend in client.backends().backends] == ["test"]


def test_refusals_carry_the_controllers_words(client, api):
    with pytest.raises(RapRefused, match="Error creating jobs: Could not find branch 'x'") as error:
        client.create(RapCreateRequest.model_validate(api.body(branch="x")))
    assert (error.value.status, error.value.details) == (400, "Could not find branch 'x'")
    with pytest.raises(RapRefused) as error:
        client.cancel("unknown000000000", ["x"])
    assert error.value.status == 404
    for ask in (lambda: client.cancel("none", ["x"]), lambda: client.status(["none"])):
        with pytest.raises(RapRefused, match="'none' does not match") as error:
            ask()
        assert error.value.status == 400


def test_a_wrong_token(api):
    with RapClient(f"{api.url}/controller/v1/", "wrong") as client, pytest.raises(RapRefused, match="Invalid token"):
        client.backends()


def test_a_wrong_address(api):
    wrong = pytest.raises(RapUnavailable, match="It should end in /controller/v1/")
    with RapClient(f"{api.url}/elsewhere/", "test-client") as client, wrong:
        client.backends()


def test_nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/controller/v1/"
    with RapClient(url, "t") as client, pytest.raises(RapUnavailable, match="does not answer"):
        client.backends()


def test_somebody_else_there():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=_answer, args=(listening,))
        thread.start()
        wrong = pytest.raises(RapUnavailable, match="no controller's answer")
        with RapClient(f"http://127.0.0.1:{listening.getsockname()[1]}/", "t") as client, wrong:
            client.backends()
        thread.join()


def _answer(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
