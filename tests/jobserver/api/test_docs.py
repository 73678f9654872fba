"""What the pages for API users show works as it stands there: each command is run against a live server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from tests.jobserver.api.conftest import Api, personal_token
from tests.support.jobserver import add_person
from tests.support.studies import follow_study, make_study

from carrel.jobserver.models import BackendMembership, JobRequest, Workspace
from carrel.jobserver.rights.scopes import SCOPE_WORDS
from carrel.jobserver.service.requests import lock_request, set_outcome

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = DOCS / "reference" / "job-server-api.md"
HOW_TO = DOCS / "how-to" / "run-from-a-program.md"


@pytest.fixture
def environ(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a reader has set: the site, a name and a token."""
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    repo = make_study(tmp_path / "study")
    Workspace.objects.all().update(name="elsewhere")
    follow_study(api.project, repo, "study", pk=1001)
    person = add_person("ann", "ProjectDeveloper", project=api.project)
    for backend in (api.north, api.south):
        BackendMembership.objects.create(backend=backend, user=person)
    return {**os.environ, "SITE": api.url, "NAME": "ann", "TOKEN": personal_token(person)}


def run(command: list[str], environ: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return ["\n".join(line[len(indent) :] for line in text.splitlines()) for indent, text in found]


def test_every_command_of_the_reference(environ: dict[str, str], tmp_path: Path) -> None:
    commands = [
        command.replace('"workspace_id": 1}', '"workspace_id": 1001}')
        for block in blocks(REFERENCE, "console")
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]
    assert len(commands) == 7
    answers: list[Any] = [json.loads(run(["bash", "-c", command], environ, tmp_path)) for command in commands]
    assert [row["name"] for row in answers[0]["results"]] == ["elsewhere", "study"]
    assert answers[4]["results"][0]["id"] == answers[3]["id"]
    assert answers[6]["action_id"] == "visits"


def test_the_how_to_from_its_first_line_to_its_last(environ: dict[str, str], tmp_path: Path) -> None:
    _, look, start = blocks(HOW_TO, "bash")
    run(["bash", "-c", look], environ, tmp_path)
    run(["bash", "-c", start], environ, tmp_path)
    request = JobRequest.objects.get()
    with transaction.atomic():
        set_outcome(lock_request(request.pk), "succeeded", "")
    (watch,) = blocks(HOW_TO, "python")
    assert run([sys.executable, "-c", watch], environ, tmp_path) == "{'north': 'succeeded'}\n"


def test_the_reference_names_every_address_and_scope(api: Api) -> None:
    page = REFERENCE.read_text()
    names = {"{name}": "<name>", "{username}": "<username>", "{slug}": "<slug>", "{run_id}": "<id>"}
    names |= {"{release_id}": "<id>", "{file_id}": "<id>", "{snapshot_id}": "<id>", "{identifier}": "<identifier>"}
    for path in api.ask("GET", "openapi.json").json()["paths"]:
        shown = path.removeprefix("/api/v2/")
        for parameter, word in names.items():
            shown = shown.replace(parameter, word)
        assert f"{shown}`" in page or shown.endswith("/publish"), shown
    for scope, words in SCOPE_WORDS.items():
        assert f"| `{scope}` | {words} |" in page
