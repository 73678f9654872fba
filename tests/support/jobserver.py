"""People, projects, workspaces, backends, runs and jobs in the job server's database, with sensible values.

Each function makes one row (or a small family) and returns it; names are counted up where a caller gives none. Pages
are asked for through `browse(person)`, a Django test client that is signed in.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client

from carrel.jobserver.models import (
    Backend,
    BackendMembership,
    Job,
    JobRequest,
    Project,
    ProjectBackend,
    ProjectMembership,
    Role,
    RoleAssignment,
    RunGroup,
    User,
    Workspace,
)

PASSWORD = "correct horse battery"
COMMIT = "3fa9c1e0" * 5
START = datetime(2026, 5, 3, 9, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def add_person(username: str = "", *roles: str, project: Project | None = None, **fields: Any) -> User:
    """An account that can sign in with PASSWORD; `roles` by name, in `project` (with a membership) or everywhere."""
    username = username or f"person{next(_numbers)}"
    fields = {"email": f"{username}@example.org", "fullname": username.title(), **fields}
    # A fast hash would do, but this is what a site has; tests that sign in by `browse` do not pay for it.
    user = User(username=username, **fields)
    user.set_unusable_password()
    user.save()
    if project is not None:
        ProjectMembership.objects.get_or_create(project=project, user=user)
    for role in roles:
        RoleAssignment.objects.create(user=user, role=Role.objects.get(name=role), project=project)
    return user


def add_backend(slug: str = "", *members: User, **fields: Any) -> Backend:
    """A backend that everybody may see, heard of just now."""
    slug = slug or f"backend{next(_numbers)}"
    values = {"name": slug, "is_listed": True, "last_seen_at": datetime.now(UTC), **fields}
    backend = Backend.objects.create(slug=slug, **values)
    for member in members:
        BackendMembership.objects.create(backend=backend, user=member)
    return backend


def add_project(slug: str = "", *backends: Backend, **fields: Any) -> Project:
    """A listed project, opted in to `backends`."""
    slug = slug or f"project{next(_numbers)}"
    project = Project.objects.create(**{"slug": slug, "name": slug.replace("-", " ").capitalize(), **fields})
    for backend in backends:
        ProjectBackend.objects.create(project=project, backend=backend)
    return project


def add_workspace(project: Project, name: str = "", **fields: Any) -> Workspace:
    name = name or f"workspace{next(_numbers)}"
    values = {"repo_url": f"https://git.example.org/{name}", "branch": "main", **fields}
    return Workspace.objects.create(project=project, name=name, **values)


def add_run(workspace: Workspace, person: User, **fields: Any) -> RunGroup:
    """A run without requests yet: `add_request` adds a backend's part."""
    values = {"commit": COMMIT, "branch": workspace.branch, "submission_key": f"key-{next(_numbers)}", **fields}
    return RunGroup.objects.create(workspace=workspace, created_by=person, **values)


def add_request(run: RunGroup, backend: Backend, actions: Sequence[str] = ("run_all",), **fields: Any) -> JobRequest:
    values = {"requested_actions": list(actions), "sent_at": run.created_at, **fields}
    return JobRequest.objects.create(
        run=run, backend=backend, workspace=run.workspace, created_by=run.created_by, **values
    )


def add_job(request: JobRequest, action: str, status: str = "succeeded", **fields: Any) -> Job:
    """A job of this request; times follow from its status unless they are given."""
    created = fields.pop("created_at", START)
    values: dict[str, Any] = {
        "identifier": f"job{next(_numbers):013}",
        "status_code": {"succeeded": "succeeded", "failed": "nonzero_exit", "running": "executing"}.get(
            status, "created"
        ),
        "run_command": f"python:v2 {action}.py",
        "started_at": None if status == "pending" else created + timedelta(seconds=20),
        "completed_at": created + timedelta(minutes=4) if status in ("succeeded", "failed") else None,
        "updated_at": created,
        **fields,
    }
    return Job.objects.create(
        request=request,
        workspace=request.workspace,
        backend=request.backend,
        action=action,
        status=status,
        created_at=created,
        **values,
    )


def browse(person: User | None = None, **options: Any) -> Client:
    """A client that checks CSRF tokens only when told to (`enforce_csrf_checks=True`), signed in as this person."""
    client = Client(**options)
    if person is not None:
        client.force_login(person, "allauth.account.auth_backends.AuthenticationBackend")
    return client
