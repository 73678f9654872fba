"""Laying out a site: persons, backends, projects and workspaces that ought to be there, made where they are missing.

Each function may be called again: it adds what is missing (a role, a membership, an opt-in) and changes nothing that
stands, so that what staff have changed since is left alone. Used by `carrel manage init`, `carrel up` and the demo.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from carrel.jobserver.models import Backend, Organisation, Project, Role, User, Workspace
from carrel.jobserver.service import accounts, backends, people, projects
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.changes import create
from carrel.jobserver.service.names import workspace_name

STAFF_ROLES = ("StaffAreaAdministrator", "ServiceAdministrator", "GovernanceLead", "OutputPublisher")
"""What the first person of a site is given, everywhere."""
PROJECT_ROLES = ("ProjectDeveloper", "ProjectLead")
"""What the first person of a site is given in its first project."""


class SetupError(Exception):
    """Something cannot be made; says which value is wrong and what to write instead."""


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """Make the change within whole or not at all; a value that may not be becomes a SetupError with one sentence."""
    try:
        with transaction.atomic():
            yield
    except ValidationError as error:
        fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        problems = "; ".join(f"{field}: {' '.join(texts)}".lstrip(": ") for field, texts in fields.items())
        raise SetupError(f"{what} cannot be made. {problems}") from error


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
    with in_words(f"The account {username!r}"):
        if user is None:
            values = {"username": username, "fullname": fullname or username, "email": email, "is_bot": is_bot}
            user = people.create_person(values, actor)
            if password is not None:
                accounts.set_password(user, password, actor)
        for role in _roles(roles):
            people.assign_role(user, role, actor)
    return user


def ensure_organisation(name: str, *, actor: Actor, members: Sequence[User] = ()) -> Organisation:
    """Return the organisation of this name, to which these persons belong. Raises SetupError."""
    organisation = Organisation.objects.filter(name=name).first()
    with in_words(f"The organisation {name!r}"):
        if organisation is None:
            values = {"name": name, "slug": slugify(name) or "organisation"}
            people.create_organisation(values, actor)
            organisation = Organisation.objects.get(name=name)
        for user in members:
            people.set_organisations_of(user, [*user.organisations.all(), organisation], actor)
    return organisation


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
    with in_words(f"The backend {slug!r}"):
        if backend is None:
            words = {"slug": slug, "name": name or slug, "controller": controller}
            backend = backends.create_backend({**words, "holds_dummy_data": is_dummy, "is_listed": is_listed}, actor)
        for user in members:
            backends.add_backend_member(backend, user, actor)
    return backend


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
    with in_words(f"The project {slug!r}"):
        if project is None:
            values = {"slug": slug, "name": name or slug, "purpose": purpose, "approval_reference": approval_reference}
            project = projects.create_project(values, actor)
            if organisation is not None:
                projects.set_organisations(project, [organisation], organisation, actor)
        for backend in backends:
            projects.opt_in(project, backend, actor)
        for user, roles in (members or {}).items():
            people.add_member(project, user, _roles(roles), actor)
    return project


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
    """Return the workspace of this name. Its repository is not asked for the branch: it may come later.

    Raises SetupError when the workspace is another project's or its name cannot be one.
    """
    workspace = Workspace.objects.filter(name=name).select_related("project").first()
    with in_words(f"The workspace {name!r}"):
        if workspace is None:
            values = {"repo_url": repo_url, "branch": branch, "purpose": purpose, "database_name": database_name}
            workspace = Workspace(project=project, name=workspace_name(name), **values)
            workspace.created_by = projects.person_of(actor)
            create(workspace)
            record(actor, "workspace.created", subject_type="workspace", subject=name, project=project, new=values)
    if workspace.project_id != project.pk:
        raise SetupError(f"There is a workspace {name} already, in {workspace.project}. Choose another name.")
    return workspace


def _roles(names: Sequence[str]) -> list[Role]:
    by_name = {role.name: role for role in Role.objects.all()}
    for name in names:
        if name not in by_name:
            raise SetupError(f"There is no role {name}. There are: {', '.join(by_name)}.")
    return [by_name[name] for name in names]
