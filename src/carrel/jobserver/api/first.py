"""The first API of 2020, for programs that still speak it: `/workspaces/` and `/jobs/` (job-server.md section 7).

A thin layer: a workspace is a workspace, a job is one backend's part of a run of one action. Basic authentication by
username and personal token.
"""

import base64
import binascii
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from carrel.jobserver import settings, studies
from carrel.jobserver.api.answers import ApiProblem, ApiRefusal
from carrel.jobserver.api.app import answer_refusal, entrance
from carrel.jobserver.api.bodies import BodyError, read_json
from carrel.jobserver.api.callers import ApiRequest, act_for_token, caller_of, check_rate
from carrel.jobserver.api.forms import absolute, iso, page_of
from carrel.jobserver.models import Backend, JobRequest, Project, Workspace
from carrel.jobserver.models.runs import ACTIVE_STATUSES, RequestStatus
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.jobserver.runs.webhooks import WebhookRefused, check_address
from carrel.jobserver.service.projects import create_workspace, edit_workspace
from carrel.jobserver.service.submissions import Submission, SubmissionError, submit
from carrel.jobserver.service.webhooks import add_callback
from carrel.jobserver.site_pages import PAGES
from carrel.messages.job_requests import PAGE_SIZE

ROOT = "api/v1/"
FULL, SLICE, DUMMY = "full", "slice", "dummy"
MAX_TEXT = 2_000
MAX_NUMBER = 10_000_000
FirstView = Callable[..., JsonResponse]


def endpoint(**views: tuple[Scope, FirstView]) -> Callable[..., HttpResponse]:
    """Return the view that answers each method by its function, for a token of its scope."""

    @wraps(endpoint)
    def view(request: HttpRequest, **parts: Any) -> HttpResponse:
        if request.method not in views:
            return HttpResponseNotAllowed(sorted(views))
        scope, function = views[request.method]
        try:
            return function(sign_in(request, scope), **parts)
        except ApiRefusal as error:
            answer = answer_refusal(request, error)
            if error.status_code == 401:
                answer["WWW-Authenticate"] = 'Basic realm="carrel"'
            return answer

    return cast(Callable[..., HttpResponse], csrf_exempt(entrance(view)))


