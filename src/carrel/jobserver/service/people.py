"""People: accounts, organisations, trainings and agreements, roles; who takes part in a project, and as what."""

import re
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

from django.db import transaction

from carrel.jobserver.models import (
    Backend,
    Organisation,
    OrganisationMembership,
    PersonRequirement,
    Project,
    ProjectMembership,
    Requirement,
    Role,
    RoleAssignment,
    User,
)
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.changes import as_json, change, create, of_fields, record_right, refuse
from carrel.jobserver.service.projects import person_of

PERSON = "user"
_USERNAME = re.compile(r"[\w.@+-]+")


@transaction.atomic
def create_person(values: Mapping[str, Any], actor: Actor) -> User:
    """Make an account without a password: its person chooses one by a link, or signs in through a provider.

    `values`: username, fullname, email, is_bot. Raises ValidationError.
    """
    if not _USERNAME.fullmatch(values["username"]):
        raise refuse("Letters, digits and . _ @ + - only.", "username")
    if User.objects.filter(email=values["username"].lower()).exists():
        raise refuse("This is the address of another account.", "username")
    user = User(**values, created_by=person_of(actor))
    user.set_unusable_password()
    create(user)
    record_right(
        actor,
        "person.created",
        user.username,
        new=of_fields(user, values),
    )
    return user


@transaction.atomic
def edit_person(user: User, values: Mapping[str, Any], actor: Actor) -> bool:
    """Change an account: its name, its address, whether it may sign in. Raises ValidationError."""
    row = User.objects.select_for_update().get(pk=user.pk)
    return change(row, values, actor, "person.changed", subject=row.username, category=SECURITY)


# --- roles


@transaction.atomic
def assign_role(
    user: User, role: Role, actor: Actor, *, project: Project | None = None, backend: Backend | None = None
) -> RoleAssignment:
    """Give a person a role: in one project or everywhere, on one backend or on all. Raises ValidationError.

    Within a project, it makes the person a member.
    """
    only = Role.RoleScope.GLOBAL if project else Role.RoleScope.PROJECT
    if role.scope == only:
        raise refuse(f"{role.title} is a role {role.get_scope_display()}: it cannot be given here.", "role")
    if project:
        add_member(project, user, (), actor)
    assignment, is_new = RoleAssignment.objects.get_or_create(
        user=user, role=role, project=project, backend=backend, defaults={"created_by": person_of(actor)}
    )
    if is_new:
        _record_role(actor, "role.assigned", assignment, new={"role": role.name})
    return assignment


@transaction.atomic
def remove_role(assignment: RoleAssignment, actor: Actor) -> None:
    """Take a role away."""
    _record_role(actor, "role.removed", assignment, old={"role": assignment.role.name})
    assignment.delete()


@transaction.atomic
def clear_roles(user: User, actor: Actor) -> int:
    """Take all roles away from a person, everywhere and in every project; return how many there were."""
    assignments = list(user.role_assignments.select_related("role", "project", "backend"))
    for assignment in assignments:
        remove_role(assignment, actor)
    return len(assignments)


def _record_role(actor: Actor, action: str, assignment: RoleAssignment, **values: Any) -> None:
    record_right(
        actor,
        action,
        assignment.user.username,
        project=assignment.project,
        backend=assignment.backend,
        **values,
    )


# --- members of a project


@transaction.atomic
def add_member(project: Project, user: User, roles: Collection[Role], actor: Actor) -> ProjectMembership:
    """Make a person a member of a project, with these roles there. Raises ValidationError."""
    if project.is_archived:
        raise refuse("The project is closed: its people stay as they are.")
    if not user.is_active:
        raise refuse(f"The account of {user.username} is closed. Staff can open it again.", "person")
    membership, is_new = ProjectMembership.objects.get_or_create(
        project=project, user=user, defaults={"created_by": person_of(actor)}
    )
    if is_new:
        record_right(
            actor,
            "project.member_added",
            user.username,
            project=project,
        )
    for role in roles:
        assign_role(user, role, actor, project=project)
    return membership


@transaction.atomic
def set_project_roles(
    project: Project, user: User, roles: Collection[Role], actor: Actor, *, without_lead: bool = False
) -> None:
    """Make these the roles that a member has in a project, on all backends. Raises ValidationError.

    `without_lead`: even where nobody is left then who may add people.
    """
    project = Project.objects.select_for_update().get(pk=project.pk)
    if not without_lead and not any(Permission.PROJECT_MEMBERS_MANAGE in role.permissions for role in roles):
        _refuse_without_lead(project, user)
    assignments = project.role_assignments.filter(user=user, backend=None).select_related("role", "user", "project")
    for assignment in assignments:
        if assignment.role not in roles:
            remove_role(assignment, actor)
    for role in roles:
        assign_role(user, role, actor, project=project)


@transaction.atomic
def remove_member(project: Project, user: User, actor: Actor, *, without_lead: bool = False) -> None:
    """Take a person and their roles out of a project. Raises ValidationError.

    `without_lead`: even where nobody is left then who may add people.
    """
    project = Project.objects.select_for_update().get(pk=project.pk)
    if not without_lead:
        _refuse_without_lead(project, user)
    for assignment in project.role_assignments.filter(user=user).select_related("role", "user", "project", "backend"):
        remove_role(assignment, actor)
    removed, _ = ProjectMembership.objects.filter(project=project, user=user).delete()
    if removed:
        record_right(
            actor,
            "project.member_removed",
            user.username,
            project=project,
        )


