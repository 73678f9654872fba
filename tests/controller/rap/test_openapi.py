"""The document is made from what validates: it is valid OpenAPI, and a live server keeps to it whatever is sent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from carrel.messages.rap import RapCreateRequest, RapStatusCode, request_schema


@pytest.fixture
def document(rap_env):
    from carrel.controller.rap_api import spec

    return spec()


def test_is_valid_openapi(document):
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_schema_told_is_the_schema_that_validates(document, rap_env):
    from carrel.controller import settings

    def told():
        from carrel.controller.rap_api import spec

        operation = spec()["paths"]["/rap/create/"]["post"]
        return operation["requestBody"]["content"]["application/json"]["schema"]

    assert told() == request_schema(RapCreateRequest)
    rap_env.setenv("VALID_DATABASE_NAMES", "default,slice")
    settings.get.cache_clear()
    assert told() == request_schema(RapCreateRequest, ["default", "slice"])


def test_every_status_code_of_ours_has_a_word_in_the_contract():
    from carrel.jobs.statuses import StatusCode, public_code

    assert len(RapStatusCode) == 24
    assert {public_code(code).value for code in StatusCode} == set(RapStatusCode)


def test_the_reference_page_names_every_path_and_key(document):
    page = (Path(__file__).parents[3] / "docs" / "reference" / "rap-api.md").read_text()
    body = document["paths"]["/rap/create/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for word in [*document["paths"], *body["properties"]]:
        assert f"`{word.lstrip('/')}`" in page


@pytest.mark.slow
def test_a_live_server_keeps_to_its_document(server, study, tmp_path):
    """schemathesis makes requests from the document, right ones and wrong ones, and checks each answer against it.

    Only its coverage phase, which tries every boundary of every schema: its random phase now and then dies of endless
    recursion while it prints one of its own strategies.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", f"{server}/controller/v1/spec.json", "--url", f"{server}/controller/v1/"]
    command += ["--header", "Authorization: test-client", "--phases", "coverage", "--workers", "1", "--no-color"]
    checks = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "ignored_auth"]
    checks += [
        "response_schema_conformance",
        "unsupported_method",
        "allow_header_conformance",
        "negative_data_rejection",
    ]
    command += ["--checks", ",".join(checks)]
    command += ["--seed", "1", "--suppress-health-check", "all"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=280, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
