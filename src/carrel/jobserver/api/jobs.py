"""The older link to controllers that nobody can reach: they ask for requests and tell of jobs (section 2.1)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import cast

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router
from pydantic import BaseModel, Field

from carrel.jobserver.api.answers import ApiProblem, ApiRefusal, errors
from carrel.jobserver.api.callers import AnybodyAuth, ApiRequest, BackendAuth, caller_of
from carrel.jobserver.api.forms import iso, page_of
from carrel.jobserver.api.workspaces import backends_of
from carrel.jobserver.models import Backend, Job, JobRequest, ProjectOrganisation
from carrel.jobserver.models.runs import ACTIVE_STATUSES
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.rights.visibility import visible_projects
from carrel.jobserver.runs.reported import ReportedJob
from carrel.jobserver.runs.sending import scope_of
from carrel.jobserver.service import contacts
from carrel.jobserver.service.jobs import record_jobs
from carrel.jobserver.service.requests import withdraw_refused
from carrel.messages.job_requests import (
    FLAGS_HEADER,
    PAGE_SIZE,
    POSTED,
    ActiveJobRequest,
    JobRequestPage,
    JobRequestWorkspace,
    PostedJob,
)

router = Router(tags=["older link"])

ACTIVE_FOR = timedelta(days=365)
MAX_OFFSET = 10_000_000


@router.get("job-requests/", auth=AnybodyAuth(Scope.READ), response={200: JobRequestPage, **errors(403)})
def job_requests(
    request: HttpRequest,
    limit: int = Query(PAGE_SIZE, ge=1, le=PAGE_SIZE),
    offset: int = Query(0, ge=0, le=MAX_OFFSET),
) -> JobRequestPage:
    """Requests that have not ended, newest first: with a backend's token its own, else those that everybody may see.

    What may not run any more (the project has ended, rights were taken back) is not handed to the backend's controller.
    """
    caller = caller_of(request)
    if caller.backend is not None:
        contacts.heard_from(caller.backend, request.headers.get(FLAGS_HEADER, ""))
    is_controller = caller.backend is not None and caller.backend.link == Backend.LinkKind.POLLED
    while True:
        count, following, previous, rows = page_of(request, active_requests(caller), limit, offset)
        if not (is_controller and withdraw_refused(rows)):
            break
    return JobRequestPage(
        count=count, next=following, previous=previous, results=[active_job_request(row) for row in rows]
    )


class JobsStored(BaseModel):
    """What `POST jobs/` answers."""

    status: str = Field(examples=[POSTED["status"]])


@router.post("jobs/", auth=BackendAuth(), response={200: JobsStored, **errors(403)})
def jobs(request: HttpRequest, body: list[PostedJob]) -> dict[str, str]:
    """Take all jobs of requests, always those of a request together: the others that it had are deleted.

    Requests that are not this backend's are passed over, as the contract has it.
    """
    backend = cast(Backend, caller_of(request).backend)
    contacts.heard_from(backend, request.headers.get(FLAGS_HEADER, ""))
    reported, problems = read_jobs(body)
    if problems:
        raise ApiRefusal(400, "Nothing was stored: some of the jobs cannot be.", problems[:50])
    by_identifier = group_by_request(reported)
    requests = JobRequest.objects.filter(backend=backend, identifier__in=by_identifier)
    for job_request in requests.select_related("backend", "run", "workspace"):
        record_jobs(job_request, by_identifier[job_request.identifier], complete=True)
    return POSTED


def read_jobs(posted: Sequence[PostedJob]) -> tuple[list[ReportedJob], list[ApiProblem]]:
    """Return the jobs as values within bounds, and what is wrong with those that cannot be."""
    reported, problems = [], []
    for number, job in enumerate(posted):
        try:
            reported.append(ReportedJob.from_posted(job))
        except ValueError as error:
            problems.append(ApiProblem(where=f"body.{number}", what=str(error)))
    return reported, problems


def group_by_request(jobs: Iterable[ReportedJob]) -> dict[str, list[ReportedJob]]:
    """Return the jobs by their request's identifier."""
    grouped: dict[str, list[ReportedJob]] = defaultdict(list)
    for job in jobs:
        grouped[job.request_identifier].append(job)
    return grouped


def active_requests(caller: ApiRequest) -> QuerySet[JobRequest]:
    """Return the requests that have not ended, as far as the caller may know of them, newest first."""
    unfinished_jobs = Job.objects.filter(request=OuterRef("pk"), status__in=("pending", "running"))
    recent = Q(status__in=ACTIVE_STATUSES, created_at__gt=timezone.now() - ACTIVE_FOR)
    requests = JobRequest.objects.filter(recent | Exists(unfinished_jobs), backend__in=backends_of(caller).values("pk"))
    if caller.backend is None:
        projects = visible_projects(caller.person, caller.rights)
        requests = requests.filter(workspace__project__in=projects.values("pk"))
    organisations: Prefetch[str] = Prefetch(
        "workspace__project__collaborations", ProjectOrganisation.objects.select_related("organisation")
    )
    return (
        requests.select_related("backend", "run", "created_by", "workspace__project", "workspace__created_by")
        .prefetch_related(organisations, "workspace__project__data_permissions")
        .order_by("-created_at", "-id")
    )


def active_job_request(request: JobRequest) -> ActiveJobRequest:
    """Return the request as the contract has it."""
    workspace, project = request.workspace, request.workspace.project
    return ActiveJobRequest(
        backend=request.backend.slug,
        sha=request.run.commit,
        identifier=request.identifier,
        force_run_dependencies=request.force_run_dependencies,
        requested_actions=request.requested_actions,
        cancelled_actions=request.cancelled_actions,
        created_by=request.created_by.username,
        created_at=iso(request.created_at) or "",
        workspace=JobRequestWorkspace(
            name=workspace.name,
            repo=workspace.repo_url,
            branch=request.run.branch,
            created_by=workspace.created_by.username if workspace.created_by else "",
            created_at=iso(workspace.created_at) or "",
        ),
        database_name=request.run.database_name,
        project=project.slug,
        orgs=[row.organisation.slug for row in project.collaborations.all()],
        codelists_ok=request.run.codelists_ok,
        analysis_scope=scope_of((row.kind, row.name) for row in project.data_permissions.all()),
    )
