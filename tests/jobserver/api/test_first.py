"""The first API of 2020 (job-server.md section 7): create a workspace, post a job, list both, over real HTTP."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.db import transaction
from tests.jobserver.api.conftest import Api, personal_token
from tests.support.jobserver import START, add_job, add_person, add_project, add_request, add_run, add_workspace
from tests.support.studies import make_study

from carrel.jobserver import settings as own
from carrel.jobserver.models import Backend, BackendMembership, JobRequest, OutgoingMessage, User, Workspace
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.service.requests import lock_request, set_outcome


@pytest.fixture
def ann(api: Api) -> User:
    person = add_person("ann", "ProjectDeveloper", project=api.project)
    for backend in (api.north, api.south):
        BackendMembership.objects.create(backend=backend, user=person)
    return person


@pytest.fixture
def repo(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    return make_study(tmp_path / "study")


def ask(api: Api, person: User, method: str, path: str, *scopes: Scope, **options: Any) -> httpx.Response:
    pair = f"{person.username}:{personal_token(person, *scopes)}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return api.http.request(method, f"{api.url}{path}", headers=headers, **options)


@pytest.mark.parametrize("root", ["/api/v1", ""])
def test_a_workspace_and_a_job_by_two_calls(api: Api, ann: User, repo: Any, root: str) -> None:
    body = {"name": "first", "repo": repo.url, "branch": "main", "db": "full", "owner": "ann"}
    created = ask(api, ann, "POST", f"{root}/workspaces/", Scope.WORKSPACE, json=body)
    assert created.status_code == 201, created.text
    workspace = created.json()
    assert {key: workspace[key] for key in ("name", "repo", "branch", "db", "owner")} == body
    assert list(workspace) == ["id", "url", "name", "repo", "branch", "db", "owner", "created_at"]
    posted = {
        "backend": "north",
        "operation": "visits",
        "workspace_id": workspace["id"],
        "force_run_dependencies": True,
    }
    answer = ask(api, ann, "POST", f"{root}/jobs/", Scope.RUN, json=posted)
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert (job["backend"], job["action_id"], job["workspace"]["name"]) == ("north", "visits", "first")
    assert (job["started"], job["status_code"], job["outputs"], job["completed_at"]) == (False, None, [], None)
    request = JobRequest.objects.get()
    assert (request.requested_actions, request.force_run_dependencies) == (["visits"], True)
    assert request.run.commit == repo.git("rev-parse", "HEAD")
    assert ask(api, ann, "GET", job["url"].removeprefix(api.url), Scope.READ).json() == job


def test_what_a_job_says_once_it_has_run(api: Api, ann: User) -> None:
    succeeded = add_request(add_run(api.workspace, ann), api.north, ["a"], status="succeeded", completed_at=START)
    add_job(succeeded, "a")
    add_request(add_run(api.workspace, ann), api.south, ["b"], status="failed", status_message="No branch")
    jobs = ask(api, ann, "GET", "/api/v1/jobs/").json()["results"]
    assert [(job["action_id"], job["status_code"], job["status_message"], job["started"]) for job in jobs] == [
        ("b", 1, "No branch", True),
        ("a", 0, "Succeeded", True),
    ]
    assert jobs[1]["started_at"] == "2026-05-03T09:00:20Z"


def test_filters_and_pages(api: Api, ann: User) -> None:
    other = add_workspace(api.project, "other", branch="dev", created_by=ann)
    add_request(add_run(api.workspace, ann), api.north, ["a"])
    add_request(add_run(other, ann), api.south, ["b"], status="running")

    def names(query: str) -> list[str]:
        return [row["name"] for row in ask(api, ann, "GET", f"/api/v1/workspaces/?{query}").json()["results"]]

    def actions(query: str) -> list[str]:
        return [row["action_id"] for row in ask(api, ann, "GET", f"/api/v1/jobs/?{query}").json()["results"]]

    assert names("") == ["other", "survival"]
    assert names(f"id={other.pk}") == names("name=other") == names("branch=dev") == names("owner=ann") == ["other"]
    assert names("repo=https://git.example.org/survival") == ["survival"]
    assert names("db=full") == ["other", "survival"]
    assert names("db=dummy") == names("db=slice") == names("db=junk") == []
    assert actions("") == ["b", "a"]
    assert actions(f"workspace={other.pk}") == actions("backend=south") == actions("started=true") == ["b"]
    assert actions("started=false") == actions("action_id=a") == ["a"]
    one = ask(api, ann, "GET", "/api/v1/jobs/?limit=1&offset=1").json()
    assert (one["count"], one["next"], one["results"][0]["action_id"]) == (2, None, "a")
    assert one["previous"] == f"{api.url}/api/v1/jobs/?limit=1&offset=0"


def test_data_that_is_made_up_stays_on_backends_of_such(api: Api, ann: User, repo: Any) -> None:
    body = {"name": "toy", "repo": repo.url, "branch": "main", "db": "dummy"}
    workspace = ask(api, ann, "POST", "/workspaces/", json=body).json()
    assert workspace["db"] == "dummy"
    job = {"backend": "north", "action_id": "visits", "workspace": {"id": workspace["id"]}}
    refused = ask(api, ann, "POST", "/jobs/", json=job)
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        "This workspace is for dummy data, and north holds none: choose another backend.",
    )
    Backend.objects.filter(slug="north").update(holds_dummy_data=True)
    assert ask(api, ann, "POST", "/jobs/", json=job).status_code == 201


def test_a_slice_is_what_the_site_says(api: Api, ann: User, repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"name": "sliced", "repo": repo.url, "branch": "main", "db": "slice"}
    refused = ask(api, ann, "POST", "/workspaces/", json=body)
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        "db: slice means nothing at this site. Use `full`, or `dummy` for data that is made up.",
    )
    monkeypatch.setenv("FIRST_API_SLICE_DATABASE", "tenth")
    own.get.cache_clear()
    assert ask(api, ann, "POST", "/workspaces/", json=body).json()["db"] == "slice"
    assert Workspace.objects.get(name="sliced").database_name == "tenth"


def test_a_callback_hears_of_its_own_job_alone(
    api: Api, ann: User, repo: Any, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    monkeypatch.setenv("WEBHOOK_HOSTS", "bot.example.org")
    own.get.cache_clear()
    workspace = add_workspace(api.project, "bot", repo_url=repo.url)
    job = {"backend": "north", "action_id": "visits", "workspace_id": str(workspace.pk)}
    refused = ask(api, ann, "POST", "/jobs/", json={**job, "callback_url": "http://127.0.0.1/"})
    assert (refused.status_code, refused.json()["detail"].startswith("callback_url: ")) == (400, True)
    made = ask(api, ann, "POST", "/jobs/", json={**job, "callback_url": "https://bot.example.org/slack"})
    assert (made.status_code, made.json()["callback_url"]) == (201, "https://bot.example.org/slack")
    of_others = ask(api, add_person("bob"), "GET", f"/jobs/{made.json()['id']}/")
    assert (of_others.status_code, of_others.json()["callback_url"]) == (200, "")
    ask(api, ann, "POST", "/jobs/", json=job)
    for request in JobRequest.objects.all():
        with transaction.atomic():
            set_outcome(lock_request(request.pk), "failed", "No such action")
    calls = OutgoingMessage.objects.filter(channel="webhook")
    assert {call.webhook.url for call in calls} == {"https://bot.example.org/slack"}
    assert all(
        f'"message": "Failed: run {made.json()["id"]}' in call.body or '"message": ' in call.body for call in calls
    )


def test_the_project_is_named_by_who_has_several(api: Api, ann: User, repo: Any) -> None:
    other = add_project("asthma")
    add_person_role(ann, other)
    body = {"name": "new", "repo": repo.url, "branch": "main"}
    answer = ask(api, ann, "POST", "/workspaces/", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "Say in which project: `project` is one of asthma, cancer",
    )
    assert ask(api, ann, "POST", "/workspaces/", json={**body, "project": "asthma"}).status_code == 201
    assert ask(api, add_person("eve"), "POST", "/workspaces/", json=body).status_code == 403


def add_person_role(person: User, project: Any) -> None:
    from carrel.jobserver.models import ProjectMembership, Role, RoleAssignment

    ProjectMembership.objects.create(project=project, user=person)
    RoleAssignment.objects.create(user=person, role=Role.objects.get(name="ProjectDeveloper"), project=project)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/workspaces/", b""),
        ("/workspaces/", b"[]"),
        ("/workspaces/", b'{"name": 5}'),
        ("/workspaces/", b'{"name": "a", "repo": "x", "branch": "main"}'),
        ("/workspaces/", b'{"name": "\\u0000", "repo": "x", "branch": "main"}'),
        ("/workspaces/", b'{"name": "a", "repo": "x", "branch": "main", "db": "everything"}'),
        ("/jobs/", b"{}"),
        ("/jobs/", b'{"operation": "a", "backend": "north"}'),
        ("/jobs/", b'{"operation": "a", "backend": "north", "workspace_id": true}'),
        ("/jobs/", b'{"operation": "a", "workspace_id": 1}'),
        ("/jobs/?limit=x", None),
        ("/workspaces/?id=x", None),
    ],
)
def test_nonsense_is_400(api: Api, ann: User, path: str, body: bytes | None) -> None:
    answer = ask(api, ann, "GET" if body is None else "POST", path, content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_who_is_not_signed_in_is_told_how(api: Api, ann: User) -> None:
    for header in ({}, {"Authorization": "Basic !"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer x"}):
        answer = api.http.get(f"{api.url}/api/v1/jobs/", headers=header)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="carrel"')
    answer = api.http.get(f"{api.url}/jobs/", headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer", "no browser asks for a password"
    assert "This address is for programs" in answer.text
    assert api.http.get(f"{api.url}/jobs/").json()["detail"].startswith("Sign in by Basic")
    assert ask(api, ann, "GET", "/jobs/", Scope.RUN).status_code == 403, "the token's scope"
    assert ask(api, ann, "GET", "/jobs/999/").status_code == 404
    deleted = ask(api, ann, "DELETE", "/workspaces/")
    assert (deleted.status_code, deleted.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert ask(api, ann, "OPTIONS", "/workspaces/").status_code == 204


def test_pages_at_the_same_addresses_are_still_there(api: Api, ann: User) -> None:
    job = add_job(add_request(add_run(api.workspace, ann), api.north), "a", identifier="1234567890123456")
    answer = api.http.get(f"{api.url}/jobs/{job.identifier}/", follow_redirects=False)
    assert answer.status_code in (302, 303)
