"""Our own API for people's programs: workspaces, what a run would do, starting, watching and cancelling runs."""

import hashlib
import secrets
import threading
from typing import Annotated, Any, Literal, cast

from django.db.models import Exists, OuterRef, Prefetch
from django.http import HttpRequest, HttpResponse
from ninja import Header, Query, Router
from ninja.responses import Status

from carrel.jobs.plan import Entry, Reuse, WaitFor
from carrel.jobs.statuses import status_named
from carrel.jobserver import studies
from carrel.jobserver.api.answers import ApiProblem, ApiRefusal, errors
from carrel.jobserver.api.callers import ApiRequest, ScopedAuth, caller_of
from carrel.jobserver.api.forms import page_of
from carrel.jobserver.api.run_messages import (
    ActionForecast,
    BackendForecast,
    CancelIn,
    CancelOut,
    JobOut,
    PlanOut,
    RequestOut,
    RunIn,
    RunListed,
    RunOut,
    RunPage,
    WorkspaceOut,
    WorkspacePage,
)
from carrel.jobserver.api.workspaces import workspace_of
from carrel.jobserver.models import Job, JobRequest, RunGroup, Workspace
from carrel.jobserver.models.projects import NotifyWhen
from carrel.jobserver.models.runs import OUTCOMES
from carrel.jobserver.queries.logs import outcome_condition
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.runs.derivation import FINAL_REQUEST_STATUSES
from carrel.jobserver.service import cancellations
from carrel.jobserver.service.submissions import Submission, SubmissionError, plan_submission, submit
from carrel.messages.job_requests import PAGE_SIZE
from carrel.units.limits import MAX_BACKEND_NAME

router = Router(tags=["runs"])

MAX_WAIT_SECONDS = 60
LOOK_EVERY_SECONDS = 1.0
MAX_WAITING = 4
"""Long polls that one process holds; beyond, the answer comes at once."""
MAX_OFFSET = 10_000_000
_waiting = threading.BoundedSemaphore(MAX_WAITING)
_pause = threading.Event()
"""Is never set: waiting for it is a pause."""


@router.get("workspaces", auth=ScopedAuth(Scope.READ), response={200: WorkspacePage, **errors(401, 403, 404, 429)})
def workspace_list(
    request: HttpRequest,
    project: str = Query("", max_length=100),
    limit: int = Query(PAGE_SIZE, ge=1, le=PAGE_SIZE),
    offset: int = Query(0, ge=0, le=MAX_OFFSET),
) -> WorkspacePage:
    """The workspaces that you may know of, by name; of one project with `project`."""
    caller = caller_of(request)
    rows = Workspace.objects.filter(project__in=visible_projects(caller.person, caller.rights).values("pk"))
    if project:
        rows = rows.filter(project__slug=project)
        if not visible_projects(caller.person, caller.rights).filter(slug=project).exists():
            raise ApiRefusal(404, "There is no such project, or you may not see it.")
    count, following, previous, page = page_of(request, rows.select_related("project"), limit, offset)
    return WorkspacePage(count=count, next=following, previous=previous, results=[workspace_out(row) for row in page])


@router.get(
    "workspaces/{name}", auth=ScopedAuth(Scope.READ), response={200: WorkspaceOut, **errors(401, 403, 404, 429)}
)
def workspace(request: HttpRequest, name: str) -> WorkspaceOut:
    """One workspace, if you may know of its project."""
    return workspace_out(workspace_of(caller_of(request), name))


@router.post(
    "workspaces/{name}/plan",
    auth=ScopedAuth(Scope.READ),
    response={200: PlanOut, **errors(401, 403, 404, 429, 503)},
)
def plan_preview(request: HttpRequest, name: str, body: RunIn) -> PlanOut:
    """What would run, be reused or be waited for on each backend, and why. Nothing is started."""
    submission = submission_of(caller_of(request), name, body, secrets.token_hex(16))
    plans = refusing(lambda: plan_submission(submission))
    return PlanOut(
        commit=submission.commit,
        backends=[
            BackendForecast(backend=slug, actions=[forecast_of(entry) for entry in plan.entries])
            for slug, plan in plans.items()
        ],
    )


