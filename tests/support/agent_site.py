"""Fixtures: a site with a controller and an agent of its own, whose processes end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import task_server
from tests.support.agents import PROJECT, Site, make_repo

FILES = {"project.yaml": PROJECT, "code/make.sh": "mkdir -p output; printf 'a,b\\n1,2\\n' > output/x.csv; echo done\n"}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    repo = tmp_path_factory.mktemp("study")
    return repo, make_repo(repo, FILES)


@pytest.fixture
def make_site(tmp_path: Path, study: tuple[Path, str]) -> Iterator[Callable[..., Site]]:
    """Builds a site with its own controller; what it starts ends with the test."""
    sites: list[Site] = []

    def make(name: str = "site", *, contract: bool = False, **env: str) -> Site:
        root = tmp_path / name
        root.mkdir()
        site = Site(root, task_server.TaskServer(contract=contract), *study, env=env)
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.kill()
        site.server.close()
        _end_jobs(site)


def _end_jobs(site: Site) -> None:
    from carrel.executors.process import ProcessExecutor

    executor = ProcessExecutor(site.root / "work" / "executor")
    for name in executor.list():
        executor.remove(name)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
