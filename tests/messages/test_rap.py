"""The RAP API's messages and the JSON Schema made from them."""

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from carrel.messages import rap

BODY = {
    "backend": "test",
    "rap_id": "a" * 16,
    "workspace": "ws",
    "repo_url": "https://github.com/opensafely/study",
    "branch": "main",
    "commit": "b" * 40,
    "database_name": "default",
    "requested_actions": ["run_all"],
    "codelists_ok": True,
    "force_run_dependencies": False,
    "created_by": "alice",
    "project": "p",
    "orgs": [],
}
MESSAGES = [
    each
    for each in vars(rap).values()
    if isinstance(each, type) and issubclass(each, BaseModel) and each.__module__ == rap.__name__
]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_every_schema_is_valid_and_self_contained(message, mode):
    schema = rap.json_schema(message, mode)
    Draft202012Validator.check_schema(schema)
    for made_up in ("$ref", "$defs", "'title'", "'default':", "'const'"):
        assert made_up not in str(schema)


def test_keys_named_as_what_is_left_out_stay():
    class Odd(BaseModel):
        title: str
        default: int

    assert set(rap.json_schema(Odd)["properties"]) == {"title", "default"}


def test_a_body_of_the_contract_is_accepted_by_both():
    for scope in (None, {}, {"dataset_permissions": ["ukrr"], "new": 1}):
        body = BODY | {"analysis_scope": scope, "extra": 1}
        Draft202012Validator(rap.request_schema(rap.RapCreateRequest)).validate(body)
        assert rap.RapCreateRequest.model_validate(body).rap_id == "a" * 16


@pytest.mark.parametrize("change", [{"rap_id": "A" * 16}, {"commit": "x"}, {"requested_actions": []}, {"orgs": None}])
def test_a_wrong_body_is_refused_by_both(change):
    assert list(Draft202012Validator(rap.request_schema(rap.RapCreateRequest)).iter_errors(BODY | change))
    with pytest.raises(ValidationError):
        rap.RapCreateRequest.model_validate(BODY | change)


def test_the_databases_that_may_be_asked_for():
    assert rap.request_schema(rap.RapCreateRequest)["properties"]["database_name"]["enum"] == ["default"]
    schema = rap.request_schema(rap.RapCreateRequest, ["default", "slice"])
    assert schema["properties"]["database_name"]["enum"] == ["default", "slice"]
    assert "enum" not in rap.json_schema(rap.RapCreateRequest)["properties"]["database_name"], "nothing is shared"


def test_nullable_keys_keep_their_type_and_options():
    status = rap.json_schema(rap.DbMaintenanceStatus)["properties"]["type"]
    assert (status["type"], status["enum"]) == (["string", "null"], ["scheduled", "manual", None])
    assert rap.json_schema(rap.PausedStatus)["properties"]["since"]["type"] == ["string", "null"]


def test_requests_need_what_the_contract_needs():
    assert rap.request_schema(rap.RapCreateRequest)["required"] == list(BODY)
    assert rap.request_schema(rap.RapCancelRequest)["required"] == ["rap_id", "actions"]
    assert rap.request_schema(rap.RapStatusRequest)["required"] == ["rap_ids"]
