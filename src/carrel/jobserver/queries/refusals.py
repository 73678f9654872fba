"""Why a person may run nothing of a workspace on a backend, from the database: two questions for all backends."""

from collections.abc import Iterable, Sequence

from django.utils import timezone

from carrel.jobserver.models import Backend, BackendMembership, JobRequest, ProjectBackend, User, Workspace
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.rights.running import RunConditions, RunRefusal, refusal_to_run


def refusals_of(
    workspace: Workspace, person: User, rights: Rights, backends: Sequence[Backend], *, has_second_factor: bool
) -> dict[str, RunRefusal]:
    """Return by slug why this person may not run there; backends where they may are absent."""
    project = workspace.project
    keys = [backend.pk for backend in backends]
    member_of = set(
        BackendMembership.objects.filter(user=person, backend__in=keys).values_list("backend_id", flat=True)
    )
    opted_in = set(
        ProjectBackend.objects.filter(project=project, backend__in=keys).values_list("backend_id", flat=True)
    )
    refusals: dict[str, RunRefusal] = {}
    for backend in backends:
        refusal = refusal_to_run(
            RunConditions(
                backend=backend.name,
                may_run=rights.holds(Permission.JOB_RUN, project_id=project.pk, backend_id=backend.pk),
                is_member=backend.pk in member_of,
                is_opted_in=backend.pk in opted_in,
                is_active=backend.is_active,
                is_archived=workspace.is_archived or project.archived_at is not None,
                ends_on=project.ends_on,
                today=timezone.now().date(),
                needs_second_factor=backend.requires_mfa and not has_second_factor,
            )
        )
        if refusal:
            refusals[backend.slug] = refusal
    return refusals


def refusals_since(requests: Iterable[JobRequest]) -> dict[int, str]:
    """Return by key why a request may not run any more: it may have waited for days, while rights were taken back.

    A second factor was asked for when the run was. The requests of one person, workspace and backend cost one look.
    """
    persons: dict[int, Rights] = {}
    looked_at: dict[tuple[int, int, int], str] = {}
    refusals: dict[int, str] = {}
    for request in requests:
        workspace, person, backend = request.workspace, request.created_by, request.backend
        key = workspace.pk, person.pk, backend.pk
        if person.pk not in persons:
            persons[person.pk] = rights_of(person)
        if key not in looked_at:
            refused = refusals_of(workspace, person, persons[person.pk], [backend], has_second_factor=True)
            looked_at[key] = refused[backend.slug].reason if refused else ""
        if reason := looked_at[key]:
            refusals[request.pk] = f"Not sent to {backend.name}. {reason}"
    return refusals
