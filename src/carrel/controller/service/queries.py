"""Reads that other parts of the controller need; none of them costs a query per row."""

from collections.abc import Iterable, Iterator
from itertools import islice

from django.db.models import QuerySet

from carrel.controller.models import Job, Task
from carrel.jobs.models import LatestJob
from carrel.jobs.statuses import State, StatusCode

IDS_AT_ONCE = 500


# One look-up in the index `job_latest` per action, however many jobs the action has had; one statement for all.
LATEST_JOBS = """
    WITH wanted(action) AS (VALUES {values})
    SELECT job.* FROM wanted JOIN controller_job job ON job.id = (
        SELECT candidate.id FROM controller_job candidate
        WHERE candidate.backend = %s AND candidate.workspace = %s AND candidate.action = wanted.action
          AND NOT candidate.cancelled
        ORDER BY candidate.created_at DESC, candidate.id DESC LIMIT 1
    )
"""


def latest_jobs(backend: str, workspace: str, actions: Iterable[str]) -> dict[str, LatestJob]:
    """The latest not cancelled job of each of these actions, by created_at. Actions that never ran are absent."""
    found: dict[str, LatestJob] = {}
    for some in in_parts(list(dict.fromkeys(actions))):
        sql = LATEST_JOBS.format(values=", ".join(["(%s)"] * len(some)))
        found |= {job.action: _latest(job) for job in Job.objects.raw(sql, [*some, backend, workspace])}
    return found


def input_jobs(job: Job) -> dict[str, str]:
    """By needed action, the id of the job whose outputs `job` reads: as it was planned.

    A row planned before this was noted: those it waited for, else the latest of the action that succeeded.
    """
    if job.input_job_ids:
        return dict(job.input_job_ids)
    named = Job.objects.filter(backend=job.backend, workspace=job.workspace, action__in=job.needs, cancelled=False)
    succeeded = named.filter(state=State.SUCCEEDED.value).order_by("created_at")
    waited_for = named.filter(pk__in=job.wait_for_job_ids)
    return {action: pk for rows in (succeeded, waited_for) for action, pk in rows.values_list("action", "pk")}


def _latest(job: Job) -> LatestJob:
    return LatestJob(
        id=job.id,
        action=job.action,
        state=State(job.state),
        status_code=StatusCode(job.status_code),
        created_at=job.created_at,
        completed_at=job.completed_at,
        commit=job.commit,
        outputs_missing=job.outputs_missing,
    )


def rap_jobs(rap_id: str) -> list[Job]:
    """All jobs of one request, in the order they were created."""
    return list(Job.objects.filter(rap_id=rap_id).order_by("position", "action"))


def rap_status_jobs(rap_ids: Iterable[str], backends: Iterable[str]) -> tuple[list[Job], list[str]]:
    """`(jobs, unrecognised)`: jobs of these requests on these backends, with their `rap`; one query per 500 ids.

    `unrecognised` are the ids, in the order given, of which no job is known on these backends.
    """
    wanted, allowed = list(dict.fromkeys(rap_ids)), list(backends)
    jobs: list[Job] = []
    for some in in_parts(wanted):
        rows = Job.objects.filter(rap_id__in=some, backend__in=allowed).select_related("rap")
        jobs += rows.order_by("created_at", "rap_id", "position")
    known = {job.rap_id for job in jobs}
    return jobs, [rap_id for rap_id in wanted if rap_id not in known]


def active_tasks(backend: str) -> "QuerySet[Task]":
    """The tasks that a backend's agent should see, in the order in which they were made.

    `IN (true)` and not just `active`: SQLite uses the index for a comparison only, and would read all old tasks.
    """
    return Task.objects.filter(backend=backend, active__in=(True,)).order_by("id")


def in_parts(ids: list[str]) -> Iterator[list[str]]:
    """Parts small enough for one SQL statement's parameters."""
    rest = iter(ids)
    while part := list(islice(rest, IDS_AT_ONCE)):
        yield part
