"""The link as processes: with our real controller over HTTP, two at once, and the one that has the lease killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from tests.controller.conftest import environment
from tests.controller.rap.conftest import new_study
from tests.support.controller_server import environ_of, eventually, web
from tests.support.databases import Database
from tests.support.jobserver import add_backend, add_person, add_project, add_request, add_run, add_workspace
from tests.support.rap_server import TOKEN, rap_server

from carrel.jobserver.models import (
    Backend,
    BackendMembership,
    ControllerContact,
    JobRequest,
    Role,
    RoleAssignment,
    User,
    WorkLease,
)


@pytest.fixture
def environ(own_database: Database, tmp_path: Path) -> dict[str, str]:
    """The environment of a job server with an empty database, which this process uses too."""
    folder = tmp_path / "jobserver"
    folder.mkdir()
    own = {"CARREL_APPS": "jobserver", "DJANGO_SETTINGS_MODULE": "carrel.web.settings", "RAP_API_POLL_INTERVAL": "0.2"}
    return environ_of(own_database.url, folder, **own)


@contextmanager
def link_process(environ: Mapping[str, str], **more: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "django", "run_link"]
    process = subprocess.Popen(command, env={**environ, **more})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def new_request(backend: Backend, person: User, repo_url: str = "https://git.example.org/x", **run: Any) -> JobRequest:
    project = add_project("", backend)
    workspace = add_workspace(project, repo_url=repo_url)
    RoleAssignment.objects.create(user=person, role=Role.objects.get(name="ProjectDeveloper"), project=project)
    BackendMembership.objects.get_or_create(user=person, backend=backend)
    return add_request(add_run(workspace, person, **run), backend, ("extract",), sent_at=None)


def test_with_our_controller(environ: dict[str, str], database_template, tmp_path: Path) -> None:
    study = new_study(tmp_path / "study")
    folder = tmp_path / "controller"
    folder.mkdir()
    values = {**environment(folder), "ALLOW_LOCAL_GIT_REPOS": "true", "CARREL_APPS": "controller"}
    values |= {"TEST_IMAGES": "local", "TPP_IMAGES": "local"}
    request = new_request(add_backend("test"), add_person(), str(study.path), commit=study.commit)
    refused = new_request(add_backend("tpp"), add_person(), str(study.path), commit="0" * 40)
    with web(environ_of(database_template.copy(folder).url, folder, **values)) as controller:
        link = {"RAP_API_BASE_URL": f"{controller.url}/controller/v1/", "RAP_API_TOKEN": "both-client"}
        with link_process(environ, **link) as process:
            eventually(lambda: request.jobs.filter(action="extract").exists())
            eventually(lambda: JobRequest.objects.get(pk=refused.pk).status == "failed")
            eventually(lambda: Backend.objects.get(slug="test").status_at)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
    refused.refresh_from_db()
    assert "0000000" in refused.status_message
    assert ControllerContact.objects.get().failing_since is None
    assert not WorkLease.objects.exists()


def test_of_two_processes_one_works_and_the_other_takes_over(environ: dict[str, str]) -> None:
    person, backend = add_person(), add_backend("north")
    first = new_request(backend, person)
    with rap_server() as server:
        link = {"RAP_API_BASE_URL": server.base_url, "RAP_API_TOKEN": TOKEN}
        # The second has a controller of its own besides, by whose lease it is known to be at work.
        beside = {"CONTROLLERS": "default,west", "WEST_RAP_API_BASE_URL": server.base_url, "WEST_RAP_API_TOKEN": TOKEN}
        with link_process(environ, **link) as one:
            eventually(lambda: first.jobs.exists())
            holder = WorkLease.objects.get(name="controller:default").holder
            with link_process(environ, **link, **beside):
                eventually(lambda: WorkLease.objects.filter(name="controller:west").exists())
                more = [new_request(backend, person) for _ in range(10)]
                eventually(lambda: all(request.jobs.exists() for request in more))
                assert server.paths().count("rap/create/") == 11
                assert WorkLease.objects.get(name="controller:default").holder == holder
                one.kill()
                one.wait()
                WorkLease.objects.filter(holder=holder).update(expires_at=timezone.now())  # half a minute later
                last = new_request(backend, person)
                eventually(lambda: last.jobs.exists())
                assert WorkLease.objects.get(name="controller:default").holder not in ("", holder)
    assert server.paths().count("rap/create/") == 12
