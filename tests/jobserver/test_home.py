"""The first page and the health checks."""

import pytest
from tests.support.jobserver import (
    add_backend,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
    browse,
)

from carrel.jobserver.views.latest import latest_requests

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


def test_what_failed_in_a_project_that_one_has_left_shows_no_more() -> None:
    person, north = add_person("ann"), add_backend("north")
    for slug, is_listed in (("open", True), ("secret", False)):
        workspace = add_workspace(add_project(slug, north, is_listed=is_listed), f"{slug}-study")
        add_request(add_run(workspace, person), north, status="failed")
    page = browse(person).get("/").content.decode()
    assert "open-study" in page
    assert "secret-study" not in page


def test_nothing_to_do_hides_neither_what_goes_on_nor_what_came_of_it() -> None:
    backend = add_backend()
    workspace = add_workspace(add_project("", backend))
    person = add_person()
    statuses = ("nothing_to_do", "running", "nothing_to_do")
    rows = [add_request(add_run(workspace, person), backend, status=status) for status in statuses]

    def shown() -> str:
        return latest_requests([workspace], [backend])[workspace.pk][backend.pk].status

    assert shown() == "running"
    rows[1].status = "succeeded"
    rows[1].save()
    assert shown() == "succeeded"
    rows[1].delete()
    assert shown() == "nothing_to_do"
