"""The end of a project: closed (read-only), and deleted once its retention is over. The audit log keeps what it was."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from carrel.jobserver import settings
from carrel.jobserver.models import (
    Cancellation,
    Job,
    JobRequest,
    Project,
    PublishRequest,
    Release,
    ReleaseFile,
    ReleaseFileReview,
    RunGroup,
    Schedule,
    Snapshot,
    User,
    Workspace,
)
from carrel.jobserver.models.runs import ACTIVE_STATUSES
from carrel.jobserver.service.audit import record
from carrel.jobserver.service.changes import of_fields, refuse
from carrel.jobserver.service.projects import DELETED_WORKSPACE
from carrel.jobserver.service.releases import delete_file

KEPT_FIELDS = ("name", "number", "purpose", "approval_reference", "starts_on", "ends_on", "archived_at")


def deletable_from(project: Project) -> datetime | None:
    """Return when a closed project's retention is over; None for one that is open."""
    if project.archived_at is None:
        return None
    return project.archived_at + timedelta(days=settings.get().project_retention_days)


def delete_project(project: Project, by: User) -> dict[str, int]:
    """Delete a project with all that it ran and released; return how many rows of each kind there were.

    Raises ValidationError for one that is open, whose retention is not over, of which something runs, or of which
    something is published. Files go first, each with its line in the audit log; killed in between, it is called again.
    """
    allowed = deletable_from(project)
    if allowed is None:
        raise refuse("Close the project first.")
    if timezone.now() < allowed:
        raise refuse(f"Its retention lasts until {allowed:%Y-%m-%d} (setting PROJECT_RETENTION_DAYS).")
    requests = JobRequest.objects.filter(workspace__project=project)
    if requests.filter(status__in=ACTIVE_STATUSES).exists():
        raise refuse("Something of it runs, or is not known to have ended. Cancel it first.")
    if Snapshot.objects.published().filter(workspace__project=project).exists():
        raise refuse("Something of it is published. Un-publish it first, or leave the project closed.")
    for file in ReleaseFile.objects.available().filter(workspace__project=project).select_related("release"):
        delete_file(file, by, by)
    return _delete_rows(project, by)


@transaction.atomic
def _delete_rows(project: Project, by: User) -> dict[str, int]:
    within: dict[str, Any] = {"workspace__project": project}
    runs = RunGroup.objects.filter(**within)
    rows = [
        PublishRequest.objects.filter(snapshot__workspace__project=project),
        Snapshot.objects.filter(**within),
        ReleaseFileReview.objects.filter(release_file__workspace__project=project),
        ReleaseFile.objects.filter(**within),
        Release.objects.filter(**within),
        Cancellation.objects.filter(request__workspace__project=project),
        Job.objects.filter(**within),
        JobRequest.objects.filter(**within),
        runs,
        Schedule.objects.filter(**within),
        Workspace.objects.filter(project=project),
    ]
    counts = {str(some.model._meta.verbose_name_plural): some.count() for some in rows}
    names = list(project.workspaces.values_list("name", flat=True))
    old = {**of_fields(project, KEPT_FIELDS), "workspaces": names}
    for some in rows:
        some.delete()
    for name in names:
        record(by, DELETED_WORKSPACE, subject_type="workspace", subject=name, project=project)
    record(by, "project.deleted", subject_type="project", subject=project.slug, project=project, old=old, new=counts)
    project.delete()
    return counts
