"""GET job-requests/ as the contract has it (job-server.md section 2.1), over real HTTP."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.jobserver.api.conftest import Api
from tests.support.jobserver import (
    COMMIT,
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
)

from carrel.jobserver.models import Backend, JobRequest, Organisation, ProjectBackend, ProjectOrganisation, User
from carrel.jobserver.service.requests import withdraw_refused
from carrel.messages.job_requests import JobRequestPage


def ask_for(api: Api, backend: Backend, person: User, **fields: object) -> JobRequest:
    return add_request(add_run(api.workspace, person), backend, ["model"], **fields)


@pytest.fixture
def ann(api: Api) -> User:
    return add_person("ann", "ProjectDeveloper", project=api.project)


def identifiers(answer: httpx.Response) -> list[str]:
    return [row["identifier"] for row in answer.json()["results"]]


def test_a_request_has_the_keys_of_the_contract_in_its_order(api: Api, ann: User) -> None:
    org = Organisation.objects.create(name="Oxford", slug="oxford")
    ProjectOrganisation.objects.create(project=api.project, organisation=org, is_lead=True)
    request = ask_for(api, api.north, ann, force_run_dependencies=True, cancelled_actions=["plot"])
    answer = api.as_backend("GET", "job-requests/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    page = answer.json()
    assert list(page) == ["count", "next", "previous", "results"]
    assert (page["count"], page["next"], page["previous"]) == (1, None, None)
    created = request.created_at.isoformat().replace("+00:00", "Z")
    assert page["results"] == [
        {
            "backend": "north",
            "sha": COMMIT,
            "identifier": request.identifier,
            "force_run_dependencies": True,
            "requested_actions": ["model"],
            "cancelled_actions": ["plot"],
            "created_by": "ann",
            "created_at": created,
            "workspace": {
                "name": "survival",
                "repo": "https://git.example.org/survival",
                "branch": "main",
                "created_by": "",
                "created_at": api.workspace.created_at.isoformat().replace("+00:00", "Z"),
            },
            "database_name": "default",
            "project": "cancer",
            "orgs": ["oxford"],
            "codelists_ok": True,
        }
    ]
    JobRequestPage.model_validate(page)


def test_a_backend_gets_its_own_and_a_stranger_what_is_public(api: Api, ann: User) -> None:
    hidden = add_backend("west", is_listed=False)
    unlisted = add_workspace(add_project("secret", api.north, is_listed=False))
    of_north, of_south, of_west = (ask_for(api, backend, ann) for backend in (api.north, api.south, hidden))
    of_unlisted = add_request(add_run(unlisted, ann), api.north)
    assert set(identifiers(api.as_backend("GET", "job-requests/"))) == {of_north.identifier, of_unlisted.identifier}
    # The parameter of old is ignored, as the contract has it.
    assert set(identifiers(api.as_backend("GET", "job-requests/?backend=south"))) == {
        of_north.identifier,
        of_unlisted.identifier,
    }
    everybody = set(identifiers(api.ask("GET", "job-requests/")))
    assert everybody == {of_north.identifier, of_south.identifier}
    assert of_west.identifier not in everybody


@pytest.mark.parametrize(
    ("status", "age_days", "job", "shown"),
    [
        ("pending", 0, "", True),
        ("running", 364, "", True),
        ("unknown", 0, "", True),
        ("unknown_error_creating_jobs", 0, "", True),
        ("pending", 366, "", False),
        ("pending", 366, "running", True),
        ("succeeded", 0, "", False),
        ("failed", 0, "pending", True),
        ("failed", 0, "failed", False),
        ("nothing_to_do", 0, "", False),
    ],
)
def test_what_is_active(api: Api, ann: User, status: str, age_days: int, job: str, shown: bool) -> None:
    created = datetime.now(UTC) - timedelta(days=age_days)
    request = ask_for(api, api.north, ann, status=status, created_at=created)
    if job:
        add_job(request, "model", job)
    assert bool(identifiers(api.as_backend("GET", "job-requests/"))) is shown


def test_more_than_a_page_of_active_requests_are_all_found_by_following_next(api: Api, ann: User) -> None:
    start = datetime.now(UTC) - timedelta(days=1)
    requests = [ask_for(api, api.north, ann, created_at=start + timedelta(minutes=n)) for n in range(103)]
    newest_first = [request.identifier for request in reversed(requests)]
    first = api.as_backend("GET", "job-requests/").json()
    assert (first["count"], first["previous"], len(first["results"])) == (103, None, 100)
    assert first["next"].startswith(api.url)
    second = api.http.get(first["next"], headers={"Authorization": api.tokens["north"]}).json()
    assert (second["next"], len(second["results"])) == (None, 3)
    assert [row["identifier"] for row in first["results"] + second["results"]] == newest_first
    back = api.http.get(second["previous"], headers={"Authorization": api.tokens["north"]}).json()
    assert back["results"] == first["results"]
    assert urlsplit(first["next"]).query == "limit=100&offset=100"
    assert identifiers(api.as_backend("GET", "job-requests/?limit=2&offset=1")) == newest_first[1:3]


def test_next_has_the_address_that_the_caller_used_and_tls_where_the_site_has_it(api: Api, ann: User, settings) -> None:
    for _ in range(2):
        ask_for(api, api.north, ann)
    settings.JOBSERVER_URL = "https://jobs.example.org"
    settings.ALLOWED_HOSTS = ["jobs.example.org", "127.0.0.1"]
    through_proxy = api.as_backend("GET", "job-requests/?limit=1", headers={"Host": "jobs.example.org"}).json()
    assert through_proxy["next"] == "https://jobs.example.org/api/v2/job-requests/?limit=1&offset=1"
    assert api.as_backend("GET", "job-requests/?limit=1").json()["next"].startswith(api.url)


def test_the_number_of_questions_does_not_grow(api: Api, ann: User, django_assert_num_queries) -> None:
    from tests.support.jobserver import browse

    for _ in range(5):
        ask_for(api, api.north, ann)
    client = browse()
    with django_assert_num_queries(4):
        assert len(client.get("/api/v2/job-requests/").json()["results"]) == 5
    for _ in range(20):
        ask_for(api, api.south, ann)
    with django_assert_num_queries(4):
        assert len(client.get("/api/v2/job-requests/").json()["results"]) == 25


@pytest.mark.parametrize("token", ["wrong", "Bearer wrong", "Basic dXNlcjp4", "ann:wrong", "é"])
def test_a_wrong_token_is_403_with_detail(api: Api, token: str) -> None:
    answer = api.ask("GET", "job-requests/", headers={"Authorization": token.encode()})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "Invalid token."


def test_a_controller_that_asks_is_heard_and_its_flags_are_shown(api: Api) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    Backend.objects.update(last_seen_at=long_ago)
    flags = {
        "paused": {"v": "true", "ts": "2026-05-01T10:00:00Z"},
        "mode": {"v": "db-maintenance", "ts": "2026-05-02T10:00:00Z"},
        "junk": 5,
    }
    headers = {"Flags": json.dumps(flags)}
    api.as_backend("GET", "job-requests/", headers=headers)
    api.north.refresh_from_db()
    assert (api.north.last_seen_at, api.north.is_paused) == (long_ago, False), "the RAP API tells of this one"
    Backend.objects.filter(slug="north").update(link="polled")
    api.as_backend("GET", "job-requests/", headers=headers)
    api.north.refresh_from_db()
    assert api.north.last_seen_at is not None
    assert api.north.last_seen_at > long_ago
    assert (api.north.is_paused, api.north.paused_since) == (True, datetime(2026, 5, 1, 10, tzinfo=UTC))
    assert (api.north.in_maintenance, api.north.maintenance_since) == (True, datetime(2026, 5, 2, 10, tzinfo=UTC))
    api.as_backend("GET", "job-requests/", headers={"Flags": "not JSON"})
    api.north.refresh_from_db()
    assert not api.north.is_paused


def test_what_may_not_run_any_more_is_not_handed_to_its_controller(api: Api, ann: User) -> None:
    """The same check as before a request is sent to a controller that we ask; that link's test has every reason."""
    Backend.objects.filter(slug="north").update(link="polled")
    api.north.memberships.create(user=ann)
    pending, running = (ask_for(api, api.north, ann) for _ in range(2))
    add_job(running, "model", "running")
    assert set(identifiers(api.as_backend("GET", "job-requests/"))) == {pending.identifier, running.identifier}
    ProjectBackend.objects.filter(project=api.project, backend=api.north).delete()
    assert set(identifiers(api.ask("GET", "job-requests/"))) == {pending.identifier, running.identifier}
    page = api.as_backend("GET", "job-requests/").json()
    assert ([row["identifier"] for row in page["results"]], page["count"]) == ([running.identifier], 1)
    pending.refresh_from_db()
    assert (pending.status, pending.status_message) == (
        "failed",
        "Not sent to north. This project is not opted in to north. Staff can grant it.",
    )


def test_looking_at_rights_costs_the_same_however_many_wait(api: Api, ann: User) -> None:
    Backend.objects.filter(slug="north").update(link="polled")
    api.north.memberships.create(user=ann)
    counts = []
    for number in (1, 30):
        for _ in range(number):
            ask_for(api, api.north, ann)
        with CaptureQueriesContext(connection) as queries:
            withdraw_refused(list(JobRequest.objects.select_related("workspace__project", "created_by", "backend")))
        counts.append(len(queries))
    assert counts[0] == counts[1]
