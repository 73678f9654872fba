"""Webhooks of projects: added, removed, tried."""

import json

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from carrel.jobserver import settings
from carrel.jobserver.models import OutgoingMessage, Project, RunGroup, User, Webhook
from carrel.jobserver.runs.webhooks import WebhookRefused, check_address
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.waking import wake

MAX_WEBHOOKS = 20
"""Most of one project's."""
TRIED = "webhook.tried"


def add_webhook(project: Project, url: str, actor: Actor, person: User | None = None) -> Webhook:
    """Have an address called when the project's runs end or fail. Raises ValidationError."""
    try:
        check_address(url, settings.get().webhook_hosts)
    except WebhookRefused as error:
        raise ValidationError({"url": str(error)}) from error
    with transaction.atomic():
        if Project.objects.select_for_update().get(pk=project.pk).is_archived:
            raise ValidationError({"url": "The project is closed: nothing in it changes any more."})
        if project.webhooks.filter(is_active=True, run=None).count() >= MAX_WEBHOOKS:
            raise ValidationError({"url": f"A project has at most {MAX_WEBHOOKS} webhooks: remove one first."})
        webhook = Webhook.objects.create(project=project, url=url, created_by=person)
        record(actor, "webhook.added", subject_type="webhook", subject=url, project=project)
    return webhook


def add_callback(run: RunGroup, url: str, actor: Actor, person: User) -> Webhook:
    """Have an address called when this one run ends or fails. Raises WebhookRefused for one that may not be."""
    check_address(url, settings.get().webhook_hosts)
    project = run.workspace.project
    with transaction.atomic():
        webhook = Webhook.objects.create(project=project, run=run, url=url, created_by=person)
        record(actor, "webhook.added", subject_type="webhook", subject=url, project=project, new={"run": run.pk})
    return webhook


def remove_webhook(webhook: Webhook, actor: Actor) -> None:
    """Call the address no more; what still waits to be sent to it is given up."""
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk).update(is_active=False)
        pending = OutgoingMessage.objects.filter(webhook=webhook, sent_at=None, given_up_at=None)
        pending.update(given_up_at=timezone.now(), error="the webhook was removed")
        record(actor, "webhook.removed", subject_type="webhook", subject=webhook.url, project=webhook.project)


def try_webhook(webhook: Webhook, actor: Actor) -> None:
    """Send a call that says only that it is a try; while one is on its way there is no other."""
    with transaction.atomic():
        Webhook.objects.select_for_update().get(pk=webhook.pk)
        tries = OutgoingMessage.objects.filter(webhook=webhook, subject=TRIED)
        if tries.filter(sent_at=None, given_up_at=None).exists():
            return
        body = {"event": TRIED, "project": webhook.project.slug}
        OutgoingMessage.objects.create(
            channel=OutgoingMessage.Channel.WEBHOOK,
            webhook=webhook,
            subject=TRIED,
            body=json.dumps(body),
            key=f"webhook:{webhook.pk}:{TRIED}:{get_random_string(12)}",
        )
        record(actor, TRIED, subject_type="webhook", subject=webhook.url, project=webhook.project)
    transaction.on_commit(wake)
