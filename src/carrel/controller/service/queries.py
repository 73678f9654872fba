"""Reads that other parts of the controller need; none of them costs a query per row."""

from collections.abc import Iterable

from carrel.controller.models import Job
from carrel.jobs.models import LatestJob


def latest_jobs(backend: str, workspace: str, actions: Iterable[str]) -> dict[str, LatestJob]:
    """The latest not cancelled job of each of these actions, by created_at. Actions that never ran are absent."""
    raise NotImplementedError


def rap_jobs(rap_id: str) -> list[Job]:
    """All jobs of one request, in the order they were created."""
    raise NotImplementedError


def rap_status_jobs(rap_ids: Iterable[str], backends: Iterable[str]) -> tuple[list[Job], list[str]]:
    """`(jobs, unrecognised)`: jobs of these requests on these backends, `rap` and `metrics` loaded, in two queries.

    `unrecognised` are the ids, in the order given, of which no job is known on these backends.
    """
    raise NotImplementedError
