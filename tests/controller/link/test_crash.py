"""kill -9 between any two instructions of a link, then simply start again: the server hears the same in the end."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.controller.conftest import environment
from tests.controller.link.conftest import identifier, link_environment
from tests.controller.rap.conftest import Study, new_study
from tests.support.controller_server import environ_of
from tests.support.databases import used_by_django
from tests.support.forked import Forker
from tests.support.job_server import JobServer, job_server

POINTS = [
    "controller.link.leased",
    "controller.link.fetched",
    "controller.link.fetched:2",
    "controller.link.remembered",
    "controller.link.remembered:2",
    "controller.link.created",
    "controller.link.created:2",
    "controller.link.cancelled",
    "controller.link.posted",
    "controller.link.posted:2",
    "controller.link.posted:4",
    "controller.link.settled",
    "controller.link.settled:3",
    "controller.rap.inserted",
    "controller.rap.opened",
    "controller.jobs.inserted",
    "controller.jobs.scheduled",
    "controller.jobs.created",
    "controller.cancel.flagged",
    "controller.cancel.done",
    "controller.update.applied",
]


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker("tests.support.link_scenario") as running:
        yield running


@pytest.fixture(scope="module")
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return new_study(tmp_path_factory.mktemp("crash") / "study")


def fill(server: JobServer, study: Study) -> None:
    """One that runs, one with a cancelled job, one with nothing to do, one refused, one unreadable, one cancelled."""
    values: dict[str, Any] = {"sha": study.commit, "requested_actions": ["plot"]}
    for number, name in enumerate(("ws", "ws2", "ws", "ws", "ws3", "ws4")):
        server.add(identifier(number), **values, workspace={"repo": str(study.path), "name": name})
    server.requests[identifier(1)] |= {"requested_actions": ["extract", "plot"], "cancelled_actions": ["plot"]}
    server.requests[identifier(5)]["cancelled_actions"] = ["plot"]
    server.requests[identifier(3)]["requested_actions"] = ["unheard_of"]
    server.requests[identifier(4)]["sha"] = None


def environ(database: Any, folder: Path, server: JobServer) -> dict[str, str]:
    values = environment(folder) | link_environment(folder, server)
    return environ_of(database.url, folder, **values)


def view(server: JobServer) -> dict[str, Any]:
    """What the server knows in the end, without what a clock or a random number made."""
    keys = ("job_request_id", "identifier", "action", "status", "status_code", "status_message")
    return {
        "jobs": sorted(tuple(job[key] for key in keys) for job in server.jobs.values()),
        "requests": {rap_id: (server.status(rap_id), server.is_active(rap_id)) for rap_id in server.requests},
    }


def rows() -> dict[str, Any]:
    from carrel.controller.models import Event, Job, LinkedRequest, Rap, Task

    return {
        "raps": sorted(Rap.objects.values_list("id", "outcome", "outcome_details")),
        "own jobs": sorted(Job.objects.values_list("id", "action", "status_code", "cancelled")),
        "tasks": sorted(Task.objects.values_list("task_id", "agent_complete")),
        "transitions": sorted(Event.objects.filter(kind="job.status").values_list("job_id", "data__from", "data__to")),
        "linked": sorted((row.rap_id, row.settled_at is None) for row in LinkedRequest.objects.all()),
    }


@pytest.fixture(scope="module")
def expected(forker, shared_study, database_template, tmp_path_factory, django_db_blocker) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    database = database_template.copy(folder)
    with job_server() as server:
        fill(server, shared_study)
        assert forker.call("run", environ=environ(database, folder, server), points=folder / "points") == 0
        passed = (folder / "points").read_text().split()
        for point in POINTS:
            name, _, count = point.partition(":")
            assert passed.count(name) >= int(count or 1), point
        assert {name for name in passed if ".link." in name} <= {point.partition(":")[0] for point in POINTS}
        with django_db_blocker.unblock(), used_by_django(database):
            return {**view(server), **rows()}


def test_the_undisturbed_run_is_what_it_should_be(expected):
    assert expected["requests"] == {
        identifier(0): ("succeeded", False),
        identifier(1): ("failed", False),
        identifier(2): ("succeeded", False),
        identifier(3): ("failed", False),
        identifier(4): ("failed", False),
        identifier(5): ("failed", False),
    }
    assert {unsettled for _, unsettled in expected["linked"]} == {False}
    assert {job[2] for job in expected["jobs"] if job[0] == identifier(1)} == {"extract", "model", "plot"}
    assert {job[2]: job[4] for job in expected["jobs"] if job[0] == identifier(5)} == {"__error__": "cancelled_by_user"}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_and_run_again(point, forker, expected, shared_study, database, workdir, server):
    from carrel.controller.models import JobServerLink

    fill(server, shared_study)
    values = environ(database, workdir, server)
    assert forker.call("run", kill_at=point, environ=values) == -signal.SIGKILL
    JobServerLink.objects.update(lease_expires_at=None)  # a minute later
    assert forker.call("run", environ=values) == 0
    assert {**view(server), **rows()} == expected
