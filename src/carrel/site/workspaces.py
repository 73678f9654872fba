"""A workspace of a site on this machine: the latest job of each action, and whether its data has changed since.

Jobs are read from the controller's database, and data from the backends' own folders, so the site need not be up.
Nothing is changed, and nothing of it goes to the controller: the two meet only for who owns the whole site.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from carrel.agent.freshness import changed_since
from carrel.jobs.freshness import DataChange, data_changes
from carrel.jobs.models import LatestJob
from carrel.jobs.statuses import State, StatusCode
from carrel.project import Pipeline
from carrel.site.layout import Secrets, Site, SiteError, load_site
from carrel.site.study_requests import choose_backends


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace on one backend. `latest`: action -> its job; `read`: the same of actions that read a database."""

    backend: str
    latest: Mapping[str, LatestJob]
    read: Mapping[str, DataChange]

    def data(self, pipeline: Pipeline) -> dict[str, DataChange]:
        """Say what is to be told of the data, by action; also of actions that need one whose data changed."""
        return data_changes(self.read, {name: action.needs for name, action in pipeline.actions.items()})


def workspaces(root: Path, name: str, backend: str | None = None) -> Iterator[Workspace]:
    """Yield the workspace on the backend asked for, or on each; SiteError when no such site is there."""
    site = load_site(root)
    chosen = choose_backends([backend] if backend else [], [candidate.name for candidate in site.backends])
    jobs = _latest_jobs(site, name)
    for candidate in site.backends:
        if candidate.name in chosen:
            read = changed_since(site.storage(candidate.name), candidate.file_databases, name)
            yield Workspace(candidate.name, jobs.get(candidate.name, {}), read)


def _latest_jobs(site: Site, workspace: str) -> dict[str, dict[str, LatestJob]]:
    """Return each backend's jobs by their actions, as told by the controller's command of that name."""
    argv = [
        sys.executable,
        "-m",
        "django",
        "latest_jobs",
        "--workspace",
        workspace,
        "--settings",
        "carrel.web.settings",
    ]
    env = site.controller_env(Secrets.of(site))
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SiteError(f"the controller's database could not be read:\n{done.stderr[-2000:]}")
    backends = json.loads(done.stdout)
    return {name: {action: _parse_job(job) for action, job in jobs.items()} for name, jobs in backends.items()}


def _parse_job(fields: Mapping[str, Any]) -> LatestJob:
    """Return the job that the command printed: its times as texts, its state and status as words."""
    times = {key: fields[key] and datetime.fromisoformat(fields[key]) for key in ("created_at", "completed_at")}
    states = {"state": State(fields["state"]), "status_code": StatusCode(fields["status_code"])}
    return LatestJob(**{**fields, **times, **states})
