"""Requests (RAPs): opened once, given an outcome, their actions cancelled."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from carrel.controller import clock, settings
from carrel.controller.models import Job, Rap, RapOutcome
from carrel.controller.service import events, queries, scheduling
from carrel.controller.service.locks import locked
from carrel.jobs.identifiers import job_id
from carrel.jobs.statuses import FINAL_CODES, STATUSES, StatusCode
from carrel.telemetry import traces
from carrel.telemetry.faults import point


class InconsistentRap(Exception):
    """The rap_id is taken by a request for another backend, repository, workspace or commit."""


class RapNotFound(Exception):
    """No such rap on the backends allowed, or it has no jobs."""


class ActionsNotFound(Exception):
    """`not_found`: sorted names of actions for which the rap has no job. Nothing was cancelled."""

    def __init__(self, not_found: Sequence[str]) -> None:
        super().__init__(f"No jobs for actions: {', '.join(not_found)}")
        self.not_found = list(not_found)


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """One job to create. Sizes as in `resources` of project.yaml: "4G"; times in seconds; None: the backend's default.

    `repo_url`/`commit` are given only for a reusable action; else the study's are used. `input_job_ids`: by needed
    action, the job whose outputs are read.
    """

    action: str
    run_command: str
    needs: tuple[str, ...] = ()
    wait_for_job_ids: tuple[str, ...] = ()
    input_job_ids: dict[str, str] = field(default_factory=dict)
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
    values = asdict(fields) | {"requested_actions": list(fields.requested_actions), "orgs": list(fields.orgs)}
    with transaction.atomic():
        rap, created = Rap.objects.get_or_create(id=values.pop("id"), defaults={**values, "created_at": clock.now()})
        point("controller.rap.inserted")
        if created:
            events.record_rap("rap.opened", events.CLIENT, rap, created_by=rap.created_by)
    if not created and _identity(rap) != _identity(fields):
        raise InconsistentRap(f"Jobs already created for rap_id '{rap.id}' are inconsistent with request data")
    point("controller.rap.opened")
    return rap, created


def _identity(rap: Rap | RapFields) -> tuple[str, str, str, str]:
    return rap.backend, rap.repo_url, rap.workspace, rap.commit


def record_rap_outcome(rap_id: str, outcome: RapOutcome, details: str = "") -> Rap:
    """Write what became of a request for which no job was created. Changes nothing once jobs were created."""
    with locked(_backend_of(rap_id)):
        rap = Rap.objects.get(pk=rap_id)
        if rap.outcome != RapOutcome.CREATED and (rap.outcome, rap.outcome_details) != (outcome, details):
            _write_outcome(rap, outcome, details)
    return rap


def _backend_of(rap_id: str) -> str:
    return str(Rap.objects.values_list("backend", flat=True).get(pk=rap_id))


def _write_outcome(rap: Rap, outcome: Any, details: str) -> None:
    rap.outcome, rap.outcome_details, rap.outcome_at = outcome, details, clock.now()
    rap.save(update_fields=["outcome", "outcome_details", "outcome_at"])
    events.record_rap("rap.outcome", events.CLIENT, rap, outcome=str(outcome), details=details)


def create_jobs(rap_id: str, plan: Callable[[], Sequence[NewJob]]) -> tuple[list[Job], bool]:
    """Create the jobs of a request in one transaction, and let the scheduler run at once: `(jobs, created)`.

    `plan()` gives the jobs; it is called under the backend's lock, where nothing that it looks at can change any more.
    The first caller wins: when the request has jobs already they are returned as they are, with created False.
    """
    backend = _backend_of(rap_id)
    with traces.span("create_jobs", "create_or_update_jobs", backend=backend, rap=rap_id), locked(backend):
        rap = Rap.objects.get(pk=rap_id)
        if rap.outcome == RapOutcome.CREATED:
            return queries.rap_jobs(rap_id), False
        rows = Job.objects.bulk_create([_row(rap, job, position) for position, job in enumerate(plan())])
        events.record_created(rows)
        point("controller.jobs.inserted")
        _write_outcome(rap, RapOutcome.CREATED, "")
        scheduling.run(backend)
        point("controller.jobs.scheduled")
    point("controller.jobs.created")
    return queries.rap_jobs(rap_id), True


def _row(rap: Rap, job: NewJob, position: int) -> Job:
    now = clock.now()
    default_timeout = settings.get().backend(rap.backend).job_timeout
    return Job(
        id=job_id(rap.id, job.action),
        rap=rap,
        backend=rap.backend,
        workspace=rap.workspace,
        action=job.action,
        position=position,
        repo_url=job.repo_url or rap.repo_url,
        commit=job.commit or rap.commit,
        run_command=job.run_command,
        reusable_action=job.reusable_action,
        needs=list(job.needs),
        wait_for_job_ids=list(job.wait_for_job_ids),
        input_job_ids=dict(job.input_job_ids),
        output_spec=dict(job.output_spec),
        requires_db=job.requires_db,
        database_name=rap.database_name if job.requires_db else None,
        analysis_scope=job.analysis_scope,
        weight=1.0 if job.weight is None else job.weight,
        cpu_count=job.cpu_count,
        memory_limit=job.memory_limit,
        timeout_seconds=job.timeout_seconds or default_timeout,
        status_message=STATUSES[StatusCode.CREATED].message,
        status_code_updated_at=now,
        created_at=now,
        updated_at=now,
        trace_context={"traceparent": traces.new_traceparent()},
    )


def cancel_actions(rap_id: str, actions: Iterable[str], backends: Iterable[str]) -> list[Job]:
    """Set the cancel flag on the jobs of these actions and stop what runs. Jobs already finished are not changed.

    Returns the jobs named (finished ones included). Raises RapNotFound or ActionsNotFound; then nothing was changed.
    """
    rap = Rap.objects.filter(pk=rap_id, backend__in=list(backends)).only("backend").first()
    if rap is None:
        raise RapNotFound(rap_id)
    with locked(rap.backend):
        jobs = _jobs_named(rap_id, set(actions))
        for job in jobs:
            if job.status_code not in FINAL_CODES and job.cancelled is not True:
                Job.objects.filter(pk=job.pk).update(cancelled=True)
                events.record("job.cancel_requested", events.CLIENT, job=job)
        point("controller.cancel.flagged")
        scheduling.run(rap.backend)
    point("controller.cancel.done")
    return queries.all_rows(Job.objects.filter(pk__in=[job.pk for job in jobs]).order_by("position"))


def _jobs_named(rap_id: str, actions: set[str]) -> list[Job]:
    jobs = {job.action: job for job in queries.rap_jobs(rap_id)}
    if not jobs:
        raise RapNotFound(rap_id)
    if missing := sorted(actions - jobs.keys()):
        raise ActionsNotFound(missing)
    return [jobs[action] for action in sorted(actions)]
