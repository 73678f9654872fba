"""The older link to controllers that nobody can reach: they ask for requests and tell of jobs (section 2.1)."""

from datetime import timedelta

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router

from carrel.jobserver.api.answers import errors
from carrel.jobserver.api.callers import AnybodyAuth, ApiRequest, caller_of
from carrel.jobserver.api.forms import iso, page_of
from carrel.jobserver.api.workspaces import backends_of
from carrel.jobserver.models import Job, JobRequest, ProjectOrganisation
from carrel.jobserver.models.runs import ACTIVE_STATUSES
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.rights.visibility import visible_projects
from carrel.jobserver.service import contacts
from carrel.messages.job_requests import (
    FLAGS_HEADER,
    PAGE_SIZE,
    ActiveJobRequest,
    JobRequestPage,
    JobRequestWorkspace,
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
    """Requests that have not ended, newest first: with a backend's token its own, else those that everybody may see."""
    caller = caller_of(request)
    if caller.backend is not None:
        contacts.heard_from(caller.backend, request.headers.get(FLAGS_HEADER, ""))
    count, following, previous, rows = page_of(request, active_requests(caller), limit, offset)
    return JobRequestPage(
        count=count, next=following, previous=previous, results=[active_job_request(row) for row in rows]
    )


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
    )
