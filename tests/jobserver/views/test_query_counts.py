"""How often pages ask the database: held for all pages of a site at once, so that none asks for row after row."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.support.jobserver import browse
from tests.support.showcase import add_showcase
from tests.support.showcase_pages import pages_of, parts_of

from carrel.jobserver import settings
from carrel.jobserver.models import User

MOST = 24


@pytest.fixture(autouse=True)
def _workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WORKDIR", str(tmp_path / "workdir"))
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    settings.get.cache_clear()
    yield
    settings.get.cache_clear()


@pytest.mark.django_db
def test_no_page_asks_often(tmp_path: Path) -> None:
    showcase = add_showcase(tmp_path)
    visitors = {name: browse(User.objects.get(username=name)) for name in ("ann", "ben", "sam")} | {"nobody": Client()}
    counts: dict[str, int] = {}
    for name, path, by in pages_of(parts_of(showcase)):
        with CaptureQueriesContext(connection) as queries:
            visitors[by].get(path)
        counts[name] = len(queries)
    assert {name: count for name, count in counts.items() if count > MOST} == {}