@router.post(
    "workspaces/{name}/runs",
    auth=ScopedAuth(Scope.RUN),
    response={201: RunOut, 200: RunOut, **errors(401, 403, 404, 409, 429, 503)},
)
def start_run(
    request: HttpRequest,
    name: str,
    body: RunIn,
    idempotency_key: Annotated[
        str, Header(alias="Idempotency-Key", max_length=200, description="The same key makes one run, once (201)")
    ] = "",
) -> Status:
    """Run actions of one commit on one or several backends. 200: the run that this key made before."""
    caller = caller_of(request)
    unique = f"api:{caller.user.pk}:{name}:{idempotency_key or secrets.token_hex(16)}"
    submission = submission_of(caller, name, body, hashlib.sha256(unique.encode()).hexdigest())
    existing = RunGroup.objects.filter(submission_key=submission.submission_key, created_by=caller.user).first()
    run = existing or refusing(lambda: submit(submission, caller))
    if existing and differs(existing, body):
        raise ApiRefusal(409, f"This key made run {existing.pk} before, which asked for something else.")
    return Status(200 if existing else 201, run_out(caller, run))


@router.get("runs", auth=ScopedAuth(Scope.READ), response={200: RunPage, **errors(401, 403, 404, 429)})
def run_list(
    request: HttpRequest,
    workspace: str = Query("", max_length=255),
    backend: str = Query("", max_length=MAX_BACKEND_NAME),
    status: str = Query("", max_length=40),
    limit: int = Query(PAGE_SIZE, ge=1, le=PAGE_SIZE),
    offset: int = Query(0, ge=0, le=MAX_OFFSET),
) -> RunPage:
    """Runs, newest first: of one workspace, on one backend, with a request of this status."""
    caller = caller_of(request)
    rows = visible_run_groups(caller)
    requests = JobRequest.objects.filter(backend__in=visible_backends(caller.person, caller.rights).values("pk"))
    if workspace:
        rows = rows.filter(workspace=workspace_of(caller, workspace))
    if backend and not visible_backends(caller.person, caller.rights).filter(slug=backend).exists():
        raise ApiRefusal(404, "There is no such backend, or you may not see it.")
    if status and status not in OUTCOMES:
        raise ApiRefusal(400, f"No run has this status. There are: {', '.join(OUTCOMES)}.")
    if backend or status:
        matching = requests.filter(backend__slug=backend) if backend else requests
        matching = matching.filter(outcome_condition([status])) if status else matching
        rows = rows.filter(pk__in=matching.values("run"))
    shown: Prefetch[str] = Prefetch("requests", requests.select_related("backend"))
    in_order = rows.select_related("workspace", "created_by").prefetch_related(shown).order_by("-id")
    count, following, previous, page = page_of(request, in_order, limit, offset)
    results = [
        RunListed(
            id=row.pk,
            workspace=row.workspace.name,
            commit=row.commit,
            created_by=row.created_by.username,
            created_at=row.created_at,
            statuses={part.backend.slug: part.outcome for part in row.requests.all()},
        )
        for row in page
    ]
    return RunPage(count=count, next=following, previous=previous, results=results)


@router.get(
    "runs/{run_id}",
    auth=ScopedAuth(Scope.READ),
    response={200: RunOut, 304: None, **errors(401, 403, 404, 429)},
)
def run(
    request: HttpRequest,
    response: HttpResponse,
    run_id: int,
    etag: str = Query("", max_length=64),
    wait: int = Query(0, ge=0, le=MAX_WAIT_SECONDS),
) -> Status:
    """A run with its jobs. With `etag` and `wait`, the answer comes once it has changed, or 304 after that long."""
    caller = caller_of(request)
    row = run_of(caller, run_id)
    if etag and wait and etag == fingerprint(caller, row) and _waiting.acquire(blocking=False):
        try:
            await_change(caller, row, etag, wait)
        finally:
            _waiting.release()
    answer = run_out(caller, row)
    response["ETag"] = f'"{answer.etag}"'
    previous = etag or request.headers.get("If-None-Match", "").strip().removeprefix("W/").strip('"')
    return Status(304, None) if previous == answer.etag else Status(200, answer)


