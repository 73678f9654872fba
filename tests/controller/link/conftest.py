"""A job server that is polled, and the link to it, with a study in a local repository."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.controller.rap.conftest import Study, new_study, rap_environment
from tests.support.job_server import JobServer, job_server


@pytest.fixture
def server() -> Iterator[JobServer]:
    with job_server() as running:
        yield running


@pytest.fixture
def study(tmp_path) -> Study:
    return new_study(tmp_path / "study")


@pytest.fixture
def link_env(controller_env, tmp_path, server) -> pytest.MonkeyPatch:
    for name, value in link_environment(tmp_path, server).items():
        controller_env.setenv(name, value)
    return controller_env


def link_environment(tmp_path, server: JobServer) -> dict[str, str]:
    return rap_environment(tmp_path) | {
        "JOB_SERVER_ENDPOINT": server.url,
        "TEST_JOB_SERVER_LINK_TOKEN": "test-link",
        "TPP_JOB_SERVER_LINK_TOKEN": "tpp-link",
        "POLL_INTERVAL": "0.05",
    }


@pytest.fixture
def new_link(database, link_env, server) -> Iterator[Callable[..., Any]]:
    """Makes links as a process that starts would; `.once()` is one exchange."""
    from contextlib import ExitStack

    from carrel.clients.job_server import JobServerClient
    from carrel.controller.link.exchange import Link

    with ExitStack() as stack:

        def make(backend: str = "test", **options: Any) -> Link:
            client = stack.enter_context(JobServerClient(server.url, f"{backend}-link"))
            return Link(backend, client, **options)

        yield make


@pytest.fixture
def link(new_link):
    return new_link()


@pytest.fixture
def ask(server, study) -> Callable[..., dict[str, Any]]:
    """A person asks for actions of the study on the server's page."""

    def add(identifier: str, *actions: str, **changes: Any) -> dict[str, Any]:
        workspace = {"repo": str(study.path)} | changes.pop("workspace", {})
        values = {"sha": study.commit, "requested_actions": list(actions or ["plot"])}
        return server.add(identifier, **(values | {"workspace": workspace} | changes))

    return add


def identifier(number: int) -> str:
    return f"req{number:013}"
