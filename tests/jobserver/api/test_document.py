"""The OpenAPI document is valid, whole, and kept to by a live server whatever is sent and whoever sends it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.jobserver.api.conftest import Api, personal_token
from tests.support.jobserver import add_job, add_person, add_request, add_run, browse
from tests.support.studies import follow_study, make_study

from carrel.jobserver.api import callers
from carrel.jobserver.models import BackendMembership, Job, JobRequest, ReleaseFile, User, Workspace
from carrel.jobserver.service import releases
from carrel.jobserver.service.publications import draft
from carrel.messages.releases import FileList

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
)


@pytest.fixture
def document(api: Api) -> Any:
    answer = api.ask("GET", "openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_is_valid_openapi(document: Any) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_each_operation_says_what_it_does_who_may_and_what_goes_wrong(document: Any) -> None:
    for method, path, operation in operations(document):
        assert len(operation["description"]) > 20, path
        assert operation["security"], path
        assert {"400", "403"} <= operation["responses"].keys(), path
        for answer in operation["responses"].values():
            assert answer["description"]
        if method in ("post", "put") and not path.endswith("/publish"):
            assert operation["requestBody"], path


def test_each_address_of_the_contract_is_there(document: Any) -> None:
    contract = {
        ("get", "/api/v2/job-requests/"),
        ("post", "/api/v2/jobs/"),
        ("get", "/api/v2/users/{username}/"),
        ("get", "/api/v2/workspaces/{name}/statuses/"),
        ("get", "/api/v2/workspaces/{name}/status"),
        ("post", "/api/v2/releases/workspace/{name}"),
        ("get", "/api/v2/releases/workspace/{name}"),
        ("post", "/api/v2/releases/release/{release_id}"),
        ("get", "/api/v2/releases/release/{release_id}"),
        ("post", "/api/v2/releases/release/{release_id}/reviews"),
        ("get", "/api/v2/releases/file/{file_id}"),
        ("post", "/api/v2/workspaces/{name}/snapshots"),
        ("get", "/api/v2/workspaces/{name}/snapshots/{snapshot_id}"),
        ("post", "/api/v2/workspaces/{name}/snapshots/{snapshot_id}/publish"),
        ("post", "/api/v2/releases/authenticate"),
        ("post", "/api/v2/releases/authorise"),
        ("post", "/api/v2/airlock/events/"),
    }
    assert contract <= {(method, path) for method, path, _ in operations(document)}


def test_the_page_names_every_address_and_loads_nothing_from_elsewhere(api: Api, document: Any) -> None:
    page = browse().get("/api/v2/")
    text = page.content.decode()
    for _, path, _ in operations(document):
        assert path in text
    assert "://" not in text.replace("http://www.w3.org", "")


def released(api: Api, person: User) -> ReleaseFile:
    """A file that has arrived."""
    digest = hashlib.sha256(b"a,b\n").hexdigest()
    file = {"name": "t.csv", "size": 4, "sha256": digest, "date": "2026-05-03T09:00:00Z"}
    sent = FileList.model_validate({"files": [file]})
    release, _ = releases.create_release(api.workspace, api.north, person, sent, person)
    return releases.store_file(release, api.north, "t.csv", [b"a,b\n"], person, person)


@pytest.fixture
def furnished(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """A site with something of everything; by kind of caller, the headers they send."""
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    monkeypatch.setattr(callers, "REQUESTS_A_MINUTE", 10**9)
    repo = make_study(tmp_path / "study")
    follow_study(api.project, repo, "study")
    Workspace.objects.update(repo_url=repo.url)
    person = add_person("ann", "ProjectDeveloper", "OutputChecker", "OutputPublisher", project=api.project)
    for role in ("OutputChecker", "OutputPublisher"):
        add_person(role.lower(), role)
    for backend in (api.north, api.south):
        BackendMembership.objects.create(backend=backend, user=person)
    add_job(add_request(add_run(api.workspace, person), api.north, ["model"]), "model")
    file = released(api, person)
    snapshot = draft(api.workspace, [file.pk], person, person)
    (tmp_path / "schemathesis.toml").write_text(
        f"""[parameters]
name = "survival"
"path.username" = "ann"
"path.slug" = "north"
"path.run_id" = {JobRequest.objects.get().run_id}
"path.release_id" = "{file.release_id}"
"path.file_id" = "{file.pk}"
"path.snapshot_id" = {snapshot.pk}
"path.identifier" = "{Job.objects.get().identifier}"
"""
    )
    with api.as_person(person) as session:
        cookies, csrf = dict(session.cookies), session.headers["X-CSRFToken"]
    return {
        "backend": {"Authorization": api.tokens["north"], "OS-User": "ann"},
        "person": {"Authorization": f"Bearer {personal_token(person)}"},
        # The session is told as what it is, so that it can be left out; CSRF's cookie goes with it.
        "session": {"X-CSRFToken": csrf, "cookie": f"{cookies['carrel_session']}; carrel_csrf={csrf}"},
    }


@pytest.mark.slow
@pytest.mark.parametrize("caller", ["backend", "person", "session"])
def test_a_live_server_keeps_to_its_document(
    api: Api, furnished: dict[str, dict[str, str]], tmp_path: Path, caller: str
) -> None:
    """schemathesis tries every boundary of every schema, right and wrong, and checks each answer."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", f"{api.url}/api/v2/openapi.json", "--url", api.url]
    headers = furnished[caller]
    if cookie := headers.pop("cookie", ""):
        with (tmp_path / "schemathesis.toml").open("a") as config:
            config.write(f'\n[auth.openapi.SessionAuth]\napi_key = "{cookie}"\n')
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", "1", "--checks", ",".join(CHECKS)]
    command += ["--workers", "1", "--no-color"]
    command += ["--seed", "1", "--suppress-health-check", "all"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=280, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr[-2000:]
