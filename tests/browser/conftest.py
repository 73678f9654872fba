"""The job server in a browser: a database of its own for each test, served from threads of this process."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import Browser
from tests.support import databases
from tests.support.browser import Visit, browser, served
from tests.support.jobserver import browse

from carrel.jobserver.models import User

__all__ = ["browser"]


@pytest.fixture(scope="session")
def jobserver_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with databases.template(tmp_path_factory.mktemp("template")) as migrated:
        yield migrated


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
def jobserver(browser: Browser, jobserver_template, tmp_path: Path, django_db_blocker) -> Iterator[JobServerSite]:
    """A job server with an empty database that this process fills."""
    folder = tmp_path / "workdir"
    folder.mkdir()
    database = jobserver_template.copy(folder)
    with django_db_blocker.unblock(), databases.used_by_django(database), served(WSGIHandler()) as url:
        yield JobServerSite(browser, url)
