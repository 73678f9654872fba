"""Plain-text answers about one backend: 200 or 503."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.jobserver import add_backend, browse

pytestmark = pytest.mark.django_db


def test_a_backend_that_was_heard_of_in_time() -> None:
    now = datetime.now(UTC)
    add_backend("north", last_seen_at=now)
    answer = browse().get("/status/north/")
    assert (answer.status_code, answer.content.decode()) == (200, now.isoformat())
    assert answer["Content-Type"] == "text/plain; charset=utf-8"


def test_one_that_is_missing_and_one_that_was_never_seen() -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=301)
    add_backend("north", last_seen_at=long_ago)
    add_backend("south", last_seen_at=long_ago, alert_timeout_seconds=600)
    add_backend("east", last_seen_at=None)
    answer = browse().get("/status/north/")
    assert (answer.status_code, answer.content.decode()) == (503, long_ago.isoformat())
    assert browse().get("/status/south/").status_code == 200
    assert (browse().get("/status/east/").status_code, browse().get("/status/east/").content) == (200, b"never seen")


def test_maintenance() -> None:
    since = datetime(2026, 5, 1, 9, tzinfo=UTC)
    add_backend("north", in_maintenance=True, maintenance_since=since)
    add_backend("south", maintenance_since=since)
    text = browse().get("/status/north/db-availability/").content.decode()
    assert text == "DB maintenance mode on (since 2026-05-01T09:00:00+00:00)"
    assert browse().get("/status/south/db-availability/").content == b"DB maintenance mode off"


def test_a_backend_that_is_not_listed_is_not_there_for_strangers() -> None:
    add_backend("west", is_listed=False)
    assert browse().get("/status/west/").status_code == 404
    assert browse().get("/status/west/db-availability/").status_code == 404
