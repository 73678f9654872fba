"""What a person may see of backends, projects and people: the one place that lists ask, so nothing hidden shows."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from carrel.jobserver.models import Backend, JobRequest, Project, ProjectMembership, User
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.permissions import Permission


def visible_backends(user: User | None, rights: Rights) -> QuerySet[Backend]:
    """Return the backends that this person may know of.

    Those listed for everybody, those the person is a member of, those that a project of theirs is opted in to, those on
    which a role of theirs permits something; staff who manage backends see all.
    """
    backends = Backend.objects.all()
    if rights.holds(Permission.BACKEND_MANAGE):
        return backends
    shown = Q(is_listed=True)
    if user is not None and user.is_authenticated:
        of_person = Backend.objects.filter(memberships__user=user).values("pk")
        of_projects = Backend.objects.filter(opt_ins__project__memberships__user=user).values("pk")
        of_roles = {grant.backend_id for grant in rights.grants if grant.backend_id and not rights.lacks(grant)}
        shown |= Q(pk__in=of_person) | Q(pk__in=of_projects) | Q(pk__in=of_roles)
    return backends.filter(shown)


def visible_projects(user: User | None, rights: Rights) -> QuerySet[Project]:
    """Return the projects that this person may know of: the listed ones, their own, and for staff all."""
    projects = Project.objects.all()
    if rights.holds(Permission.PROJECT_VIEW):
        return projects
    shown = Q(is_listed=True)
    if user is not None and user.is_authenticated:
        shown |= Q(pk__in=Project.objects.filter(memberships__user=user).values("pk"))
    return projects.filter(shown)


def visible_persons(user: User | None, rights: Rights) -> QuerySet[User]:
    """Return the accounts that this person may know of; nobody else learns who has one.

    Their own, those of the people of projects that they may know of, those who ran there on a backend that they may
    know of; those who manage people know of all.
    """
    if rights.holds(Permission.USER_MANAGE):
        return User.objects.all()
    projects = visible_projects(user, rights).values("pk")
    memberships = ProjectMembership.objects.filter(user=OuterRef("pk"), project__in=projects)
    requests = JobRequest.objects.filter(
        created_by=OuterRef("pk"), workspace__project__in=projects, backend__in=visible_backends(user, rights)
    )
    copiloted = Project.objects.filter(copilot=OuterRef("pk"), pk__in=projects)
    own = Q(pk=user.pk) if user is not None and user.is_authenticated else Q(pk=None)
    return User.objects.filter(own | Exists(memberships) | Exists(requests) | Exists(copiloted))


def of_visible(prefix: str, values: QuerySet[Any]) -> Q:
    """Return the condition that `prefix` (a path to a backend or project) leads to one of these."""
    return Q(**{f"{prefix}__in": values.values("pk")})
