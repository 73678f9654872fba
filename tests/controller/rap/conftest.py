"""A live controller over real HTTP, with a study in a local repository."""

import itertools
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

PROJECT = """
version: '5'
actions:
  extract:
    run: ehrql:v1 generate-dataset analysis/dataset.py --output output/dataset.csv.gz
    outputs: {highly_sensitive: {cohort: output/dataset.csv.gz}}
  model:
    needs: [extract]
    run: python:v2 python analysis/model.py
    outputs: {moderately_sensitive: {table: output/model.csv}}
  plot:
    needs: [model]
    run: python:v2 python analysis/plot.py
    outputs: {moderately_sensitive: {figure: output/plot.png}}
"""


@dataclass
class Study:
    """A repository of the researcher's, whose project.yaml tests write."""

    path: Path
    commit: str = ""

    def git(self, *args: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", *identity, *args], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, project: str | None = PROJECT, **files: str) -> str:
        """Commit these files; returns the commit, which later requests ask for."""
        texts = {name.replace("_yaml", ".yaml"): text for name, text in files.items()}
        if project is not None:
            texts["project.yaml"] = project
        for name, text in texts.items():
            (self.path / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "c")
        self.commit = self.git("rev-parse", "HEAD")
        return self.commit


def new_study(path: Path, project: str | None = PROJECT, **files: str) -> Study:
    path.mkdir(parents=True)
    study = Study(path)
    study.git("init", "-q")
    study.write(project, **files)
    return study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return new_study(tmp_path / "study")


@pytest.fixture
def rap_env(controller_env: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name, value in rap_environment(tmp_path).items():
        controller_env.setenv(name, value)
    return controller_env


def rap_environment(tmp_path: Path) -> dict[str, str]:
    return {
        "ALLOW_LOCAL_GIT_REPOS": "true",
        "ACTIONS_GITHUB_ORG_URL": str(tmp_path / "actions"),
        "TEST_IMAGES": "local",
        "TPP_IMAGES": "local",
    }


@dataclass
class Api:
    """The RAP API of a running server."""

    url: str
    study: Study
    token: str = "test-client"
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": self.token} | kwargs.pop("headers", {})
        return self.http.request(method, f"{self.url}/controller/v1/{path}", headers=headers, **kwargs)

    def body(self, **changes: Any) -> dict[str, Any]:
        """A valid body of rap/create/, with a rap_id of its own."""
        values: dict[str, Any] = {
            "backend": "test",
            "rap_id": f"rap{next(self.numbers):013}",
            "workspace": "ws",
            "repo_url": str(self.study.path),
            "branch": "main",
            "commit": self.study.commit,
            "database_name": "default",
            "requested_actions": ["plot"],
            "codelists_ok": True,
            "force_run_dependencies": False,
            "created_by": "alice",
            "project": "the-project",
            "orgs": ["org1"],
        }
        return {name: value for name, value in (values | changes).items() if value is not ...}

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.request("POST", path, content=json.dumps(body))

    def create(self, **changes: Any) -> httpx.Response:
        return self.post("rap/create/", self.body(**changes))

    def cancel(self, **body: Any) -> httpx.Response:
        return self.post("rap/cancel/", body)

    def status(self, *rap_ids: str) -> dict[str, Any]:
        answer = self.post("rap/status/", {"rap_ids": list(rap_ids)})
        assert answer.status_code == 200
        return answer.json()


@pytest.fixture
def server(database, rap_env, settings) -> Iterator[str]:
    """Address of a live server of the real WSGI application."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    with serving() as url:
        yield url


@pytest.fixture
def api(server: str, study: Study) -> Iterator[Api]:
    made = Api(server, study)
    yield made
    made.http.close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not worth a line each."""


@contextmanager
def serving() -> Iterator[str]:
    """The application behind Django's threaded server, on a free port."""
    from carrel.web.wsgi import application

    server = ThreadedWSGIServer(("127.0.0.1", 0), _Quiet, connections_override={})
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
