"""What the controller's tests share. `database`: a fresh database with real commits; no `django_db` mark is needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import databases


@pytest.fixture(autouse=True)
def _controller_alone(settings) -> None:
    """At `/` is the controller, as in a process of its own; tests have the job server in theirs as well."""
    settings.ROOT_URLCONF = "carrel.controller.urls"


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "workdir"
    folder.mkdir()
    return folder


@pytest.fixture
def controller_env(monkeypatch: pytest.MonkeyPatch, workdir: Path) -> Iterator[pytest.MonkeyPatch]:
    """A known environment: backends `test` and `tpp` with the agent tokens `test-token` and `tpp-token`."""
    from carrel.controller import settings

    for name, value in environment(workdir).items():
        monkeypatch.setenv(name, value)
    settings.get.cache_clear()
    yield monkeypatch
    settings.get.cache_clear()


def environment(workdir: Path) -> dict[str, str]:
    return {
        "BACKENDS": "test,tpp",
        "WORKDIR": str(workdir),
        "TEST_JOB_SERVER_TOKEN": "test-token",
        "TPP_JOB_SERVER_TOKEN": "tpp-token",
        "TEST_CLIENT_TOKENS": "test-client,both-client",
        "TPP_CLIENT_TOKENS": "tpp-client,both-client",
        "MAINTENANCE_ENABLED_BACKENDS": "",
        "DATA_CHECK_ENABLED_BACKENDS": "",
    }


@pytest.fixture
def database(
    database_template: databases.SqliteTemplate | databases.PostgresTemplate,
    controller_env: pytest.MonkeyPatch,
    workdir: Path,
    django_db_blocker,
) -> Iterator[databases.Database]:
    """A fresh migrated database that Django in this process uses, and other processes may (`database.url`)."""
    made = database_template.copy(workdir)
    with django_db_blocker.unblock(), databases.used_by_django(made):
        yield made
