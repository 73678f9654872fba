"""A whole site under test: real controller, real agents, real runtime, real git; studies as dictionaries of files."""

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carrel.clients.rap import RapUnavailable
from carrel.repos.snapshot import commit_folder
from carrel.site.client import Requests
from carrel.site.layout import Secrets, Site
from carrel.site.processes import Running, owned
from carrel.site.study_requests import StudyRequest
from carrel.site.up import choose_port

DEADLINE = 120.0
_numbers = itertools.count(1)
Jobs = dict[str, dict[str, Any]]


def finished(jobs: Jobs) -> bool:
    return all(job["status"] in ("succeeded", "failed") for job in jobs.values())


@dataclass
class LiveSite:
    """A site that is up. Every study gets its own repository and workspace unless one is named."""

    site: Site
    keys: Secrets
    running: Running
    scratch: Path
    requests: Requests
    told: list[str] = field(default_factory=list)

    def commit(self, files: Mapping[str, str], name: str | None = None) -> tuple[Path, str]:
        """A repository that holds exactly these files, and its commit."""
        name = name or f"study{next(_numbers)}"
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in {"output/.gitkeep": "", **files}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        repo = self.scratch / f"{name}.git"
        return repo, commit_folder(folder, repo)

    def request(self, files: Mapping[str, str], *actions: str, name: str | None = None, **over: Any) -> StudyRequest:
        repo, commit = self.commit(files, name)
        fields = {"repo": str(repo), "commit": commit, "branch": "main", "workspace": repo.stem}
        return StudyRequest(**{**fields, "actions": actions or ("run_all",), **over})

    def submit(self, study: StudyRequest, backend: str | None = None) -> str:
        """The rap_id of the accepted request; RapRefused when it is refused."""
        return self.requests.create(study, backend or self.site.backends[0].name).rap_id

    def until(self, true: Callable[[], object]) -> None:
        """Return once `true()`; processes that were killed meanwhile are started again, as `carrel up` does."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            self.running.check()
            with suppress(RapUnavailable):
                if true():
                    return
            time.sleep(0.05)  # asking again, not guessing how long: the deadline is the only timing
        raise AssertionError("\n".join(process.last_lines() for process in self.running.processes))

    def await_controller(self) -> None:
        """Return once the controller answers (it may have been killed)."""
        self.until(self.requests.backends)

    def jobs(self, rap_id: str) -> Jobs:
        return {job["action"]: job for job in self.requests.jobs([rap_id])}

    def wait(self, rap_id: str, until: Callable[[Jobs], bool] = finished) -> Jobs:
        """Jobs by action, once `until(jobs)`."""
        jobs: Jobs = {}

        def look() -> bool:
            nonlocal jobs
            jobs = self.jobs(rap_id)
            return bool(jobs) and until(jobs)

        try:
            self.until(look)
        except AssertionError as error:
            still = [(job["action"], job["status_code"], job["status_message"]) for job in jobs.values()]
            raise AssertionError(f"still {still}\n{error}") from None
        return jobs

    def run(self, files: Mapping[str, str], *actions: str, backend: str | None = None, **over: Any):
        """Submit and wait: (request, jobs by action)."""
        study = self.request(files, *actions, **over)
        answer = self.requests.create(study, backend or self.site.backends[0].name)
        assert answer.count, answer.details
        return study, self.wait(answer.rap_id)

    def high(self, workspace: str, backend: str | None = None) -> Path:
        return self.site.high_privacy(backend or self.site.backends[0].name) / "workspaces" / workspace

    def level4(self, workspace: str, backend: str | None = None) -> Path:
        return self.site.level4(backend or self.site.backends[0].name, workspace)

    def manifest(self, workspace: str, backend: str | None = None) -> dict[str, Any]:
        return json.loads((self.level4(workspace, backend) / "metadata" / "manifest.json").read_text())["outputs"]

    def log(self, workspace: str, action: str, backend: str | None = None) -> str:
        return (self.high(workspace, backend) / "metadata" / f"{action}.log").read_text()

    def permanent_logs(self, backend: str | None = None) -> str:
        """All permanent logs of a backend, those of jobs that published nothing too."""
        logs = self.site.high_privacy(backend or self.site.backends[0].name) / "logs"
        return "\n".join(path.read_text(errors="replace") for path in sorted(logs.glob("*/os-job-*/logs.txt")))


@contextmanager
def live_site(site: Site, scratch: Path) -> Iterator[LiveSite]:
    """The site, up for the time of the block."""
    scratch.mkdir(parents=True, exist_ok=True)
    with owned(site):
        keys = Secrets.of(site)
        told: list[str] = []
        running = Running(site, keys, told.append)
        requests = Requests(site.rap_api, keys.client)
        try:
            running.start(DEADLINE)
            yield LiveSite(site, keys, running, scratch, requests, told)
        finally:
            running.close()
            requests.client.close()


def free_port() -> int:
    return choose_port(0)
