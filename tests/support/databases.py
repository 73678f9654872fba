"""A database of its own for each test, made from a migrated template, on SQLite or PostgreSQL.

Real commits, threads and processes see what they would see in production; nothing need be flushed afterwards.
`CARREL_TEST_DATABASE=postgresql` chooses PostgreSQL for the whole run; without it a run uses SQLite. The fixtures
`database_template` and `own_database` are there for every test. The database of pytest-django's `db` is that of all
tests of a worker, for those whose transaction is rolled back.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.postgres import Cluster, running_cluster
from tests.support.shared import shared_folder

_numbers = itertools.count(1)


def wanted_vendor() -> str:
    return os.environ.get("CARREL_TEST_DATABASE", "sqlite")


@dataclass
class Database:
    """One database: give `url` to processes as CARREL_DATABASE_URL."""

    url: str
    vendor: str


class SqliteTemplate:
    vendor = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    def copy(self, folder: Path) -> Database:
        path = folder / "db.sqlite"
        shutil.copyfile(self.path, path)
        return Database(f"sqlite:///{path}", self.vendor)


class PostgresTemplate:
    vendor = "postgresql"

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.execute("CREATE DATABASE carrel_template")
        migrate(cluster.url("carrel_template"), folder)

    def copy(self, _folder: Path) -> Database:
        name = f"carrel_{next(_numbers)}"
        self.cluster.execute(f"CREATE DATABASE {name} TEMPLATE carrel_template STRATEGY file_copy")
        return Database(self.cluster.url(name), self.vendor)


def migrate(url: str, workdir: Path) -> None:
    """Apply all migrations, in a process of its own, as an installation does."""
    environ = {**os.environ, "CARREL_DATABASE_URL": url, "WORKDIR": str(workdir)}
    environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.all_apps"
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"], env=environ, check=True, cwd=workdir
    )


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteTemplate | PostgresTemplate]:
    """The migrated template: on SQLite one of all workers, on PostgreSQL one of each."""
    if wanted_vendor() == "postgresql":
        with running_cluster() as cluster:
            yield PostgresTemplate(tmp_path_factory.mktemp("template"), cluster)
        return
    with shared_folder(tmp_path_factory, "template") as (folder, fresh):
        path = folder / "template.sqlite"
        if fresh:
            migrate(f"sqlite:///{path}", folder)
    yield SqliteTemplate(path)


@pytest.fixture
def own_database(
    database_template: SqliteTemplate | PostgresTemplate, tmp_path: Path, django_db_blocker: Any
) -> Iterator[Database]:
    """A database of this test alone, empty but migrated, which Django in this process uses in all its threads."""
    folder = tmp_path / "own_database"
    folder.mkdir()
    database = database_template.copy(folder)
    with django_db_blocker.unblock(), used_by_django(database):
        yield database


@contextmanager
def used_by_django(database: Database) -> Iterator[None]:
    """Point this process's Django at the database, in all threads, and back."""
    from django.db import connections

    before = connections.settings["default"]
    point_django_at(database)
    try:
        yield
    finally:
        connections.close_all()
        connections.settings["default"] = before
        _forget_connections()


def point_django_at(database: Database) -> None:
    """Make it the database of this process's Django, for good; connections of before are closed."""
    from django.db import connections

    from carrel.web.databases import database_settings

    connections.close_all()
    made = database_settings(database.url, Path("unused"))
    connections.settings["default"] = {**connections.settings["default"], **made, "CONN_MAX_AGE": 0}
    _forget_connections()


def _forget_connections() -> None:
    from django.db import connections

    if hasattr(connections._connections, "default"):
        del connections["default"]
