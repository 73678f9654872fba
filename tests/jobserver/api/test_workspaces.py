"""GET workspaces/<name>/statuses/, of one backend at a time, and the question of older release programs."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.jobserver.api.conftest import Api, personal_token
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

from carrel.jobserver.models import Job
from carrel.messages.job_requests import ERROR_ACTION


def add_jobs(api: Api, *jobs: tuple[str, str, str]) -> None:
    """Jobs as (backend, action, status), each a minute younger than the one before."""
    run = add_run(api.workspace, add_person())
    requests = {backend.slug: add_request(run, backend) for backend in (api.north, api.south)}
    for number, (backend, action, status) in enumerate(jobs):
        add_job(requests[backend], action, status, created_at=START + timedelta(minutes=number))


def test_the_latest_status_of_each_action_on_one_backend_or_on_any(api: Api) -> None:
    add_jobs(
        api,
        ("north", "extract", "failed"),
        ("north", "extract", "succeeded"),
        ("north", "model", "pending"),
        ("south", "extract", "running"),
        ("south", ERROR_ACTION, "failed"),
    )
    of_north = {"extract": "succeeded", "model": "pending"}
    assert api.ask("GET", "workspaces/survival/statuses/?backend=north").json() == of_north
    assert api.ask("GET", "workspaces/survival/statuses/?backend=south").json() == {"extract": "running"}
    anywhere = {"extract": "running", "model": "pending"}
    assert api.ask("GET", "workspaces/survival/statuses/").json() == anywhere
    assert api.as_backend("GET", "workspaces/survival/statuses/").json() == of_north, "a backend knows its own"


statuses = st.sampled_from(["pending", "running", "succeeded", "failed"])
actions = st.sampled_from(["a", "b", "c"])


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["north", "south"]), actions, statuses), max_size=12))
def test_nothing_of_one_backend_shows_under_another(api: Api, jobs: list[tuple[str, str, str]]) -> None:
    Job.objects.all().delete()
    add_jobs(api, *jobs)
    for slug in ("north", "south"):
        expected = {action: status for backend, action, status in jobs if backend == slug}
        assert browse().get(f"/api/v2/workspaces/survival/statuses/?backend={slug}").json() == expected


def test_what_is_hidden_is_not_there(api: Api) -> None:
    add_backend("west", is_listed=False)
    secret = add_project("secret", api.north, is_listed=False)
    add_workspace(secret, "hidden")
    for path in (
        "survival/statuses/?backend=west",
        "survival/statuses/?backend=nowhere",
        "hidden/statuses/",
        "x/status",
    ):
        answer = api.ask("GET", f"workspaces/{path}")
        assert answer.status_code == 404
        assert "or you may not see it" in answer.json()["detail"]
    member = add_person("ann", "ProjectCollaborator", project=secret)
    assert api.ask("GET", "workspaces/hidden/statuses/", f"ann:{personal_token(member)}").status_code == 200
    assert browse(member).get("/api/v2/workspaces/hidden/statuses/").status_code == 200


def test_the_release_flow_is_the_new_one(api: Api) -> None:
    answer = api.ask("GET", "workspaces/survival/status")
    assert (answer.status_code, answer.json()) == (200, {"uses_new_release_flow": True})
