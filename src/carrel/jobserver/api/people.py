"""What a person may do, for a backend's programs (job-server.md section 2.1)."""

from collections import defaultdict
from typing import cast

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from carrel.jobserver.api.answers import ApiRefusal, errors
from carrel.jobserver.api.callers import BackendAuth, normal
from carrel.jobserver.models import Backend, RoleAssignment, User
from carrel.jobserver.rights.grants import Grant, permissions_of
from carrel.jobserver.rights.persons import rights_of

router = Router(tags=["people"])


class ProjectPermissions(BaseModel):
    """What somebody may do in one project."""

    slug: str
    permissions: list[str]


class PersonPermissions(BaseModel):
    """What somebody may do everywhere, and what in projects."""

    everywhere: list[str] = Field(serialization_alias="global")
    projects: list[ProjectPermissions]


class ProjectRoles(BaseModel):
    """Names of somebody's roles in one project."""

    slug: str
    roles: list[str]


class PersonRoles(BaseModel):
    """Names of somebody's roles everywhere, and in projects."""

    everywhere: list[str] = Field(serialization_alias="global")
    projects: list[ProjectRoles]


class PersonRights(BaseModel):
    """What a person may do on the backend that asks, and by which roles."""

    permissions: PersonPermissions
    roles: PersonRoles


@router.get("users/{username}/", auth=BackendAuth(), response={200: PersonRights, **errors(403, 404)}, by_alias=True)
def user(request: HttpRequest, username: str) -> PersonRights:
    """Roles of a person, and what they permit now: a role whose training has expired permits nothing."""
    person = User.objects.filter(username=normal(username)).first()
    if person is None:
        raise ApiRefusal(404, "There is nobody of this name.")
    return rights_on(person, cast(Backend, request.auth))


def rights_on(person: User, backend: Backend) -> PersonRights:
    """Return what the person may do on this backend."""
    rights = rights_of(person)
    grants: dict[int | None, list[Grant]] = defaultdict(list)
    for grant in rights.grants:
        if grant.backend_id in (None, backend.pk) and not rights.lacks(grant):
            grants[grant.project_id].append(grant)
    roles: dict[str | None, set[str]] = defaultdict(set)
    slugs: dict[int, str] = {}
    assignments = RoleAssignment.objects.filter(user=person).select_related("role", "project")
    for assignment in assignments:
        if assignment.backend_id in (None, backend.pk):
            roles[assignment.project and assignment.project.slug].add(assignment.role.name)
        if assignment.project is not None:
            slugs[assignment.project.pk] = assignment.project.slug
    by_slug = {slugs[key]: permissions_of(grants[key]) for key in grants if key is not None}
    return PersonRights(
        permissions=PersonPermissions(
            everywhere=permissions_of(grants[None]),
            projects=[ProjectPermissions(slug=slug, permissions=by_slug[slug]) for slug in sorted(by_slug)],
        ),
        roles=PersonRoles(
            everywhere=sorted(roles[None]),
            projects=[
                ProjectRoles(slug=slug, roles=sorted(roles[slug]))
                for slug in sorted(slug for slug in roles if slug is not None)
            ],
        ),
    )
