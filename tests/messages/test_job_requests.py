"""The messages of the older link: exact keys as sent, tolerant where an older peer is read."""

import json

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from carrel.messages.job_requests import (
    ActiveJobRequest,
    JobRequestPage,
    PostedJob,
    posted_body,
    read_posted_jobs,
)
from carrel.messages.rap import json_schema

OLDEST = {
    "identifier": "a" * 16,
    "backend": "test",
    "sha": "b" * 40,
    "workspace": {"name": "ws", "repo": "https://github.com/opensafely/study", "branch": "main"},
    "requested_actions": ["run_all"],
}
JOB = {
    "job_request_id": "a" * 16,
    "identifier": "c" * 16,
    "action": "describe",
    "run_command": "python:v2 python a.py",
    "status": "running",
    "status_code": "executing",
    "status_message": "Executing",
    "created_at": "2026-11-22T05:06:20Z",
}


def test_a_request_is_sent_with_the_contracts_keys_in_its_order():
    request = ActiveJobRequest.model_validate(OLDEST)
    page = JobRequestPage(count=1, next=None, previous=None, results=[request])
    sent = json.loads(page.model_dump_json())
    assert list(sent) == ["count", "next", "previous", "results"]
    assert list(sent["results"][0]) == [
        "backend",
        "sha",
        "identifier",
        "force_run_dependencies",
        "requested_actions",
        "cancelled_actions",
        "created_by",
        "created_at",
        "workspace",
        "database_name",
        "project",
        "orgs",
        "codelists_ok",
    ]
    assert list(sent["results"][0]["workspace"]) == ["name", "repo", "branch", "created_by", "created_at"]


def test_a_scope_is_sent_only_where_there_is_one():
    scope = {"dataset_permissions": ["ukrr"]}
    request = ActiveJobRequest.model_validate(OLDEST | {"analysis_scope": scope})
    assert request.model_dump()["analysis_scope"]["dataset_permissions"] == ["ukrr"]


def test_null_is_read_as_absent_where_a_key_may_be_absent():
    nulls = {"database_name": None, "orgs": None, "cancelled_actions": None, "codelists_ok": None, "new": 1}
    assert ActiveJobRequest.model_validate(OLDEST | nulls) == ActiveJobRequest.model_validate(OLDEST)
    for name in OLDEST:
        with pytest.raises(ValidationError):
            ActiveJobRequest.model_validate(OLDEST | {name: None})


def test_jobs_are_sent_with_the_contracts_keys_in_its_order_and_read_again():
    job = PostedJob.model_validate(JOB)
    body = posted_body([job])
    assert list(json.loads(body)[0]) == [
        "job_request_id",
        "identifier",
        "action",
        "run_command",
        "status",
        "status_code",
        "status_message",
        "created_at",
        "updated_at",
        "started_at",
        "completed_at",
        "trace_context",
        "metrics",
        "requires_db",
    ]
    assert read_posted_jobs(body) == [job]


def test_what_may_be_absent_may_be_null_or_absent_and_more_may_be_there():
    nulls = dict.fromkeys(("run_command", "updated_at", "started_at", "completed_at", "trace_context", "metrics"))
    for body in (JOB, JOB | nulls, JOB | {"created_at": None}, JOB | {"status_code": "new", "unheard_of": [1]}):
        assert read_posted_jobs(json.dumps([body]).encode())[0].action == "describe"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html>",
        b"[1]",
        b"[[]]",
        json.dumps([JOB | {"status": "lost"}]).encode(),
        json.dumps([JOB | {"identifier": ""}]).encode(),
        json.dumps([JOB | {"action": 1}]).encode(),
        json.dumps([{key: value for key, value in JOB.items() if key != "job_request_id"}]).encode(),
    ],
)
def test_a_wrong_body_is_refused(body):
    with pytest.raises(ValidationError):
        read_posted_jobs(body)


@pytest.mark.parametrize("message", [JobRequestPage, PostedJob])
def test_the_schemas_are_valid_and_self_contained(message):
    schema = json_schema(message, "serialization")
    Draft202012Validator.check_schema(schema)
    assert "$ref" not in str(schema)