@router.post(
    "runs/{run_id}/cancel",
    auth=ScopedAuth(Scope.CANCEL),
    response={200: CancelOut, **errors(401, 403, 404, 409, 429)},
)
def cancel_run(request: HttpRequest, run_id: int, body: CancelIn) -> CancelOut:
    """Cancel a run, on some of its backends, or some of its actions. What has ended stays as it is."""
    caller = caller_of(request)
    parts = list(requests_of(caller, run_of(caller, run_id)))
    if unknown := set(body.backends) - {part.backend.slug for part in parts}:
        raise ApiRefusal(404, f"This run has no part on: {', '.join(sorted(unknown)[:20])}")
    chosen = [part for part in parts if not body.backends or part.backend.slug in body.backends]
    for part in chosen:
        if not cancellations.may_cancel(caller.person, caller.rights, part):
            raise ApiRefusal(403, f"You may not cancel what others asked for on {part.backend.name}.")
    cancelled, refused = {}, {}
    for part in chosen:
        try:
            asked = cancellations.ask_to_cancel(part, body.actions, caller)
            cancelled[part.backend.slug] = asked.words
        except cancellations.CancelError as error:
            refused[part.backend.slug] = str(error)
    if not cancelled:
        problems = [ApiProblem(where=slug, what=why) for slug, why in refused.items()]
        raise ApiRefusal(409, "Nothing was cancelled.", problems)
    return CancelOut(cancelled=cancelled, refused=refused)


@router.get("jobs/{identifier}", auth=ScopedAuth(Scope.READ), response={200: JobOut, **errors(401, 403, 404, 429)})
def job(request: HttpRequest, identifier: str) -> JobOut:
    """One job, if you may know of its project and its backend."""
    caller = caller_of(request)
    jobs = Job.objects.filter(
        backend__in=visible_backends(caller.person, caller.rights).values("pk"),
        workspace__project__in=visible_projects(caller.person, caller.rights).values("pk"),
    )
    row = jobs.select_related("backend").filter(identifier=identifier).first()
    if row is None:
        raise ApiRefusal(404, "There is no such job, or you may not see it.")
    return job_out(row)


# -- what is asked for


def submission_of(caller: ApiRequest, name: str, body: RunIn, key: str) -> Submission:
    """Return what a body asks for. Without a commit it is where the branch is now: 503 when nobody can say."""
    workspace = workspace_of(caller, name)
    if needless := sorted(set(body.force) - set(body.actions)):
        problem = ApiProblem(where="body.force", what=f"Nothing is asked for on {', '.join(needless)[:500]}.")
        raise ApiRefusal(400, "The request is not what this address takes.", [problem])
    commit = body.commit
    if not commit:
        head = studies.branch_head(workspace)
        if not head.commit or head.problem:
            raise ApiRefusal(503, f"Where the branch is cannot be said: {head.problem} Or name a commit.")
        commit = head.commit
    return Submission(
        workspace=workspace,
        person=caller.user,
        commit=commit,
        actions={slug: tuple(actions) for slug, actions in body.actions.items()},
        force=frozenset(body.force),
        notify=body.notify and NotifyWhen(body.notify),
        submission_key=key,
        has_second_factor=caller.token is not None and caller.token.with_second_factor,
    )


def refusing(act: Any) -> Any:
    """Do it; what cannot be is 400 with a problem for each backend, and a repository that is away is 503."""
    try:
        return act()
    except SubmissionError as error:
        problems = [ApiProblem(where=slug or "all", what=why[:2000]) for slug, why in error.problems.items()]
        raise ApiRefusal(400, "This cannot be run.", problems) from None
    except studies.StudyUnavailable as error:
        raise ApiRefusal(503, f"The study's repository cannot be read: {error}") from None


def differs(run: RunGroup, body: RunIn) -> bool:
    """Tell whether a run asked for something else than this body does."""
    asked = {part.backend.slug: part.requested_actions for part in run.requests.select_related("backend")}
    now = {slug: list(dict.fromkeys(actions)) for slug, actions in body.actions.items()}
    return asked != now or (body.commit not in ("", run.commit))


