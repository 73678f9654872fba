"""Statuses of a workspace's actions, for everybody who may know of it (job-server.md sections 2.1 and 2.2)."""

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel

from carrel.jobserver.api.answers import ApiRefusal, errors
from carrel.jobserver.api.callers import AnybodyAuth, ApiRequest, caller_of
from carrel.jobserver.models import Backend, Job, Workspace
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.rights.visibility import visible_backends, visible_projects
from carrel.messages.job_requests import ERROR_ACTION

router = Router(tags=["workspaces"])


class ReleaseFlow(BaseModel):
    """How a workspace's outputs are released."""

    uses_new_release_flow: bool


@router.get(
    "workspaces/{name}/statuses/", auth=AnybodyAuth(Scope.READ), response={200: dict[str, str], **errors(403, 404)}
)
def statuses(request: HttpRequest, name: str, backend: str = Query("", max_length=100)) -> dict[str, str]:
    """The latest status of each action: on one backend with `backend`, and otherwise wherever it ran last."""
    caller = caller_of(request)
    workspace = workspace_of(caller, name)
    backends = backends_of(caller)
    if backend:
        backends = backends.filter(slug=backend)
        if not backends:
            raise ApiRefusal(404, "There is no such backend, or you may not see it.")
    jobs = Job.objects.filter(workspace=workspace, backend__in=backends.values("pk")).exclude(action=ERROR_ACTION)
    newest = Window(RowNumber(), partition_by=[F("action")], order_by=[F("created_at").desc(), F("id").desc()])
    latest = jobs.annotate(age_rank=newest).filter(age_rank=1).order_by("action")
    return dict(latest.values_list("action", "status"))


@router.get("workspaces/{name}/status", auth=AnybodyAuth(Scope.READ), response={200: ReleaseFlow, **errors(403, 404)})
def release_flow(request: HttpRequest, name: str) -> ReleaseFlow:
    """Say that outputs are released through this API; older programs ask before they begin."""
    workspace_of(caller_of(request), name)
    return ReleaseFlow(uses_new_release_flow=True)


def workspace_of(caller: ApiRequest, name: str) -> Workspace:
    """Return the workspace, if the caller may know of it; a backend's programs may know of all. 404 otherwise."""
    workspaces = Workspace.objects.select_related("project")
    if caller.backend is None:
        workspaces = workspaces.filter(project__in=visible_projects(caller.person, caller.rights).values("pk"))
    workspace = workspaces.filter(name=name).first()
    if workspace is None:
        raise ApiRefusal(404, "There is no such workspace, or you may not see it.")
    return workspace


def backends_of(caller: ApiRequest) -> QuerySet[Backend]:
    """Return the backends that the caller may know of; a backend's programs know their own."""
    if caller.backend is not None and caller.person is None:
        return Backend.objects.filter(pk=caller.backend.pk)
    return visible_backends(caller.person, caller.rights)
