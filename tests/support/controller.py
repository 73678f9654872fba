"""Requests and jobs for the controller's tests, made through the write door."""

import itertools
from typing import Any

from carrel.controller import service
from carrel.controller.models import Job, Rap

COMMIT = "a" * 40
_numbers = itertools.count(1)


def rap_fields(**changes: Any) -> service.RapFields:
    values: dict[str, Any] = {
        "id": f"rap{next(_numbers):013}",
        "backend": "test",
        "workspace": "ws",
        "repo_url": "https://github.com/opensafely/study",
        "commit": COMMIT,
        "branch": "main",
        "requested_actions": ("a",),
        "created_by": "alice",
        "project": "the-project",
        "orgs": ("org1", "org2"),
    }
    return service.RapFields(**(values | changes))


def new_job(action: str, **changes: Any) -> service.NewJob:
    values: dict[str, Any] = {
        "action": action,
        "run_command": f"python:v2 python {action}.py",
        "output_spec": {f"output/{action}.csv": "highly_sensitive"},
    }
    return service.NewJob(**(values | changes))


def make_jobs(*jobs: service.NewJob | str, **rap: Any) -> dict[str, Job]:
    """A request with these jobs, planned and scheduled; by action."""
    opened, _ = service.open_rap(rap_fields(**rap))
    return add_jobs(opened, *jobs)


def add_jobs(rap: Rap, *jobs: service.NewJob | str) -> dict[str, Job]:
    new = [new_job(job) if isinstance(job, str) else job for job in jobs]
    made, _ = service.create_jobs(rap.id, lambda: new)
    return {job.action: job for job in made}


RESULTS = {
    "exit_code": "0",
    "docker_image_id": "sha256:1",
    "status_message": "Completed successfully",
    "hint": None,
    "timestamp_ns": 1,
    "action_version": None,
    "action_revision": None,
    "action_created": None,
    "base_revision": None,
    "base_created": None,
    "has_unmatched_patterns": False,
    "has_level4_excluded_files": False,
    "error": False,
}


def results(**changes: Any) -> dict[str, Any]:
    return {**RESULTS, **changes}
