"""POST jobs/ as the contract has it (job-server.md section 2.1), over real HTTP."""

from typing import Any

import pytest
from tests.jobserver.api.conftest import Api
from tests.support.jobserver import add_job, add_person, add_request, add_run

from carrel.jobserver.models import DataPermission, Job, JobRequest


def job_of(request: JobRequest | str, action: str, **more: Any) -> dict[str, Any]:
    identifier = request if isinstance(request, str) else request.identifier
    return {
        "job_request_id": identifier,
        "identifier": f"{action}-job",
        "action": action,
        "run_command": None,
        "status": "running",
        "status_code": "executing",
        "status_message": "Executing job on the backend",
        "created_at": "2026-05-03T09:00:00Z",
        "updated_at": "2026-05-03T09:01:00Z",
        "started_at": "2026-05-03T09:00:30Z",
        "completed_at": None,
        "requires_db": True,
        "something": "new",
        **more,
    }


@pytest.fixture
def request_of_north(api: Api) -> JobRequest:
    return add_request(add_run(api.workspace, add_person("ann")), api.north, ["model"])


def test_jobs_are_added_changed_and_deleted(api: Api, request_of_north: JobRequest) -> None:
    older = add_job(request_of_north, "older", "running")
    answer = api.as_backend(
        "POST", "jobs/", json=[job_of(request_of_north, "extract"), job_of(request_of_north, "model")]
    )
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})
    assert sorted(Job.objects.values_list("action", "status")) == [("extract", "running"), ("model", "running")]
    assert not Job.objects.filter(pk=older.pk).exists(), "missing from the list"
    request_of_north.refresh_from_db()
    assert request_of_north.status == "running"
    ended = {"status": "succeeded", "status_code": "succeeded", "completed_at": "2026-05-03T09:05:00Z"}
    ended["updated_at"] = "2026-05-03T09:05:00Z"
    api.as_backend("POST", "jobs/", json=[job_of(request_of_north, name, **ended) for name in ("extract", "model")])
    request_of_north.refresh_from_db()
    assert request_of_north.status == "succeeded"
    assert Job.objects.filter(requires_db=True, status="succeeded").count() == 2


def test_requests_of_others_and_unknown_ones_are_passed_over(api: Api, request_of_north: JobRequest) -> None:
    body = [job_of("unknown000000000", "a"), job_of(request_of_north, "model")]
    assert api.as_backend("POST", "jobs/", "south", json=body).json() == {"status": "success"}
    assert not Job.objects.exists()
    assert api.as_backend("POST", "jobs/", json=body).json() == {"status": "success"}
    assert Job.objects.get().action == "model"
    assert api.as_backend("POST", "jobs/", json=[]).json() == {"status": "success"}


def test_a_request_without_jobs_says_what_became_of_it(api: Api, request_of_north: JobRequest) -> None:
    refused = job_of(
        request_of_north, "__error__", status="failed", status_code="job_error", status_message="No branch"
    )
    assert api.as_backend("POST", "jobs/", json=[refused]).status_code == 200
    request_of_north.refresh_from_db()
    assert (request_of_north.status, request_of_north.status_message) == ("failed", "No branch")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"a": 1}, "body"),
        ([{}], "body.0.job_request_id"),
        ([5], "body.0"),
        ([job_of("x", "a", status="exploded")], "body.0.status"),
        ([job_of("x", "a", identifier="no spaces")], "body.0"),
        ([job_of("x", "a" * 300)], "body.0"),
    ],
)
def test_what_is_no_list_of_jobs_is_400(api: Api, body: Any, where: str) -> None:
    answer = api.as_backend("POST", "jobs/", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (400, where)


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[" * 100_000, b'[{"a": NaN}]', b'["\\u0000"]', b'["\\ud800"]', b"\xff", b"[1e999]"]
)
def test_what_is_no_json_is_400(api: Api, body: bytes) -> None:
    answer = api.as_backend("POST", "jobs/", content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_a_backends_token_it_is_403(api: Api, token: str) -> None:
    assert api.ask("POST", "jobs/", token, json=[]).status_code == 403


def test_data_beyond_the_standard_is_in_the_request(api: Api, request_of_north: JobRequest) -> None:
    DataPermission.objects.create(project=api.project, kind="dataset_permissions", name="icnarc")
    result = api.as_backend("GET", "job-requests/").json()["results"][0]
    assert result["analysis_scope"]["dataset_permissions"] == ["icnarc"]
