"""Alerts above every page, and redirects from old addresses."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from carrel.jobserver.models import Alert, Project, Redirect
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.changes import change, create, of_fields, refuse
from carrel.jobserver.service.projects import REDIRECT_DAYS, person_of

TEXTS = ("title", "message", "level")


@transaction.atomic
def create_alert(values: Mapping[str, Any], actor: Actor) -> Alert:
    """Put a sentence above every page of those who are signed in. Raises ValidationError."""
    alert = Alert(**values, created_by=person_of(actor))
    create(alert)
    record(actor, "alert.created", subject_type="alert", subject=alert, new=of_fields(alert, TEXTS))
    return alert


@transaction.atomic
def edit_alert(alert: Alert, values: Mapping[str, Any], actor: Actor) -> None:
    """Change an alert. Raises ValidationError."""
    row = Alert.objects.select_for_update().get(pk=alert.pk)
    change(row, values, actor, "alert.changed", subject=row)


@transaction.atomic
def delete_alert(alert: Alert, actor: Actor) -> None:
    """Take an alert off every page."""
    record(actor, "alert.deleted", subject_type="alert", subject=alert, old=of_fields(alert, TEXTS))
    alert.delete()


@transaction.atomic
def create_redirect(old_path: str, project: Project, actor: Actor) -> Redirect:
    """Send whoever comes to an old address (`/old-name/`) to a project's, for a year. Raises ValidationError."""
    old_path = f"/{old_path.strip().strip('/').lower()}/"
    if old_path.count("/") != 2 or old_path == "//":
        raise refuse("Write the first part of an address alone: old-name.", "old_path")
    if Project.objects.filter(slug=old_path.strip("/")).exists():
        raise refuse("A project has this address now.", "old_path")
    redirect = Redirect(old_path=old_path, project=project, expires_at=timezone.now() + timedelta(days=REDIRECT_DAYS))
    create(redirect)
    record(actor, "redirect.created", subject_type="redirect", subject=old_path, project=project)
    return redirect


@transaction.atomic
def delete_redirect(redirect: Redirect, actor: Actor) -> None:
    """Forget an old address."""
    record(actor, "redirect.deleted", subject_type="redirect", subject=redirect.old_path, project=redirect.project)
    redirect.delete()
