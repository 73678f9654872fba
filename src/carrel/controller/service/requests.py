"""Requests (RAPs): opened once, given an outcome, their actions cancelled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from carrel.controller.models import Job, Rap


class InconsistentRap(Exception):
    """The rap_id is taken by a request for another backend, repository, workspace or commit."""


class RapNotFound(Exception):
    """No such rap on the backends allowed, or it has no jobs."""


class ActionsNotFound(Exception):
    """`not_found`: sorted names of actions for which the rap has no job. Nothing was cancelled."""

    def __init__(self, not_found: Sequence[str]) -> None:
        super().__init__(f"No jobs for actions: {', '.join(not_found)}")
        self.not_found = list(not_found)


@dataclass(frozen=True, slots=True)
class RapFields:
    """What a client asked for (fields of POST rap/create/)."""

    id: str
    backend: str
    workspace: str
    repo_url: str
    commit: str
    branch: str = ""
    database_name: str = "default"
    requested_actions: tuple[str, ...] = ()
    codelists_ok: bool = True
    force_run_dependencies: bool = False
    created_by: str = ""
    project: str = ""
    orgs: tuple[str, ...] = ()
    analysis_scope: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """One job to create. Sizes as in `resources` of project.yaml: "4G"; times in seconds; None: the backend's default.

    `repo_url`/`commit` are given only for a reusable action; else the study's are used.
    """

    action: str
    run_command: str
    needs: tuple[str, ...] = ()
    wait_for_job_ids: tuple[str, ...] = ()
    output_spec: dict[str, str] = field(default_factory=dict)
    requires_db: bool = False
    repo_url: str | None = None
    commit: str | None = None
    reusable_action: str = ""
    analysis_scope: dict[str, Any] | None = None
    weight: float | None = None
    cpu_count: float | None = None
    memory_limit: str | None = None
    timeout_seconds: float | None = None


def open_rap(fields: RapFields) -> tuple[Rap, bool]:
    """Insert the row of a request, or find it: `(rap, created)`. Safe with any number of web workers.

    A rap found with outcome "" is being planned by another worker, or its planner was killed: plan it again, the first
    `create_jobs` or `record_rap_outcome` wins. A rap whose outcome is "error" or "nothing_to_do" may be planned
    again too (its outcome is then replaced).

    Raises InconsistentRap when the id is taken by a request with another backend, repo_url, workspace or commit.
    """
    raise NotImplementedError


def record_rap_outcome(rap_id: str, outcome: Rap.Outcome, details: str = "") -> Rap:
    """Write what became of a request for which no job was created. Changes nothing once jobs were created."""
    raise NotImplementedError


def create_jobs(rap_id: str, jobs: Iterable[NewJob]) -> tuple[list[Job], bool]:
    """Create all jobs of a request in one transaction, and let the scheduler run at once: `(jobs, created)`.

    The first caller wins: when the request has jobs already they are returned as they are, with created False.
    """
    raise NotImplementedError


def cancel_actions(rap_id: str, actions: Iterable[str], backends: Iterable[str]) -> list[Job]:
    """Set the cancel flag on the jobs of these actions and stop what runs. Jobs already finished are not changed.

    Returns the jobs named (finished ones included). Raises RapNotFound or ActionsNotFound; then nothing was changed.
    """
    raise NotImplementedError
