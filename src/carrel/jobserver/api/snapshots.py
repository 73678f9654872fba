"""Drafts of publications, and their publishing (section 2.2)."""

from django.http import HttpRequest
from django.urls import reverse
from ninja import Router
from ninja.responses import Status
from pydantic import BaseModel, Field

from carrel.jobserver.api.answers import ApiRefusal, errors
from carrel.jobserver.api.callers import AnybodyAuth, SessionAuth, caller_of, permit
from carrel.jobserver.api.forms import absolute
from carrel.jobserver.api.releases import indexed
from carrel.jobserver.api.workspaces import workspace_of
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.service import publications, releases
from carrel.messages.releases import FileIndex
from carrel.units.limits import MAX_RELEASE_FILES

router = Router(tags=["publications"])
NO_SNAPSHOT = "There is no such snapshot."


class ChosenFiles(BaseModel):
    """Which released files to publish, by their ids."""

    file_ids: list[str] = Field(min_length=1, max_length=MAX_RELEASE_FILES)


class DraftedSnapshot(BaseModel):
    """The draft's page."""

    url: str


@router.post("workspaces/{name}/snapshots", auth=SessionAuth(), response={201: DraftedSnapshot, **errors(403, 404)})
def create_snapshot(request: HttpRequest, name: str, body: ChosenFiles) -> Status:
    """Ask for files to be made public. The same files again are the same draft, or stay public."""
    caller = caller_of(request)
    workspace = workspace_of(caller, name)
    permit(request, Permission.SNAPSHOT_CREATE, workspace)
    try:
        snapshot = publications.draft(workspace, body.file_ids, caller.user, caller)
    except publications.PublicationError as error:
        raise ApiRefusal(400, str(error)) from None
    path = reverse("snapshot", args=[workspace.project.slug, workspace.name, snapshot.pk])
    return Status(201, DraftedSnapshot(url=absolute(request, path)))


@router.get(
    "workspaces/{name}/snapshots/{snapshot_id}",
    auth=AnybodyAuth(Scope.RELEASES),
    response={200: FileIndex, **errors(403, 404)},
)
def snapshot_files(request: HttpRequest, name: str, snapshot_id: int) -> FileIndex:
    """The files of a snapshot, as `<backend>/<path>`: for everybody once it is published."""
    caller = caller_of(request)
    workspace = workspace_of(caller, name)
    snapshot = workspace.snapshots.filter(pk=snapshot_id).first()
    if snapshot is None or not snapshot.is_published:
        # First of all: to strangers what is no longer public is as if it never was.
        permit(request, Permission.RELEASE_FILE_VIEW, workspace)
    if snapshot is None:
        raise ApiRefusal(404, NO_SNAPSHOT)
    if not snapshot.is_published:
        releases.record_listing(caller, workspace)
        files = snapshot.files.select_related("backend", "created_by")
        return FileIndex(files=[indexed(file, file.full_name) for file in files])
    public = snapshot.files.select_related("backend", "created_by")
    here = [workspace.project.slug, workspace.name]
    return FileIndex(
        files=[indexed(file, file.full_name, reverse("published-file", args=[*here, file.pk])) for file in public]
    )


@router.post(
    "workspaces/{name}/snapshots/{snapshot_id}/publish",
    auth=SessionAuth(),
    response={200: None, **errors(403, 404, 409)},
)
def publish(request: HttpRequest, name: str, snapshot_id: int) -> Status:
    """Make a draft public. Again changes nothing."""
    caller = caller_of(request)
    workspace = workspace_of(caller, name)
    permit(request, Permission.SNAPSHOT_PUBLISH, workspace)
    snapshot = workspace.snapshots.filter(pk=snapshot_id).first()
    if snapshot is None:
        raise ApiRefusal(404, NO_SNAPSHOT)
    try:
        publications.approve(snapshot, caller.user, caller)
    except publications.PublicationError as error:
        raise ApiRefusal(409, str(error)) from None
    return Status(200, None)
