"""The first page and the health checks."""

import pytest
from tests.support.jobserver import add_backend, add_person, browse

pytestmark = pytest.mark.django_db


def test_a_stranger_sees_the_first_page() -> None:
    answer = browse().get("/")
    assert answer.status_code == 200
    assert b"Sign in" in answer.content


def test_a_person_sees_their_name_and_the_backends_they_may_know_of() -> None:
    person = add_person("ann", fullname="Ann Lee")
    add_backend("north")
    add_backend("west", is_listed=False)
    page = browse(person).get("/").content.decode()
    assert "Ann Lee" in page
    assert "north" in page
    assert "west" not in page


def test_the_mark_is_where_browsers_look_for_it() -> None:
    answer = browse().get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, "/static/pages/mark.svg")


def test_health() -> None:
    assert browse().get("/health-check/").json() == {"status": "ok"}
    assert browse().get("/readyz").json() == {"status": "ready"}
