"""Signing in inside a backend, and events of its review site (sections 2.3 and 2.4)."""

from typing import Annotated, Any, cast

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja import Body, Router
from ninja.responses import Status
from pydantic import BaseModel, Field

from carrel.jobserver.api.answers import ApiRefusal, errors
from carrel.jobserver.api.callers import BackendAuth, caller_of, normal
from carrel.jobserver.models import Backend, User, Workspace
from carrel.jobserver.models.projects import ProjectStatus
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import person_named, rights_of
from carrel.jobserver.service.airlock import read_event, take_event
from carrel.jobserver.service.tokens import use_level4_token
from carrel.messages.level4 import Level4Person, ProjectDetails, SignedIn, SignIn, WorkspaceDetails

router = Router(tags=["level 4"])

ONGOING = (ProjectStatus.ONGOING, ProjectStatus.ONGOING_AND_LINKED)
BAD_SIGN_IN = "Wrong user or token, or this person may not sign in here."


class EventTaken(BaseModel):
    """What became of an event."""

    status: str = Field(examples=["ok"])
    message: str = Field(default="", description="What could not be done, where the status is `error`")


@router.post("releases/authenticate", auth=BackendAuth(), response={200: Level4Person, **errors(403)})
def authenticate(request: HttpRequest, body: SignIn) -> Level4Person:
    """Sign a member of the backend in by three words, which are used up by it."""
    backend = cast(Backend, caller_of(request).backend)
    person = person_named(body.user)
    # Who may not sign in is not told apart from who has the words wrong.
    if person is None or not may_sign_in(person, backend) or not use_level4_token(person, body.token, request):
        raise ApiRefusal(403, BAD_SIGN_IN)
    return level4_person(person, backend)


@router.post("releases/authorise", auth=BackendAuth(), response={200: Level4Person, **errors(403, 404)})
def authorise(request: HttpRequest, body: SignedIn) -> Level4Person:
    """Say what somebody who is signed in may see now; review sites ask again and again."""
    backend = cast(Backend, caller_of(request).backend)
    person = User.objects.filter(username=normal(body.user)).first()
    if person is None:
        raise ApiRefusal(404, "There is nobody of this name.")
    if not may_sign_in(person, backend):
        raise ApiRefusal(403, "This person is not a member of this backend, or their account is closed.")
    return level4_person(person, backend)


@router.post(
    "airlock/events/",
    auth=BackendAuth(),
    response={201: EventTaken, **errors(403)},
    exclude_defaults=True,
)
def airlock_event(request: HttpRequest, body: Annotated[dict[str, Any], Body()]) -> Status:
    """Note what happened to a release request. Always 201 for a JSON object, whatever could not be done."""
    backend = cast(Backend, caller_of(request).backend)
    problems = take_event(read_event(body), backend, request)
    return Status(201, EventTaken(status="error" if problems else "ok", message="; ".join(problems)))


def may_sign_in(person: User, backend: Backend) -> bool:
    """Tell whether the account is one of a person, open, and a member of this backend."""
    return person.is_active and not person.is_bot and backend.memberships.filter(user=person).exists()


def level4_person(person: User, backend: Backend) -> Level4Person:
    """Return the person with the workspaces they may see outputs of on this backend."""
    rights = rights_of(person)
    workspaces = Workspace.objects.select_related("project").prefetch_related("project__collaborations__organisation")
    copiloted = Q(project__copilot=person) & (
        Q(project__copilot_support_ends_at=None) | Q(project__copilot_support_ends_at__gt=timezone.now())
    )
    return Level4Person(
        username=person.username,
        fullname=person.fullname,
        workspaces=_details(workspaces.filter(_visible_outputs(rights, backend))),
        copiloted_workspaces=_details(workspaces.filter(copiloted)),
        output_checker=rights.holds(Permission.RELEASE_FILE_UPLOAD, backend_id=backend.pk),
        readonly_access=rights.holds(Permission.AIRLOCK_READONLY_ACCESS, backend_id=backend.pk),
    )


def _visible_outputs(rights: Rights, backend: Backend) -> Q:
    """The condition that a workspace's unreleased outputs may be seen by whoever has these rights."""
    permission = Permission.UNRELEASED_OUTPUTS_VIEW
    if rights.holds(permission, backend_id=backend.pk):
        return Q()
    projects = {grant.project_id for grant in rights.grants if grant.project_id is not None}
    return Q(project__in=[key for key in projects if rights.holds(permission, project_id=key, backend_id=backend.pk)])


def _details(workspaces: Any) -> dict[str, WorkspaceDetails]:
    return {
        workspace.name: WorkspaceDetails(
            project_details=ProjectDetails(
                name=workspace.project.name,
                ongoing=workspace.project.status in ONGOING and workspace.project.archived_at is None,
                orgs=[row.organisation.name for row in workspace.project.collaborations.all()],
            ),
            archived=workspace.is_archived,
        )
        for workspace in workspaces.order_by("name")
    }
