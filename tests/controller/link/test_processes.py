"""The link in real processes: the controller's own, and the web server that sweeps too; several of them at once."""

import signal

import pytest
from tests.controller.conftest import environment
from tests.controller.link.conftest import identifier, link_environment
from tests.support.controller_server import environ_of, eventually, sweeper, web

from carrel.jobs.identifiers import job_id

ONE = identifier(1)


@pytest.fixture
def environ(database, workdir, tmp_path, server):
    return environ_of(database.url, workdir, **environment(workdir), **link_environment(tmp_path, server))


def test_a_controller_that_nobody_can_reach_does_its_work(server, ask, environ):
    """No web process, no RAP API: what is asked for is begun, cancelled and told, for both backends."""
    ask(ONE)
    ask(identifier(2), backend="tpp")
    with sweeper(environ) as running:
        eventually(lambda: len(server.jobs_of(ONE)) == len(server.jobs_of(identifier(2))) == 3)
        server.cancel(ONE, "extract", "model", "plot")
        eventually(lambda: server.status(ONE) == "failed")
        assert {job["status_code"] for job in server.jobs_of(ONE).values()} == {"cancelled_by_user"}
        assert server.jobs_of(identifier(2))["extract"]["identifier"] == job_id(identifier(2), "extract")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
    from carrel.controller.models import JobServerLink

    assert set(JobServerLink.objects.values_list("holder", flat=True)) == {""}, "whoever comes next need not wait"


def test_two_controllers_and_a_web_server_ask_as_one(server, ask, environ):
    from carrel.controller.models import JobServerLink

    server.faults.extend(["html"] * 2)
    with sweeper(environ), sweeper(environ), web(environ, "--with-sweep"):
        eventually(lambda: JobServerLink.objects.filter(failures=0, answered_at__isnull=False).count() == 2)
        holders = set(JobServerLink.objects.values_list("backend", "holder"))
        ask(ONE)
        eventually(lambda: len(server.jobs_of(ONE)) == 3)
        assert set(JobServerLink.objects.values_list("backend", "holder")) == holders


def test_nothing_is_asked_where_nothing_is_configured(server, environ):
    from carrel.controller.models import JobServerLink

    with web({**environ, "JOB_SERVER_ENDPOINT": ""}, "--with-sweep") as running, running.client() as client:
        assert client.get("/healthz").status_code == 200
        assert "carrel_link_failures{" not in client.get("/metrics").text
    assert (server.asked, JobServerLink.objects.count()) == ([], 0)
