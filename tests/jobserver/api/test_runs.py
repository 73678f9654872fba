"""Our own API for people's programs: workspaces, plans, runs, watching, cancelling, over real HTTP."""

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.jobserver.api.conftest import Api, personal_token
from tests.support.jobserver import add_backend, add_job, add_person, add_project, add_request, add_run, add_workspace
from tests.support.studies import follow_study, make_study

from carrel.jobserver.api import callers
from carrel.jobserver.models import (
    AuditEvent,
    Backend,
    BackendMembership,
    Cancellation,
    Job,
    RoleAssignment,
    RunGroup,
    User,
)
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.runs.reported import ReportedJob
from carrel.jobserver.service.jobs import record_jobs
from carrel.messages.job_requests import PostedJob


@pytest.fixture
def ann(api: Api) -> User:
    person = add_person("ann", "ProjectDeveloper", project=api.project)
    for backend in (api.north, api.south):
        BackendMembership.objects.create(backend=backend, user=person)
    return person


@pytest.fixture
def commit(api: Api, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study of the workspace `study`, whose branch `main` is at this commit."""
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    repo = make_study(tmp_path / "study")
    follow_study(api.project, repo, "study")
    return repo.git("rev-parse", "HEAD")


def ask(api: Api, person: User, method: str, path: str, *scopes: Scope, **options: Any) -> httpx.Response:
    return api.ask(method, path, f"Bearer {personal_token(person, *scopes)}", **options)


def test_workspaces_that_one_may_know_of(api: Api, ann: User) -> None:
    add_workspace(add_project("secret", is_listed=False), "hidden")
    add_workspace(add_project("asthma"), "inhalers")
    page = ask(api, ann, "GET", "workspaces", Scope.READ).json()
    assert [row["name"] for row in page["results"]] == ["inhalers", "survival"]
    page = ask(api, ann, "GET", "workspaces?limit=1").json()
    assert (page["count"], len(page["results"]), page["next"]) == (
        2,
        1,
        f"{api.url}/api/v2/workspaces?limit=1&offset=1",
    )
    assert [row["name"] for row in ask(api, ann, "GET", "workspaces?project=cancer").json()["results"]] == ["survival"]
    one = ask(api, ann, "GET", "workspaces/survival").json()
    assert (one["project"], one["branch"], one["is_archived"]) == ("cancer", "main", False)
    assert ask(api, ann, "GET", "workspaces/hidden").status_code == 404


def test_a_plan_says_what_would_run_and_starts_nothing(api: Api, ann: User, commit: str) -> None:
    body = {"actions": {"north": ["visits"], "south": ["incentives"]}}
    answer = ask(api, ann, "POST", "workspaces/study/plan", Scope.READ, json=body)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert plan["commit"] == commit
    assert {part["backend"]: [entry["action"] for entry in part["actions"]] for part in plan["backends"]} == {
        "north": ["extract", "normalise", "visits"],
        "south": ["extract", "normalise", "incentives"],
    }
    assert {entry["what"] for part in plan["backends"] for entry in part["actions"]} == {"run"}
    assert not RunGroup.objects.exists()


def test_a_run_is_started_on_several_backends_once_for_a_key(api: Api, ann: User, commit: str) -> None:
    body = {"actions": {"north": ["visits"], "south": ["run_all"]}, "force": ["south"], "notify": "never"}
    token = f"Bearer {personal_token(ann, Scope.RUN)}"
    key = {"Idempotency-Key": "monday"}
    first = api.ask("POST", "workspaces/study/runs", token, json=body, headers=key)
    assert first.status_code == 201, first.text
    run = first.json()
    assert (run["workspace"], run["commit"], run["created_by"], run["is_over"]) == ("study", commit, "ann", False)
    assert [
        (part["backend"], part["requested_actions"], part["force_run_dependencies"]) for part in run["requests"]
    ] == [
        ("north", ["visits"], False),
        ("south", ["run_all"], True),
    ]
    again = api.ask("POST", "workspaces/study/runs", token, json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (200, run["id"])
    other = api.ask("POST", "workspaces/study/runs", token, json={"actions": {"north": ["extract"]}}, headers=key)
    assert (other.status_code, other.json()["detail"]) == (
        409,
        f"This key made run {run['id']} before, which asked for something else.",
    )
    assert RunGroup.objects.count() == 1
    assert api.ask("POST", "workspaces/study/runs", token, json=body).json()["id"] != run["id"]
    assert AuditEvent.objects.filter(action="run.submitted", actor="ann").count() == 2


def test_what_cannot_be_run_is_told_for_each_backend(api: Api, ann: User, commit: str) -> None:
    add_backend("west")
    body = {"actions": {"west": ["run_all"], "nowhere": ["run_all"]}, "commit": commit}
    answer = ask(api, ann, "POST", "workspaces/study/runs", json=body)
    assert answer.status_code == 400
    problems = {problem["where"]: problem["what"] for problem in answer.json()["errors"]}
    assert problems["west"].endswith("This project is not opted in to west. Staff can grant it.")
    unknown = ask(api, ann, "POST", "workspaces/study/runs", json={"actions": {"north": ["typo"]}})
    assert (unknown.status_code, unknown.json()["errors"][0]["where"]) == (400, "north")
    for wrong in ({"actions": {}}, {"actions": {"north": []}}, {}, {"actions": {"north": ["a"]}, "commit": "abc"}):
        assert ask(api, ann, "POST", "workspaces/study/runs", json=wrong).status_code == 400
    reader = add_person("rob", "ProjectCollaborator", project=api.project)
    refused = ask(api, reader, "POST", "workspaces/study/runs", json={"actions": {"north": ["extract"]}})
    assert "Your role in this project does not let you run" in refused.json()["errors"][0]["what"]


def test_a_repository_that_is_away_is_503(api: Api, ann: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    add_workspace(api.project, "away", repo_url=str(tmp_path / "missing"))
    answer = ask(api, ann, "POST", "workspaces/away/runs", json={"actions": {"north": ["a"]}})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json()["detail"].endswith("Or name a commit.")


def test_a_run_is_watched_until_it_changes(api: Api, ann: User) -> None:
    request = add_request(add_run(api.workspace, ann), api.north, ["model"])
    path = f"runs/{request.run_id}"
    first = ask(api, ann, "GET", path, Scope.READ)
    etag = first.json()["etag"]
    assert first.headers["ETag"] == f'"{etag}"'
    assert ask(api, ann, "GET", path, headers={"If-None-Match": f'"{etag}"'}).status_code == 304
    unchanged = ask(api, ann, "GET", f"{path}?etag={etag}&wait=1")
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    answers: list[httpx.Response] = []
    token = f"Bearer {personal_token(ann, Scope.READ)}"
    watcher = threading.Thread(target=lambda: answers.append(api.ask("GET", f"{path}?etag={etag}&wait=60", token)))
    watcher.start()
    posted = PostedJob(
        job_request_id=request.identifier,
        identifier="job1",
        action="model",
        status="running",
        status_code="executing",
        status_message="",
        created_at="2026-05-03T09:00:00Z",
    )
    record_jobs(request, [ReportedJob.from_posted(posted)], complete=True)
    watcher.join()
    run = answers[0].json()
    assert answers[0].status_code == 200
    assert run["etag"] != etag
    assert (run["requests"][0]["status"], run["requests"][0]["jobs"][0]["action"]) == ("running", "model")
    assert ask(api, ann, "GET", "jobs/job1").json()["status_code"] == "executing"
    assert ask(api, ann, "GET", "jobs/nothing").status_code == 404


def test_nothing_of_a_hidden_backend_or_project_shows(api: Api, ann: User) -> None:
    west = add_backend("west", is_listed=False)
    run = add_run(api.workspace, ann)
    add_job(add_request(run, api.north), "a")
    hidden = add_job(add_request(run, west), "b")
    secret = add_run(add_workspace(add_project("secret", is_listed=False)), ann)
    eve = add_person("eve")
    answer = ask(api, eve, "GET", f"runs/{run.pk}").json()
    assert [part["backend"] for part in answer["requests"]] == ["north"]
    assert ask(api, eve, "GET", f"jobs/{hidden.identifier}").status_code == 404
    assert ask(api, eve, "GET", f"runs/{secret.pk}").status_code == 404
    listed = ask(api, eve, "GET", "runs").json()
    assert [(row["id"], row["statuses"]) for row in listed["results"]] == [(run.pk, {"north": "pending"})]
    assert ask(api, eve, "GET", "runs/99999999999999999999999").status_code == 404


def test_runs_by_workspace_backend_and_status(api: Api, ann: User) -> None:
    one, two = add_run(api.workspace, ann), add_run(add_workspace(api.project, "other"), ann)
    add_request(one, api.north, status="succeeded")
    add_request(two, api.south)

    def ids(query: str) -> list[int]:
        return [row["id"] for row in ask(api, ann, "GET", f"runs?{query}").json()["results"]]

    assert ids("") == [two.pk, one.pk]
    assert ids("workspace=other") == [two.pk]
    assert ids("backend=north") == [one.pk]
    assert ids("status=pending") == [two.pk]
    assert ids("backend=north&status=pending") == []


def test_cancelling(api: Api, ann: User) -> None:
    run = add_run(api.workspace, ann)
    north, south = (add_request(run, backend, ["model"]) for backend in (api.north, api.south))
    add_job(north, "model", "running")
    add_job(north, "plot", "pending")
    add_job(south, "model")
    type(south).objects.filter(pk=south.pk).update(status="succeeded")
    path = f"runs/{run.pk}/cancel"
    stranger = add_person("eve")
    assert ask(api, stranger, "POST", path, json={}).status_code == 403
    assert ask(api, ann, "POST", path, Scope.READ, json={}).status_code == 403
    assert ask(api, ann, "POST", path, json={"backends": ["west"]}).status_code == 404
    answer = ask(api, ann, "POST", path, Scope.CANCEL, json={"actions": ["model"]})
    assert answer.status_code == 200, answer.text
    assert list(answer.json()["cancelled"]) == ["north"]
    assert list(answer.json()["refused"]) == ["south"]
    nothing = ask(api, ann, "POST", path, json={"backends": ["south"]})
    assert (nothing.status_code, nothing.json()["errors"][0]["where"]) == (409, "south")


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer wrong", "Basic YTpi", "wrong"])
def test_without_a_token_it_is_401(api: Api, token: str) -> None:
    answer = api.ask("GET", "runs", token)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_session_or_a_backends_token_is_no_persons_token(api: Api, ann: User) -> None:
    with api.as_person(ann) as session:
        assert session.get("runs").status_code == 401
    assert api.as_backend("GET", "runs").status_code == 401


def test_scopes_and_the_end_of_a_token(api: Api, ann: User) -> None:
    refused = ask(api, ann, "GET", "runs", Scope.RUN)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "This token's scopes do not let a program read projects, workspaces, runs and jobs: it needs `read`.",
    )
    token = f"Bearer {personal_token(ann)}"
    assert api.ask("GET", "runs", token).status_code == 200
    ann.tokens.all().update(expires_at="2026-01-01T00:00:00Z")
    assert api.ask("GET", "runs", token).status_code == 401


def test_too_many_requests_of_one_token(api: Api, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "REQUESTS_A_MINUTE", 2)
    token = f"Bearer {personal_token(ann)}"
    statuses = [api.ask("GET", "runs", token).status_code for _ in range(6)]
    assert 429 in statuses
    assert ask(api, ann, "GET", "runs").status_code == 200, "another token"


def test_the_number_of_questions_of_a_run_does_not_grow(api: Api, ann: User, django_assert_max_num_queries) -> None:
    from tests.support.jobserver import browse

    run = add_run(api.workspace, ann)
    for backend in (api.north, api.south):
        request = add_request(run, backend)
        for number in range(10):
            add_job(request, f"a{number}")
    client, token = browse(), personal_token(ann)
    with django_assert_max_num_queries(12):
        answer = client.get(f"/api/v2/runs/{run.pk}", headers={"Authorization": f"Bearer {token}"})
    assert sum(len(part["jobs"]) for part in answer.json()["requests"]) == Job.objects.count()


def test_nothing_is_cancelled_where_some_part_may_not_be(api: Api, ann: User) -> None:
    """All of it is looked at before any of it is done."""
    run = add_run(api.workspace, add_person("eve"))
    for backend in (api.north, api.south):
        add_job(add_request(run, backend, ["model"], status="running"), "model", "running")
    RoleAssignment.objects.filter(user=ann).update(backend=api.north)
    answer = ask(api, ann, "POST", f"runs/{run.pk}/cancel", Scope.CANCEL, json={})
    assert answer.status_code == 403, answer.text
    assert not Cancellation.objects.exists()


def test_a_token_made_with_a_second_factor_runs_where_one_is_asked_for(api: Api, ann: User, commit: str) -> None:
    Backend.objects.filter(pk=api.north.pk).update(requires_mfa=True)
    token = f"Bearer {personal_token(ann, Scope.RUN)}"
    body = {"actions": {"north": ["extract"]}, "commit": commit}
    refused = api.ask("POST", "workspaces/study/runs", token, json=body)
    assert (refused.status_code, refused.json()["errors"][0]["where"]) == (400, "north")
    ann.tokens.update(with_second_factor=True)
    assert api.ask("POST", "workspaces/study/runs", token, json=body).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "plan", {"actions": {"north": ["visits"]}, "comit": "x"}, 400, "`comit` (did you mean `commit`?)"),
        ("POST", "plan", {"actions": {"north": ["visits"]}, "force": ["south"]}, 400, "Nothing is asked for on south"),
        ("GET", "runs?workspace=nope", None, 404, "no such workspace"),
        ("GET", "runs?backend=nope", None, 404, "no such backend"),
        ("GET", "runs?status=lost", None, 400, "No run has this status"),
        ("GET", "runs?statuss=failed", None, 400, "no such parameter (did you mean `status`?)"),
        ("GET", "workspaces?project=nope", None, 404, "no such project"),
        ("GET", "backends?limit=1", None, 400, "no such parameter"),
    ],
)
def test_unknown_words_are_refused_by_name(
    api: Api, ann: User, commit: str, method: str, path: str, body: Any, status: int, words: str
) -> None:
    path = f"workspaces/study/{path}" if body else path
    answer = ask(api, ann, method, path, Scope.READ, **({"json": body} if body else {}))
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
