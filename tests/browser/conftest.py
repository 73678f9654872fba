"""The job server in a browser: a database of its own for each test, served from threads of this process.

Whole sites (`shown`, `day`) are processes of their own, shared by the session: starting one costs more than most tests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import Browser, expect
from tests.support.browser import Visit, browser, served
from tests.support.databases import Database
from tests.support.days import Days, Installation, installed
from tests.support.jobserver import browse
from tests.support.served_showcase import ServedShowcase, served_showcase

from carrel.executors.toolchains import build
from carrel.jobserver.models import User

__all__ = ["browser"]

expect.set_options(timeout=30_000)  # a machine that runs many tests may take long for anything


@dataclass(frozen=True)
class JobServerSite:
    """Where it is, and windows on it."""

    browser: Browser
    url: str

    def visit(self, person: User | None = None, **options: Any) -> Visit:
        """A window in which this person is signed in."""
        visit = Visit(self.browser, self.url, **options)
        if person is not None:
            cookie = browse(person).cookies["carrel_session"].value
            visit.context.add_cookies([{"name": "carrel_session", "value": cookie, "url": self.url}])
        return visit


@pytest.fixture
def jobserver(browser: Browser, own_database: Database) -> Iterator[JobServerSite]:
    """A job server with an empty database that this process fills."""
    with served(WSGIHandler()) as url:
        yield JobServerSite(browser, url)


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedShowcase]:
    """A job server in the middle of a working day."""
    with served_showcase(tmp_path_factory.mktemp("showcase")) as site:
        yield site


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A controller, agents and a job server, with jobs that really run."""
    folder = tmp_path_factory.mktemp("day")
    (folder / "nothing.txt").write_text("")
    build("python", "v2", folder / "nothing.txt", folder / "toolchains")
    with installed(folder, folder / "toolchains") as installation:
        yield installation


@pytest.fixture
def day(installation: Installation, browser: Browser) -> Days:
    """The installation, and windows on it."""
    return Days(**vars(installation), browser=browser)