def sign_in(request: HttpRequest, scope: Scope) -> ApiRequest:
    """Take the caller by `Authorization: Basic <username:personal token>`."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        pair = ""
    if kind.lower() != "basic" or ":" not in pair:
        raise ApiRefusal(401, "Sign in by Basic authentication: your username, and a personal token as the password.")
    act_for_token(request, pair, scope, status=401)
    caller = caller_of(request)
    check_rate(caller.token)
    return caller


# -- workspaces


def workspace_list(caller: ApiRequest) -> JsonResponse:
    """Workspaces, by id, name, branch, repo, owner and db."""
    rows = visible_workspaces(caller).select_related("created_by").order_by("-id")
    by = {"name": "name", "branch": "branch", "repo": "repo_url", "owner": "created_by__username"}
    rows = rows.filter(**{by[key]: caller.GET[key] for key in by if key in caller.GET})
    if "id" in caller.GET:
        rows = rows.filter(pk=number(caller, "id"))
    if "db" in caller.GET:
        rows = rows.filter(of_database(caller.GET["db"]))
    return listed(caller, rows, workspace_out)


def workspace_one(caller: ApiRequest, key: int) -> JsonResponse:
    """One workspace."""
    return JsonResponse(workspace_out(caller, row_of(visible_workspaces(caller), key)))


def workspace_create(caller: ApiRequest) -> JsonResponse:
    """Make a workspace. `project` (a slug) is needed by those who may make some in several projects."""
    body = read_body(caller)
    database = text(body, "db", FULL) or FULL
    values = database_values(database)
    project = project_of(caller, text(body, "project", ""))
    try:
        workspace = create_workspace(
            project, text(body, "name"), text(body, "repo"), text(body, "branch"), text(body, "purpose", ""), caller
        )
        edit_workspace(workspace, values, caller)
    except ValidationError as error:
        by_field = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        problems = [
            ApiProblem(where=field.replace("repo_url", "repo"), what=" ".join(why)) for field, why in by_field.items()
        ]
        raise ApiRefusal(400, "The workspace cannot be made so.", problems) from None
    workspace.refresh_from_db()
    return JsonResponse(workspace_out(caller, workspace), status=201)


def project_of(caller: ApiRequest, slug: str) -> Project:
    """Return the project that a new workspace belongs to."""
    projects = [
        project
        for project in visible_projects(caller.person, caller.rights).filter(archived_at=None)
        if caller.rights.holds(Permission.WORKSPACE_CREATE, project_id=project.pk)
    ]
    if slug:
        projects = [project for project in projects if project.slug == slug]
    if not projects:
        raise ApiRefusal(403, "You may not create workspaces in that project, or in any. Ask its lead.")
    if len(projects) > 1:
        names = ", ".join(project.slug for project in projects[:20])
        raise ApiRefusal(400, f"Say in which project: `project` is one of {names}")
    return projects[0]


def database_values(database: str) -> dict[str, Any]:
    """Return what `db` means today."""
    if database == FULL:
        return {}
    if database == DUMMY:
        return {"is_for_dummy_data": True}
    if database == SLICE and (alias := settings.get().first_api_slice_database):
        return {"database_name": alias}
    if database == SLICE:
        raise ApiRefusal(400, "db: slice means nothing at this site. Use `full`, or `dummy` for data that is made up.")
    raise ApiRefusal(400, "db: one of full, slice, dummy")


def of_database(database: str) -> Q:
    """Return the condition that a workspace is one of this `db`."""
    alias = settings.get().first_api_slice_database
    is_slice = Q(database_name=alias) if alias else Q(pk=None)
    return {DUMMY: Q(is_for_dummy_data=True), SLICE: is_slice, FULL: Q(is_for_dummy_data=False) & ~is_slice}.get(
        database, Q(pk=None)
    )


def workspace_out(caller: ApiRequest, row: Workspace) -> dict[str, Any]:
    """Return a workspace as the first API has it."""
    alias = settings.get().first_api_slice_database
    database = DUMMY if row.is_for_dummy_data else SLICE if alias and row.database_name == alias else FULL
    return {
        "id": row.pk,
        "url": absolute(caller, f"/{ROOT}workspaces/{row.pk}/"),
        "name": row.name,
        "repo": row.repo_url,
        "branch": row.branch,
        "db": database,
        "owner": row.created_by.username if row.created_by else "",
        "created_at": iso(row.created_at),
    }


# -- jobs


def job_list(caller: ApiRequest) -> JsonResponse:
    """Jobs, newest first, by workspace, started, backend and action_id."""
    rows = visible_requests(caller)
    if "workspace" in caller.GET:
        rows = rows.filter(workspace=number(caller, "workspace"))
    if "backend" in caller.GET:
        rows = rows.filter(backend__slug=caller.GET["backend"])
    if "started" in caller.GET:
        begun = ~Q(status=RequestStatus.PENDING)
        rows = rows.filter(begun if caller.GET["started"].lower() in ("true", "1") else ~begun)
    if "action_id" in caller.GET:
        # Of JSON, a list that holds just this text is what both databases can look for.
        rows = rows.filter(requested_actions=[caller.GET["action_id"]])
    return listed(caller, rows, job_out)


def job_one(caller: ApiRequest, key: int) -> JsonResponse:
    """One job."""
    return JsonResponse(job_out(caller, row_of(visible_requests(caller), key)))


def job_create(caller: ApiRequest) -> JsonResponse:
    """Ask for one action on one backend, at the commit where the workspace's branch is now."""
    body = read_body(caller)
    action = text(body, "action_id", "") or text(body, "operation", "")
    if not action:
        raise ApiRefusal(400, "action_id: say which action to run (early programs: operation)")
    workspace = row_of(visible_workspaces(caller), workspace_key(body))
    backend = text(body, "backend")
    if workspace.is_for_dummy_data and not Backend.objects.filter(slug=backend, holds_dummy_data=True).exists():
        raise ApiRefusal(400, f"This workspace is for dummy data, and {backend} holds none: choose another backend.")
    callback = text(body, "callback_url", "")
    try:
        if callback:
            check_address(callback, settings.get().webhook_hosts)
        head = studies.branch_head(workspace)
        if not head.commit or head.problem:
            raise ApiRefusal(503, f"Where the branch is cannot be said: {head.problem}")
        submission = Submission(
            workspace=workspace,
            person=caller.user,
            commit=head.commit,
            actions={backend: (action,)},
            force=frozenset([backend] if body.get("force_run_dependencies") is True else ()),
            submission_key=secrets.token_hex(16),
            has_second_factor=caller.token is not None and caller.token.with_second_factor,
        )
        run = submit(submission, caller)
    except WebhookRefused as error:
        raise ApiRefusal(400, f"callback_url: {error}") from None
    except SubmissionError as error:
        raise ApiRefusal(400, " ".join(error.problems.values())[:MAX_TEXT]) from None
    except studies.StudyUnavailable as error:
        raise ApiRefusal(503, f"The study's repository cannot be read: {error}") from None
    if callback:
        add_callback(run, callback, caller, caller.user)
    return JsonResponse(job_out(caller, visible_requests(caller).get(run=run)), status=201)


