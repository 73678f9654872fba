"""Projects and their workspaces: made, changed, renamed, opened to backends and data, closed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from carrel.jobserver.models import (
    AuditEvent,
    Backend,
    DataPermission,
    Organisation,
    Project,
    ProjectBackend,
    ProjectOrganisation,
    Redirect,
    User,
    Workspace,
)
from carrel.jobserver.repositories import check_branch
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.changes import change, create, of_fields, record_right, refuse
from carrel.jobserver.service.names import check_slug, workspace_name

REDIRECT_DAYS = 365
OWN_FIELDS = ("purpose", "status", "status_description")
"""What those who lead a project may change of it; the rest is for staff."""
DELETED_WORKSPACE = "workspace.deleted"
"""Of the audit log, by which the name is known for ever."""


@transaction.atomic
def create_project(values: Mapping[str, Any], actor: Actor) -> Project:
    """Make a project; `values` by field of the model. Raises ValidationError."""
    check_slug(values["slug"])
    project = Project(**values, created_by=person_of(actor))
    _check_dates(project)
    create(project)
    record(
        actor,
        "project.created",
        subject_type="project",
        subject=project.slug,
        project=project,
        new=of_fields(project, values),
    )
    return project


@transaction.atomic
def edit_project(project: Project, values: Mapping[str, Any], actor: Actor) -> Project:
    """Change fields of a project. A new slug leaves a redirect at the old one for a year. Raises ValidationError."""
    row = Project.objects.select_for_update().get(pk=project.pk)
    _refuse_archived(row)
    old_slug = row.slug
    if (slug := values.get("slug", old_slug)) != old_slug:
        check_slug(slug)
    change(row, values, actor, "project.changed", subject=row.slug, project=row)
    _check_dates(row)
    if slug != old_slug:
        # Whoever has the address now is found there, not sent on.
        Redirect.objects.filter(old_path=f"/{slug}/").delete()
        expires = timezone.now() + timedelta(days=REDIRECT_DAYS)
        Redirect.objects.update_or_create(old_path=f"/{old_slug}/", defaults={"project": row, "expires_at": expires})
    return row


def _check_dates(project: Project) -> None:
    if project.starts_on and project.ends_on and project.ends_on < project.starts_on:
        raise refuse("The project would end before it begins.", "ends_on")


def _refuse_archived(project: Project) -> None:
    if project.is_archived:
        raise refuse("The project is closed: nothing in it changes any more. Staff can open it again.")


@transaction.atomic
def set_archived(project: Project, archived: bool, actor: Actor, reason: str = "") -> None:
    """Close a project (everything in it is read-only) or open it again."""
    row = Project.objects.select_for_update().get(pk=project.pk)
    if row.is_archived == archived:
        return
    row.archived_at = timezone.now() if archived else None
    row.archived_by = _somebody(actor) if archived else None
    row.save(update_fields=["archived_at", "archived_by"])
    action = "project.closed" if archived else "project.reopened"
    record(
        actor, action, subject_type="project", subject=row.slug, project=row, new={"reason": reason} if reason else None
    )


@transaction.atomic
def set_organisations(
    project: Project, organisations: list[Organisation], lead: Organisation | None, actor: Actor
) -> None:
    """Say which organisations take part in a project, and which one leads it (at most one). Raises ValidationError."""
    _refuse_archived(project)
    if lead is not None and lead not in organisations:
        raise refuse("The leading organisation has to be one of those that take part.", "lead")
    rows = Project.objects.select_for_update().get(pk=project.pk).collaborations.select_related("organisation")
    old = {row.organisation.slug: row.is_lead for row in rows}
    new = {organisation.slug: organisation == lead for organisation in organisations}
    if old == new:
        return
    project.collaborations.all().delete()
    ProjectOrganisation.objects.bulk_create(
        ProjectOrganisation(project=project, organisation=organisation, is_lead=organisation == lead)
        for organisation in organisations
    )
    record(
        actor,
        "project.organisations_changed",
        subject_type="project",
        subject=project.slug,
        project=project,
        old=old,
        new=new,
    )


@transaction.atomic
def opt_in(project: Project, backend: Backend, actor: Actor) -> None:
    """Let a project run on a backend."""
    _refuse_archived(project)
    _, is_new = ProjectBackend.objects.get_or_create(
        project=project, backend=backend, defaults={"created_by": person_of(actor)}
    )
    if is_new:
        record_right(
            actor,
            "project.opted_in",
            project.slug,
            subject_type="project",
            project=project,
            backend=backend,
        )


@transaction.atomic
def opt_out(project: Project, backend: Backend, actor: Actor) -> None:
    """Let a project run on a backend no longer; what it ran there stays."""
    removed, _ = ProjectBackend.objects.filter(project=project, backend=backend).delete()
    if removed:
        record_right(
            actor,
            "project.opted_out",
            project.slug,
            subject_type="project",
            project=project,
            backend=backend,
        )


@transaction.atomic
def grant_data(project: Project, kind: str, name: str, actor: Actor) -> None:
    """Let a project use data beyond the standard, from its next request on. Raises ValidationError."""
    _refuse_archived(project)
    permission = DataPermission(project=project, kind=kind, name=name.strip(), created_by=person_of(actor))
    create(permission)
    record_right(
        actor,
        "data_permission.granted",
        permission.name,
        subject_type="data permission",
        project=project,
        new={"kind": kind, "name": permission.name},
    )


@transaction.atomic
def withdraw_data(permission: DataPermission, actor: Actor) -> None:
    """Take such a permission back."""
    old = {"kind": permission.kind, "name": permission.name}
    subject, project = permission.name, permission.project
    record_right(actor, "data_permission.withdrawn", subject, subject_type="data permission", project=project, old=old)
    permission.delete()


def create_workspace(project: Project, name: str, repo_url: str, branch: str, purpose: str, actor: Actor) -> Workspace:
    """Make a workspace: one branch of one repository under a name that no other workspace of the site has.

    Raises ValidationError, by field: the name, the repository (which the installation's policy must allow) or the
    branch (which must be there; the repository is asked, for some seconds at most).
    """
    _refuse_archived(project)
    workspace = Workspace(
        project=project,
        name=workspace_name(name),
        repo_url=repo_url.strip(),
        branch=branch.strip(),
        purpose=purpose.strip(),
        created_by=person_of(actor),
    )
    if Workspace.objects.filter(name=workspace.name).exists():
        raise refuse(f"There is a workspace “{workspace.name}” already, here or in another project.", "name")
    # Backends keep a workspace's outputs in a folder of its name: under it another project would come to read them.
    deleted = AuditEvent.objects.filter(subject_type="workspace", subject=workspace.name, action=DELETED_WORKSPACE)
    if deleted.exists():
        raise refuse(f"“{workspace.name}” was the name of a workspace that is deleted. Choose another.", "name")
    # Asked before the transaction, which must not wait for a network.
    check_branch(workspace.repo_url, workspace.branch)
    with transaction.atomic():
        create(workspace)
        new = of_fields(workspace, ["repo_url", "branch", "purpose"])
        record(actor, "workspace.created", subject_type="workspace", subject=workspace.name, project=project, new=new)
    return workspace


@transaction.atomic
def edit_workspace(workspace: Workspace, values: Mapping[str, Any], actor: Actor) -> bool:
    """Change a workspace's purpose or when people are told; its repository and branch never change."""
    row = Workspace.objects.select_for_update().select_related("project").get(pk=workspace.pk)
    _refuse_archived(row.project)
    return change(row, values, actor, "workspace.changed", subject=row.name, project=row.project)


@transaction.atomic
def set_workspace_archived(workspace: Workspace, archived: bool, actor: Actor) -> None:
    """Archive a workspace (nothing new runs in it) or take it up again. Raises ValidationError in a closed project."""
    row = Workspace.objects.select_for_update().select_related("project").get(pk=workspace.pk)
    _refuse_archived(row.project)
    if row.is_archived == archived:
        return
    row.archived_at = timezone.now() if archived else None
    row.archived_by = _somebody(actor) if archived else None
    row.save(update_fields=["archived_at", "archived_by"])
    action = "workspace.archived" if archived else "workspace.restored"
    record(actor, action, subject_type="workspace", subject=row.name, project=row.project)


def person_of(actor: Actor) -> User | None:
    """Return the account that acts; None for a program."""
    user = actor if isinstance(actor, User) else getattr(actor, "user", None)
    return user if isinstance(user, User) else None


def _somebody(actor: Actor) -> User:
    person = person_of(actor)
    if person is None:
        raise refuse("Name the person who closes it.")
    return person