def leads_of(project: Project) -> set[int]:
    """Return the ids of the active accounts that may add people to this project by a role in it."""
    assignments = project.role_assignments.filter(user__is_active=True).select_related("role")
    return {row.user_id for row in assignments if Permission.PROJECT_MEMBERS_MANAGE in row.role.permissions}


def _refuse_without_lead(project: Project, user: User) -> None:
    if leads_of(project) == {user.pk}:
        raise refuse(
            f"{user.fullname} is the last who may add people to this project. Tick the box to leave it without a lead: "
            "staff alone can then change who takes part.",
            "without_lead",
        )


# --- roles as data, requirements


@transaction.atomic
def create_role(values: Mapping[str, Any], requirements: Collection[Requirement], actor: Actor) -> Role:
    """Add a role; `values` by field of the model. Raises ValidationError."""
    role = Role(**values)
    create(role)
    role.requirements.set(requirements)
    record_right(actor, "role.created", role.name, subject_type="role", new=of_fields(role, values))
    return role


@transaction.atomic
def edit_role(role: Role, values: Mapping[str, Any], requirements: Collection[Requirement], actor: Actor) -> None:
    """Change what a role permits and requires, for everybody who has it, at once. Raises ValidationError."""
    row = Role.objects.select_for_update().get(pk=role.pk)
    change(row, values, actor, "role.changed", subject=row.name, category=SECURITY)
    old = sorted(requirement.slug for requirement in row.requirements.all())
    new = sorted(requirement.slug for requirement in requirements)
    if old != new:
        row.requirements.set(requirements)
        record_right(
            actor,
            "role.requirements_changed",
            row.name,
            subject_type="role",
            old=old,
            new=new,
        )


@transaction.atomic
def delete_role(role: Role, actor: Actor) -> None:
    """Remove a role that nobody has. Raises ValidationError."""
    if role.assignments.exists():
        raise refuse("Somebody has this role. Take it away from everybody first.")
    record_right(
        actor,
        "role.deleted",
        role.name,
        subject_type="role",
        old=of_fields(role, ["title", "permissions"]),
    )
    role.delete()


@transaction.atomic
def create_requirement(values: Mapping[str, Any], actor: Actor) -> Requirement:
    """Add a training or an agreement. Raises ValidationError."""
    requirement = Requirement(**values)
    create(requirement)
    record(
        actor,
        "requirement.created",
        subject_type="requirement",
        subject=requirement.slug,
        new=of_fields(requirement, values),
    )
    return requirement


@transaction.atomic
def edit_requirement(requirement: Requirement, values: Mapping[str, Any], actor: Actor) -> None:
    """Change a training or an agreement. What people have already keeps its expiry. Raises ValidationError."""
    row = Requirement.objects.select_for_update().get(pk=requirement.pk)
    change(row, values, actor, "requirement.changed", subject=row.slug)


@transaction.atomic
def record_requirement(
    user: User,
    requirement: Requirement,
    actor: Actor,
    *,
    obtained_on: date,
    expires_on: date | None = None,
    evidence: str = "",
) -> PersonRequirement:
    """Note that a person has done a training or signed an agreement. It replaces what was noted of it before.

    Without `expires_on` it holds as long as the requirement says. Raises ValidationError.
    """
    if expires_on is None and requirement.valid_days is not None:
        expires_on = obtained_on + timedelta(days=requirement.valid_days)
    if expires_on is not None and expires_on <= obtained_on:
        raise refuse("It would expire before it was obtained.", "expires_on")
    row = PersonRequirement(
        user=user,
        requirement=requirement,
        obtained_on=obtained_on,
        expires_on=expires_on,
        evidence=evidence,
        created_by=person_of(actor),
    )
    create(row)
    record(
        actor,
        "requirement.recorded",
        subject_type=PERSON,
        subject=user.username,
        new={
            "requirement": requirement.slug,
            "obtained_on": as_json(obtained_on),
            "expires_on": as_json(expires_on),
            "evidence": evidence,
        },
    )
    return row


# --- organisations


@transaction.atomic
def create_organisation(values: Mapping[str, Any], actor: Actor) -> Organisation:
    """Add an organisation. Raises ValidationError."""
    organisation = Organisation(**values)
    create(organisation)
    record(
        actor,
        "organisation.created",
        subject_type="organisation",
        subject=organisation.slug,
        new=of_fields(organisation, values),
    )
    return organisation


@transaction.atomic
def edit_organisation(organisation: Organisation, values: Mapping[str, Any], actor: Actor) -> None:
    """Change an organisation. Raises ValidationError."""
    row = Organisation.objects.select_for_update().get(pk=organisation.pk)
    change(row, values, actor, "organisation.changed", subject=row.slug)


@transaction.atomic
def set_organisations_of(user: User, organisations: Collection[Organisation], actor: Actor) -> None:
    """Say which organisations a person belongs to."""
    old = set(user.organisations.all())
    new = set(organisations)
    OrganisationMembership.objects.filter(user=user, organisation__in=old - new).delete()
    OrganisationMembership.objects.bulk_create(
        OrganisationMembership(user=user, organisation=organisation) for organisation in new - old
    )
    if old != new:
        record(
            actor,
            "user.organisations_changed",
            subject_type=PERSON,
            subject=user.username,
            old=sorted(organisation.slug for organisation in old),
            new=sorted(organisation.slug for organisation in new),
        )