def workspace_key(body: Mapping[str, Any]) -> int:
    """Return the id of the workspace that a body names, as `workspace_id` or as `workspace` with an id."""
    value = body.get("workspace_id", body.get("workspace"))
    value = value.get("id") if isinstance(value, dict) else value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    raise ApiRefusal(400, "workspace_id: the number of a workspace")


def job_out(caller: ApiRequest, row: JobRequest) -> dict[str, Any]:
    """Return a job as the first API has it; what outputs there are is not told any more."""
    is_over = row.status not in ACTIVE_STATUSES
    starts = [job.started_at for job in row.jobs.all() if job.started_at]
    return {
        "id": row.pk,
        "url": absolute(caller, f"/{ROOT}jobs/{row.pk}/"),
        "backend": row.backend.slug,
        "started": row.status != RequestStatus.PENDING,
        "force_run": True,
        "force_run_dependencies": row.force_run_dependencies,
        "action_id": ",".join(row.requested_actions),
        "status_code": int(row.status == RequestStatus.FAILED) if is_over else None,
        "status_message": row.status_message or row.get_status_display(),
        "outputs": [],
        "workspace": workspace_out(caller, row.workspace),
        "workspace_id": row.workspace_id,
        # Programs put secrets into such addresses: whoever asked for the run knows it, and nobody else.
        "callback_url": next(
            (hook.url for hook in row.run.callbacks.all() if hook.created_by_id == caller.user.pk), ""
        ),
        "needed_by": None,
        "created_at": iso(row.created_at),
        "started_at": iso(min(starts)) if starts else None,
        "completed_at": iso(row.completed_at),
    }


# -- what both share


def visible_workspaces(caller: ApiRequest) -> QuerySet[Workspace]:
    """Return the workspaces that the caller may know of."""
    projects = visible_projects(caller.person, caller.rights)
    return Workspace.objects.filter(project__in=projects.values("pk")).select_related("project", "created_by")


def visible_requests(caller: ApiRequest) -> QuerySet[JobRequest]:
    """Return the requests that the caller may know of, newest first."""
    rows = JobRequest.objects.filter(
        backend__in=visible_backends(caller.person, caller.rights).values("pk"),
        workspace__in=visible_workspaces(caller).values("pk"),
    )
    joined = rows.select_related("backend", "workspace__created_by", "run")
    return joined.prefetch_related("jobs", "run__callbacks").order_by("-id")


