"""Logs of runs: each filter, what somebody may not see, few questions to the database, feeds."""

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.support.jobserver import (
    START,
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
    browse,
)

from carrel.jobserver.models import Backend, JobRequest, User

pytestmark = pytest.mark.django_db


def runs_on(client: Client, path: str) -> list[str]:
    """`workspace backend status` of each row."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    requests = [row.request for row in answer.context["rows"]]
    return [f"{row.workspace.name} {row.backend.slug} {row.status}" for row in requests]


@pytest.fixture
def scene() -> dict[str, JobRequest]:
    """Two workspaces of two projects by two people, on two backends, a day apart."""
    north, south = add_backend("north"), add_backend("south")
    ann, bob = add_person("ann"), add_person("bob")
    alpha = add_workspace(add_project("alpha", north, south), "costs")
    beta = add_workspace(add_project("beta", north), "visits")

    def request(number: int, workspace, person: User, backend: Backend, status: str, action: str) -> JobRequest:
        at = START + timedelta(days=number)
        run = add_run(workspace, person, created_at=at)
        row = add_request(run, backend, (action,), created_at=at, status=status)
        add_job(row, action, "succeeded", identifier=f"job{number}aaaaaaaaaaaa")
        return row

    return {
        "first": request(0, alpha, ann, north, "succeeded", "extract"),
        "second": request(1, alpha, bob, south, "failed", "extract"),
        "third": request(2, beta, bob, north, "running", "model_visits"),
    }


FIRST, SECOND, THIRD = "costs north succeeded", "costs south failed", "visits north running"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [THIRD, SECOND, FIRST]),
        ("backend=north", [THIRD, FIRST]),
        ("backend=north&backend=south&status=failed", [SECOND]),
        ("status=failed&status=running", [THIRD, SECOND]),
        ("user=ann", [FIRST]),
        ("workspace=visits", [THIRD]),
        ("action=model", [THIRD]),
        ("action=extract&user=bob", [SECOND]),
        ("since=2026-05-04", [THIRD, SECOND]),
        ("since=2026-05-04&until=2026-05-04", [SECOND]),
        ("q=visit", [THIRD]),
        ("q=Alpha", [SECOND, FIRST]),
        ("q=job1aaa", [SECOND]),
        ("q=extract", [SECOND, FIRST]),
        ("q=no+such+thing", []),
        ("status=made-up&since=yesterday&page=a", [THIRD, SECOND, FIRST]),
        ("q=%25", []),
    ],
)
def test_filters(scene: dict[str, JobRequest], query: str, expected: list[str]) -> None:
    assert runs_on(browse(), f"/runs/?{query}") == expected


def test_by_number_and_identifier(scene: dict[str, JobRequest]) -> None:
    second = scene["second"]
    assert runs_on(browse(), f"/runs/?q={second.run_id}") == [SECOND]
    assert runs_on(browse(), f"/runs/?q={second.identifier[:8]}") == [SECOND]
    assert runs_on(browse(), f"/runs/?q={second.run.commit}") == [THIRD, SECOND, FIRST]


def test_of_a_project_a_workspace_and_a_person(scene: dict[str, JobRequest]) -> None:
    assert runs_on(browse(), "/alpha/logs/") == [SECOND, FIRST]
    assert runs_on(browse(), "/beta/visits/logs/") == [THIRD]
    assert runs_on(browse(), "/users/bob/logs/?backend=south") == [SECOND]
    assert browse().get("/users/nobody/logs/").status_code == 404
    assert browse().get("/beta/costs/logs/").status_code == 404


def test_filters_are_chips(scene: dict[str, JobRequest]) -> None:
    assert "not understood" in browse().get("/runs/?from=nonsense").content.decode()
    page = browse().get("/runs/?backend=north&status=succeeded").content.decode()
    assert "not understood" not in page
    assert "Backend" in page
    assert 'href="?status=succeeded"' in page


def test_what_somebody_may_not_know_of_is_in_no_log(scene: dict[str, JobRequest]) -> None:
    ann = User.objects.get(username="ann")
    unlisted = add_backend("unlisted", is_listed=False)
    secret = add_workspace(add_project("secret", unlisted, is_listed=False), "hush")
    add_request(add_run(secret, ann), unlisted)
    add_request(add_run(scene["first"].workspace, ann), unlisted)
    for path in ("/runs/", "/users/ann/logs/", "/alpha/logs/", "/alpha/logs/feed/", "/runs/?backend=unlisted&q=hush"):
        page = browse().get(path).content.decode()
        assert "hush</a>" not in page
        assert "<td>unlisted" not in page
        assert "on unlisted" not in page
    assert browse().get("/secret/logs/").status_code == 404
    assert browse().get("/secret/hush/logs/feed/").status_code == 404


def test_questions_do_not_grow(scene: dict[str, JobRequest]) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browse().get("/runs/").status_code == 200
        return len(queries)

    before = count()
    for _ in range(60):
        add_job(add_request(add_run(scene["first"].workspace, scene["first"].created_by), add_backend()), "a")
    assert count() == before <= 12


def test_a_feed(scene: dict[str, JobRequest]) -> None:
    answer = browse().get("/alpha/logs/feed/")
    assert answer["Content-Type"].startswith("application/atom+xml")
    feed = ElementTree.fromstring(answer.content)
    titles = [
        entry.findtext("{http://www.w3.org/2005/Atom}title") for entry in feed.iter() if entry.tag.endswith("entry")
    ]
    run = scene["second"].run_id
    assert titles[0] == f"Failed: run {run} of costs on south"
    assert len(titles) == 2
    assert browse().get("/beta/visits/logs/feed/").status_code == 200


def test_of_whom_nothing_is_public_only_themselves_and_staff_find_a_page(scene):
    quiet = add_person("quiet", fullname="Quiet Person")
    add_request(add_run(add_workspace(add_project("secret", is_listed=False), "w"), quiet), add_backend("west"))
    staff = add_person("sam", "StaffAreaAdministrator")
    for path in ("/users/quiet/", "/users/quiet/logs/"):
        for person in (None, User.objects.get(username="ann")):
            answer = browse(person).get(path)
            assert (answer.status_code, "Quiet Person" in answer.content.decode()) == (404, False)
        for person in (quiet, staff):
            assert browse(person).get(path).status_code == 200
    assert browse().get("/users/ann/logs/").status_code == 200


def test_a_feed_of_names_and_messages_that_xml_cannot_hold() -> None:
    north, odd = add_backend("north", name="nor\x0bth"), "bad \x1b[31mred \ufffe \x00"
    project = add_project("alpha", north, name="al\x1bpha")
    request = add_request(add_run(add_workspace(project, "w"), add_person("ann")), north, status="failed")
    JobRequest.objects.update(status_message=odd.replace("\0", ""))
    User.objects.update(fullname="An\x01n")
    for path in ("/alpha/logs/feed/", "/alpha/w/logs/feed/"):
        feed = browse().get(path)
        assert feed.status_code == 200
        assert f"run {request.run_id}" in "".join(ElementTree.fromstring(feed.content).itertext())
