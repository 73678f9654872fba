"""Reads that other parts of the controller need; none of them costs a query per row."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from carrel.controller.models import Job, Rap, Task
from carrel.controller.outages import DATABASE_AWAY
from carrel.jobs.models import LatestJob
from carrel.jobs.statuses import State, StatusCode

logger = logging.getLogger(__name__)
IDS_AT_ONCE = 500
M = TypeVar("M", bound=Model)


def readable(rows: "QuerySet[Any]", first: int | None = None) -> tuple[list[Any], dict[Any, Exception]]:
    """The rows of a query (or the `first` ones) that can be read, and by primary key what is wrong with the others.

    A database may hold what is no value for us (a date beyond the calendar; on SQLite, text where a date should be),
    and one such row makes the whole query raise: then they are read one by one, each without the rows it refers to.
    """
    try:
        return list(rows[:first]), {}
    except DATABASE_AWAY:
        raise
    except Exception:
        logger.warning("One of the rows cannot be read; they are read one by one.", exc_info=True)
    one_by_one: list[Any] = []
    unreadable: dict[Any, Exception] = {}
    for pk in list(rows[:first].values_list("pk", flat=True)):
        row = rows.filter(pk=pk)
        try:
            one_by_one += row.select_related(None) if row.query.select_related else row
        except DATABASE_AWAY:
            raise
        except Exception as error:
            unreadable[pk] = error
    return one_by_one, unreadable


def salvaged(model: type[M], pk: Any) -> M:
    """A row that cannot be read as a whole: its columns that can; None for the others. Not to be saved."""
    values: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        try:
            values[field.attname] = model._default_manager.filter(pk=pk).values_list(field.attname, flat=True).get()
        except DATABASE_AWAY:
            raise
        except Exception:
            values[field.attname] = None
    row = model()
    for name, value in values.items():
        setattr(row, name, value)
    return row


def all_rows(rows: "QuerySet[M]") -> list[M]:
    """The rows of a query, in its order; those that cannot be read are last, as `salvaged`."""
    whole, unreadable = readable(rows)
    return whole + [salvaged(rows.model, pk) for pk in unreadable]


# One look-up in the index `job_latest` per action, however many jobs the action has had; one statement for all.
LATEST_JOBS = """
    WITH wanted(action) AS (VALUES {values})
    SELECT job.id FROM wanted JOIN controller_job job ON job.id = (
        SELECT candidate.id FROM controller_job candidate
        WHERE candidate.backend = %s AND candidate.workspace = %s AND candidate.action = wanted.action
          AND NOT candidate.cancelled
        ORDER BY candidate.created_at DESC, candidate.id DESC LIMIT 1
    )
"""


def latest_jobs(backend: str, workspace: str, actions: Iterable[str]) -> dict[str, LatestJob]:
    """The latest not cancelled job of each of these actions, by created_at.

    Absent are actions that never ran, and those whose latest job's row says nothing that can be understood: they run
    again.
    """
    latest: dict[str, LatestJob] = {}
    for part in in_parts(list(dict.fromkeys(actions))):
        sql = LATEST_JOBS.format(values=", ".join(["(%s)"] * len(part)))
        ids = [job.pk for job in Job.objects.raw(sql, [*part, backend, workspace])]
        for job in readable(Job.objects.filter(pk__in=ids))[0]:
            try:
                latest[job.action] = _latest(job)
            except ValueError:
                logger.exception("Job %s is not looked at: its row makes no sense.", job.pk)
    return latest


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
    return all_rows(Job.objects.filter(rap_id=rap_id).order_by("position", "action"))


def raps_by_id(rap_ids: Iterable[str]) -> dict[str, Rap]:
    """The requests of these that there are, on any backend."""
    raps: list[Rap] = []
    for part in in_parts(list(dict.fromkeys(rap_ids))):
        raps += all_rows(Rap.objects.filter(pk__in=part))
    return {rap.id: rap for rap in raps}


def rap_status_jobs(rap_ids: Iterable[str], backends: Iterable[str]) -> tuple[list[Job], list[str]]:
    """`(jobs, unrecognised)`: jobs of these requests on these backends, with their `rap`; one query per 500 ids.

    `unrecognised` are the ids, in the order given, of which no job is known on these backends.
    """
    unique_ids, allowed = list(dict.fromkeys(rap_ids)), list(backends)
    jobs: list[Job] = []
    for part in in_parts(unique_ids):
        rows = Job.objects.filter(rap_id__in=part, backend__in=allowed).select_related("rap")
        jobs += all_rows(rows.order_by("created_at", "rap_id", "position"))
    ids_with_jobs = {job.rap_id for job in jobs}
    return jobs, [rap_id for rap_id in unique_ids if rap_id not in ids_with_jobs]


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
