"""Live elements over HTTP: an ETag, 304 where nothing has changed, 286 at the end."""

from collections.abc import Iterator

import pytest
from django.test import Client
from tests.pages.gallery import views

from carrel.pages.live import etag_of


@pytest.fixture(autouse=True)
def from_the_start() -> Iterator[None]:
    views.STATE["step"] = 0
    yield
    views.STATE["step"] = 0


def test_what_has_not_changed_is_not_sent_again() -> None:
    first = Client().get("/live/parts/")
    assert first.status_code == 200
    assert first["Cache-Control"] == "private, no-cache"
    again = Client().get("/live/parts/", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    views.STATE["step"] = 1
    assert Client().get("/live/parts/", headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_the_last_answer_ends_the_asking() -> None:
    views.STATE["step"] = views.STEPS
    answer = Client().get("/live/parts/")
    assert answer.status_code == 286
    assert "ETag" not in answer
    assert b"data-live" not in Client().get("/live/").content


def test_etags_follow_their_values() -> None:
    assert etag_of(1, "a") == etag_of(1, "a")
    assert etag_of(1, "a") != etag_of("1", "a")
