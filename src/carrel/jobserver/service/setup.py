"""Laying out a site: persons, backends, projects and workspaces that ought to be there, made where they are missing.

Each function may be called again: it adds what is missing (a role, a membership, an opt-in) and changes nothing that
stands, so that what staff have changed since is left alone. Used by `carrel manage init`, `carrel up` and the demo.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.text import slugify

from carrel.jobserver.models import (
    Backend,
    BackendMembership,
    Organisation,
    OrganisationMembership,
    Project,
    ProjectBackend,
    ProjectMembership,
    ProjectOrganisation,
    Role,
    RoleAssignment,
    User,
    Workspace,
)
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.service.audit import Actor, record

STAFF_ROLES = ("StaffAreaAdministrator", "ServiceAdministrator", "GovernanceLead", "OutputPublisher")
"""What the first person of a site is given, everywhere."""
PROJECT_ROLES = ("ProjectDeveloper", "ProjectLead")
"""What the first person of a site is given in its first project."""

Row = TypeVar("Row", bound=models.Model)


class SetupError(Exception):
    """Something cannot be made; says which value is wrong and what to write instead."""


@transaction.atomic
def ensure_person(
    username: str,
    *,
    actor: Actor,
    fullname: str = "",
    email: str | None = None,
    password: str | None = None,
    roles: Sequence[str] = (),
    is_bot: bool = False,
) -> User:
    """Return the account, which has these roles everywhere. The password is that of a new account only.

    Raises SetupError: no such role, a name or address that cannot be one or is another's, a weak password.
    """
    user = User.objects.filter(username=username).first()
    if user is None:
        user = User(username=username, fullname=fullname or username, email=email, is_bot=is_bot)
        if password is not None:
            check_password_strength(password, user)
        user.set_password(password)
        _insert(user)
        _record_right(actor, "person.created", username)
    for role in roles:
        _ensure_role(user, role, None, actor)
    return user


@transaction.atomic
def ensure_organisation(name: str, *, actor: Actor, members: Sequence[User] = ()) -> Organisation:
    """Return the organisation of this name, to which these persons belong."""
    organisation = Organisation.objects.filter(name=name).first()
    if organisation is None:
        organisation = _insert(Organisation(name=name, slug=slugify(name) or "organisation"))
        record(actor, "organisation.created", subject_type="organisation", subject=organisation.slug)
    for user in members:
        if OrganisationMembership.objects.get_or_create(organisation=organisation, user=user)[1]:
            new = {"organisation": organisation.slug}
            record(actor, "organisation.member_added", subject_type="user", subject=user.username, new=new)
    return organisation


@transaction.atomic
def ensure_backend(
    slug: str,
    *,
    actor: Actor,
    name: str = "",
    controller: str = "default",
    is_dummy: bool = False,
    is_listed: bool = False,
    members: Sequence[User] = (),
) -> Backend:
    """Return the backend, which these persons may choose. `is_dummy`: its data is made up.

    Raises SetupError for a slug that is none.
    """
    backend = Backend.objects.filter(slug=slug).first()
    if backend is None:
        backend = _insert(
            Backend(slug=slug, name=name or slug, controller=controller, holds_dummy_data=is_dummy, is_listed=is_listed)
        )
        record(actor, "backend.created", subject_type="backend", subject=slug, backend=backend)
    for user in members:
        if BackendMembership.objects.get_or_create(backend=backend, user=user, defaults=_by(actor))[1]:
            _record_right(actor, "backend.member_added", user.username, backend=backend)
    return backend


@transaction.atomic
def ensure_project(
    slug: str,
    *,
    actor: Actor,
    name: str = "",
    purpose: str = "",
    approval_reference: str = "",
    organisation: Organisation | None = None,
    backends: Sequence[Backend] = (),
    members: Mapping[User, Sequence[str]] | None = None,
) -> Project:
    """Return the project, opted in to these backends; `members` and their roles in it take part.

    Raises SetupError for a slug or name that cannot be one, or is another project's.
    """
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        values = {"name": name or slug, "purpose": purpose, "approval_reference": approval_reference}
        project = _insert(Project(slug=slug, **values, **_by(actor)))
        record(actor, "project.created", subject_type="project", subject=slug, project=project)
        if organisation is not None:
            ProjectOrganisation.objects.create(project=project, organisation=organisation, is_lead=True)
    for backend in backends:
        if ProjectBackend.objects.get_or_create(project=project, backend=backend, defaults=_by(actor))[1]:
            _record_right(actor, "project.opted_in", slug, "project", project=project, backend=backend)
    for user, roles in (members or {}).items():
        if ProjectMembership.objects.get_or_create(project=project, user=user, defaults=_by(actor))[1]:
            _record_right(actor, "project.member_added", user.username, project=project)
        for role in roles:
            _ensure_role(user, role, project, actor)
    return project


@transaction.atomic
def ensure_workspace(
    project: Project,
    name: str,
    *,
    actor: Actor,
    repo_url: str,
    branch: str = "main",
    purpose: str = "",
    database_name: str = "default",
) -> Workspace:
    """Return the workspace of this name. Raises SetupError when it is another project's or its name cannot be one."""
    workspace = Workspace.objects.filter(name=name).select_related("project").first()
    if workspace is None:
        values = {"repo_url": repo_url, "branch": branch, "purpose": purpose, "database_name": database_name}
        values |= _by(actor)
        workspace = _insert(Workspace(project=project, name=name, **values))
        record(actor, "workspace.created", subject_type="workspace", subject=name, project=project)
    if workspace.project_id != project.pk:
        raise SetupError(f"There is a workspace {name} already, in {workspace.project}. Choose another name.")
    return workspace


def check_password_strength(password: str, user: User) -> None:
    """Raises SetupError, saying what the password lacks."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise SetupError(f"Choose another password. {' '.join(error.messages)}") from error


def _ensure_role(user: User, role_name: str, project: Project | None, actor: Actor) -> None:
    role = Role.objects.filter(name=role_name).first()
    if role is None:
        names = ", ".join(Role.objects.values_list("name", flat=True))
        raise SetupError(f"There is no role {role_name}. There are: {names}.")
    if RoleAssignment.objects.get_or_create(user=user, role=role, project=project, backend=None, defaults=_by(actor))[
        1
    ]:
        _record_right(actor, "role.assigned", user.username, project=project, new={"role": role.name})


def _record_right(actor: Actor, action: str, subject: str, subject_type: str = "user", **where: Any) -> None:
    record(actor, action, category=SECURITY, subject_type=subject_type, subject=subject, **where)


def _insert(row: Row) -> Row:
    """Save a new row whose fields are what they may be. Raises SetupError."""
    # These are filled by us, not by whoever typed the rest; Django would call `{}` and None blank.
    own = {field.name for field in row._meta.concrete_fields if not field.blank and (field.null or field.has_default())}
    try:
        row.full_clean(exclude=own)
    except ValidationError as error:
        fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        problems = "; ".join(f"{field}: {' '.join(texts)}".lstrip(": ") for field, texts in fields.items())
        raise SetupError(f"This {row._meta.verbose_name} cannot be made. {problems}") from error
    row.save()
    return row


def _by(actor: Actor) -> dict[str, Any]:
    return {"created_by": actor if isinstance(actor, User) else None}
