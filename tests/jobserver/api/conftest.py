"""A live job server over real HTTP, with a database of its own, and its callers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.utils import timezone
from tests.support import databases
from tests.support.controller_server import Live
from tests.support.jobserver import add_backend, add_person, add_project, add_workspace, browse

from carrel.jobserver.models import Backend, Project, User, Workspace
from carrel.jobserver.rights.scopes import Scope


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Iterator[Path]:
    from carrel.jobserver import settings as own

    folder = tmp_path / "workdir"
    folder.mkdir()
    monkeypatch.setenv("WORKDIR", str(folder))
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": str(folder)}}
    own.get.cache_clear()
    yield folder
    own.get.cache_clear()


@pytest.fixture
def database(
    database_template: databases.SqliteTemplate | databases.PostgresTemplate, workdir: Path, django_db_blocker: Any
) -> Iterator[databases.Database]:
    """A fresh migrated database that Django in this process uses; no `django_db` mark is needed."""
    fresh = database_template.copy(workdir)
    with django_db_blocker.unblock(), databases.used_by_django(fresh):
        yield fresh


@dataclass
class Api:
    """A live job server, with the project `cancer`, its workspace `survival`, and the backends `north` and `south`."""

    url: str
    north: Backend
    south: Backend
    project: Project
    workspace: Workspace
    tokens: dict[str, str]
    """Of the backends, by slug."""
    http: httpx.Client

    def ask(self, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
        """Ask below `/api/v2/`, with this text in Authorization."""
        headers = {"Authorization": token} if token else {}
        return self.http.request(
            method, f"{self.url}/api/v2/{path}", headers={**headers, **options.pop("headers", {})}, **options
        )

    def as_backend(self, method: str, path: str, backend: str = "north", user: str = "", **options: Any) -> Any:
        """With a backend's token, and `OS-User` where a user is named."""
        headers = {**options.pop("headers", {}), **({"OS-User": user} if user else {})}
        return self.ask(method, path, self.tokens[backend], headers=headers, **options)

    def as_person(self, person: User) -> httpx.Client:
        """A client with this person's session, that sends the CSRF token."""
        browser = browse(person)
        browser.get("/accounts/email/")
        client = httpx.Client(base_url=f"{self.url}/api/v2/", timeout=60)
        client.cookies.set("carrel_session", browser.cookies["carrel_session"].value)
        client.cookies.set("carrel_csrf", csrf := "a" * 32)
        client.headers["X-CSRFToken"] = csrf
        return client


@pytest.fixture
def api(database: databases.Database, settings: LazySettings) -> Iterator[Api]:
    from carrel.jobserver.service.tokens import create_backend_token

    settings.ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
    north, south = add_backend("north"), add_backend("south")
    project = add_project("cancer", north, south)
    tokens = {backend.slug: create_backend_token(backend, "a test") for backend in (north, south)}
    live = Live()
    try:
        with httpx.Client(timeout=60) as http:
            yield Api(live.url, north, south, project, add_workspace(project, "survival"), tokens, http)
    finally:
        live.close()


def personal_token(person: User, *scopes: Scope) -> str:
    from carrel.jobserver.service.tokens import create_personal_token

    expires_at = timezone.now() + timedelta(days=30)
    return create_personal_token(person, "a program", scopes or list(Scope), expires_at, "a test")


__all__ = ["Api", "add_person", "personal_token"]
