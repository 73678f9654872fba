"""The agent's requests: exactly the contract's to an OpenSAFELY controller, ours to a Carrel controller."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from tests.support.agents import Site
from tests.support.task_server import TOKEN, TaskServer, serving

from carrel.agent.client import ControllerUnavailable, TaskClient
from carrel.messages.tasks import TaskUpdate


def test_a_whole_job_for_an_opensafely_controller(make_site: Callable[..., Site]) -> None:
    site = make_site(contract=True)
    site.server.add(site.task())
    site.start()
    report = site.server.final("job1-001")
    assert report["results"]["exit_code"] == "0"
    assert set(report) == {"task_id", "stage", "results", "complete", "timestamp_ns"}
    for method, path, headers, body in site.server.requests:
        assert headers["Authorization"] == TOKEN
        assert (method, path.partition("?")[0]) in {("GET", "/test/tasks/"), ("POST", "/test/task/update/")}
        if method == "POST":
            assert headers["Content-Type"] == "application/x-www-form-urlencoded"
            assert list(parse_qs(body.decode())) == ["payload"]
    polls = [path for method, path, *_ in site.server.requests if method == "GET"]
    assert set(polls[1:]) <= {"/test/tasks/"}, "only the first poll may ask for our extensions"
    assert site.server.stages("job1-001")[-1] == "finalized"


def test_an_opensafely_controller_is_not_told_to_try_a_users_error_again(make_site: Callable[..., Site]) -> None:
    site = make_site(contract=True)
    site.server.add(site.task(commit="0" * 40))
    site.start()
    results = site.server.final("job1-001")["results"]
    assert not results["error"]
    assert results["exit_code"] is None
    assert results["status_message"] == "The job could not be run as it was asked for. See job log for details."


def test_cancelling_for_an_opensafely_controller(make_site: Callable[..., Site]) -> None:
    site = make_site(contract=True)
    site.server.add(site.script("sleep 1000"))
    site.start()
    site.server.wait_for(lambda: "executing" in site.server.stages("job1-001"))
    report = site.server.final(site.server.cancel("job1-001"))
    assert report["results"]["status_message"] == "Job cancelled by system"


def _client(server: TaskServer, token: str = TOKEN) -> TaskClient:
    return TaskClient(server.url, "test", token)


UPDATE = TaskUpdate(task_id="none-001", stage="executing", attempt_token="t")


def test_a_cursor_makes_it_ours() -> None:
    with serving() as server:
        client = _client(server)
        page = client.fetch_tasks(None, 0)
        assert page.tasks == []
        assert page.cursor == "1"
        assert client.contract_only is False
        [outcome] = client.send([UPDATE])
        assert (outcome.task_id, outcome.status) == ("none-001", 404)
        assert client.heartbeat({"a": "t"}) == []
        assert server.heartbeats == [{"a": "t"}]
        client.close()


def test_an_unknown_task_is_that_updates_problem_alone() -> None:
    with serving(contract=True) as server:
        client = _client(server)
        client.fetch_tasks(None, 0)
        assert client.contract_only is True
        assert [outcome.status for outcome in client.send([UPDATE, UPDATE])] == [500, 500]
        client.close()


def test_a_refused_token_says_which_setting_and_not_its_value() -> None:
    with serving() as server:
        client = _client(server, "wrong-secret")
        with pytest.raises(ControllerUnavailable, match="CONTROLLER_TASK_API_TOKEN") as caught:
            client.fetch_tasks(None, 0)
        assert "wrong-secret" not in str(caught.value)
        client.close()


def test_a_controller_that_is_not_there() -> None:
    with serving() as server:
        client = _client(server)
    with pytest.raises(ControllerUnavailable, match="cannot be reached"):
        client.fetch_tasks(None, 0)
    client.close()


def test_a_backend_below_a_path() -> None:
    client = TaskClient("http://example.org/controller", "north", "t")
    assert str(client._http.base_url) == "http://example.org/controller/north/"
    client.close()


def test_updates_are_the_contracts_keys() -> None:
    with serving(contract=True) as server:
        client = _client(server)
        client.fetch_tasks(None, 0)
        client.send([UPDATE])
        payload = json.loads(parse_qs(server.requests[-1][3].decode())["payload"][0])
        assert payload == {
            "task_id": "none-001",
            "stage": "executing",
            "results": None,
            "complete": False,
            "timestamp_ns": None,
        }
        client.close()