# -- what is answered


def workspace_out(row: Workspace) -> WorkspaceOut:
    """Return the workspace as answers have it."""
    return WorkspaceOut(
        name=row.name,
        project=row.project.slug,
        repo_url=row.repo_url,
        branch=row.branch,
        purpose=row.purpose,
        is_archived=row.is_archived,
        created_at=row.created_at,
    )


def forecast_of(entry: Entry) -> ActionForecast:
    """Return what a plan says of one action."""
    what: Literal["run", "reuse", "wait"] = "run"
    if isinstance(entry, Reuse):
        what = "reuse"
    elif isinstance(entry, WaitFor):
        what = "wait"
    return ActionForecast(action=entry.action, what=what, why=entry.words())


def visible_run_groups(caller: ApiRequest) -> Any:
    """Return the runs of projects and on backends that the caller may know of, as the site's pages do."""
    projects = visible_projects(caller.person, caller.rights).values("pk")
    parts = JobRequest.objects.filter(backend__in=visible_backends(caller.person, caller.rights).values("pk"))
    return RunGroup.objects.filter(Exists(parts.filter(run=OuterRef("pk"))), workspace__project__in=projects)


def run_of(caller: ApiRequest, run_id: int) -> RunGroup:
    """Return the run, if the caller may know of it. 404 otherwise."""
    row = visible_run_groups(caller).select_related("workspace__project", "created_by").filter(pk=run_id).first()
    if row is None:
        raise ApiRefusal(404, "There is no such run, or you may not see it.")
    return row


def requests_of(caller: ApiRequest, run: RunGroup) -> Any:
    """Return a run's requests on the backends that the caller may know of."""
    backends = visible_backends(caller.person, caller.rights)
    parts = run.requests.filter(backend__in=backends.values("pk")).select_related("backend", "workspace__project")
    return parts.order_by("backend__position", "backend__slug")


def fingerprint(caller: ApiRequest, run: RunGroup) -> str:
    """Return what is another text whenever something of the run has changed."""
    values = (
        requests_of(caller, run)
        .order_by("id")
        .values_list("identifier", "status", "updated_at", "sent_at", "cancelled_actions")
    )
    return hashlib.sha256(repr(list(values)).encode()).hexdigest()[:32]


def await_change(caller: ApiRequest, run: RunGroup, etag: str, seconds: float) -> None:
    """Wait until the run has changed, for at most so long."""
    for _ in range(int(seconds / LOOK_EVERY_SECONDS)):
        _pause.wait(LOOK_EVERY_SECONDS)
        if fingerprint(caller, run) != etag:
            return


def run_out(caller: ApiRequest, run: RunGroup) -> RunOut:
    """Return the run as answers have it."""
    etag = fingerprint(caller, run)
    parts = list(requests_of(caller, run).prefetch_related(Prefetch("jobs", Job.objects.select_related("backend"))))
    return RunOut(
        id=run.pk,
        etag=etag,
        workspace=run.workspace.name,
        commit=run.commit,
        created_by=run.created_by.username,
        created_at=run.created_at,
        is_over=all(part.status in FINAL_REQUEST_STATUSES for part in parts),
        requests=[request_out(part) for part in parts],
    )


def request_out(part: JobRequest) -> RequestOut:
    """Return one backend's part of a run as answers have it."""
    return RequestOut(
        rap_id=part.identifier,
        backend=part.backend.slug,
        status=part.outcome,
        status_message=part.status_message,
        requested_actions=part.requested_actions,
        cancelled_actions=part.cancelled_actions,
        force_run_dependencies=part.force_run_dependencies,
        completed_at=part.completed_at,
        jobs=[job_out(row) for row in part.jobs.all()],
    )


def job_out(row: Job) -> JobOut:
    """Return the job as answers have it."""
    status = status_named(row.status_code)
    return JobOut(
        identifier=row.identifier,
        backend=row.backend.slug,
        action=row.action,
        run_command=row.run_command,
        status=cast(Any, row.outcome),
        status_code=row.status_code,
        status_message=row.status_message,
        next_step=status.next_step if status else "",
        created_at=row.created_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
    )
