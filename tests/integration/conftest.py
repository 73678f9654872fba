"""One site per executor for the whole session: starting it costs more than most tests."""

import os
from pathlib import Path

import pytest
from tests.support.docker import docker_engine, docker_image
from tests.support.site import free_port, live_site

from carrel.executors.toolchains import build
from carrel.site.layout import Site, SiteBackend

__all__ = ["docker_engine", "docker_image"]

EXECUTORS = [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap), pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(scope="session")
def toolchains(tmp_path_factory) -> Path:
    """`python:v2` with the standard library only: what these studies need."""
    folder = tmp_path_factory.mktemp("toolchains")
    nothing = folder / "nothing.txt"
    nothing.write_text("")
    build("python", "v2", nothing, folder)
    return folder


@pytest.fixture(scope="session", params=EXECUTORS)
def site(request, tmp_path_factory, toolchains):
    root = tmp_path_factory.mktemp(f"site-{request.param}")
    extra = {"DOCKER_REGISTRY": "carrel-test", "STATS_POLL_INTERVAL": "2", "CARREL_LEASE_SECONDS": "20"}
    if request.param == "docker":
        request.getfixturevalue("docker_image")
    backends = (SiteBackend("north"), SiteBackend("south"))
    made = Site(
        root / "site",
        backends,
        port=free_port(),
        executor=request.param,
        toolchains=toolchains,
        extra_env=extra,
    )
    with live_site(made, root / "studies") as live:
        yield live


os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")