def row_of(rows: QuerySet[Any], key: int) -> Any:
    """Return the row of this id. 404 where there is none."""
    row = rows.filter(pk=key).first()
    if row is None:
        raise ApiRefusal(404, "Not found.")
    return row


def listed(caller: ApiRequest, rows: QuerySet[Any], out: Callable[[ApiRequest, Any], dict[str, Any]]) -> JsonResponse:
    """Answer with a page of rows: `limit` and `offset` as REST framework has them."""
    limit = min(number(caller, "limit", PAGE_SIZE) or PAGE_SIZE, PAGE_SIZE)
    count, following, previous, page = page_of(caller, rows, limit, number(caller, "offset", 0))
    results = [out(caller, row) for row in page]
    return JsonResponse({"count": count, "next": following, "previous": previous, "results": results})


def number(caller: ApiRequest, name: str, default: int = 0) -> int:
    """Return a whole number of the query."""
    written = caller.GET.get(name, str(default))
    if not (written.isascii() and written.isdigit() and len(written) < 9):
        raise ApiRefusal(400, f"{name}: a whole number up to {MAX_NUMBER:,}")
    return min(int(written), MAX_NUMBER)


def read_body(caller: ApiRequest) -> dict[str, Any]:
    """Return the body, a JSON object."""
    try:
        body = read_json(caller.body)
    except BodyError as error:
        raise ApiRefusal(400, str(error)) from None
    if not isinstance(body, dict):
        raise ApiRefusal(400, "The body must be a JSON object.")
    return body


def text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text of the body; 400 where it is missing and has no default."""
    value = body.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ApiRefusal(400, f"{name}: a text of at most {MAX_TEXT:,} characters")
    return value


def at_root(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view of an address that is a page's as well: programs sign in by Basic authentication, or post."""

    def enter(request: HttpRequest, **parts: Any) -> HttpResponse:
        header = request.headers.get("Authorization", "")
        is_program = header.lower().startswith("basic ") or request.method not in ("GET", "HEAD")
        if page := None if is_program else next(pages_at(request.path_info.lstrip("/")), None):
            return page(request)
        is_person = not is_program and not header and "text/html" in request.headers.get("Accept", "")
        return for_programs(request) if is_person else view(request, **parts)

    enter.csrf_exempt = True  # type: ignore[attr-defined]  # these views know no cookies
    return enter


def for_programs(request: HttpRequest) -> HttpResponse:
    """Tell somebody with a browser whom this address is for, and where what they want may be."""
    response = render(request, "jobserver/for_programs.html", status=401)
    response["WWW-Authenticate"] = "Bearer"  # Basic would make the browser ask for a password.
    return response


def pages_at(address: str) -> Iterator[Callable[[HttpRequest], HttpResponse]]:
    """Find the site's page at this address, if there is one."""
    for page in PAGES:
        if match := page.url_pattern().resolve(address):
            yield partial(match.func, **match.kwargs)


CALLS: dict[str, dict[str, tuple[Scope, FirstView]]] = {
    "workspaces/": {"GET": (Scope.READ, workspace_list), "POST": (Scope.WORKSPACE, workspace_create)},
    "workspaces/<int:key>/": {"GET": (Scope.READ, workspace_one)},
    "jobs/": {"GET": (Scope.READ, job_list), "POST": (Scope.RUN, job_create)},
    "jobs/<int:key>/": {"GET": (Scope.READ, job_one)},
}
"""By path, each method with the scope that a token needs for it."""

urlpatterns: list[URLPattern] = [
    *(path(f"{ROOT}{route}", endpoint(**methods)) for route, methods in CALLS.items()),
    *(path(route, at_root(endpoint(**methods))) for route, methods in CALLS.items()),
]
