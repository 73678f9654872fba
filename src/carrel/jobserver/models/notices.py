"""What the site tells: messages that wait to be sent, webhooks, alerts on every page."""

import secrets

from django.db import models
from django.utils import timezone

from carrel.jobserver.models.people import NAME_LENGTH, User
from carrel.jobserver.models.projects import Project
from carrel.pages.frame import AlertLevel


class Webhook(models.Model):
    """An address of a project's that is told when its runs end or fail."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    run = models.ForeignKey("RunGroup", null=True, on_delete=models.CASCADE, related_name="callbacks")
    """The one run of which it is told; None: all runs of the project."""
    url = models.URLField(max_length=500)
    secret = models.CharField(max_length=64, default=secrets.token_urlsafe)
    """Signs each call (HMAC-SHA256), so that its receiver knows it is ours."""
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.url


class OutgoingMessage(models.Model):
    """A mail or a webhook call: written with what it tells in one transaction, sent afterwards, tried until sent."""

    class Channel(models.TextChoices):
        MAIL = "mail", "e-mail"
        WEBHOOK = "webhook", "webhook"

    channel = models.CharField(max_length=20, choices=Channel)
    recipient = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    webhook = models.ForeignKey(Webhook, null=True, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    body = models.TextField()
    key = models.CharField(max_length=200, unique=True)
    """What it is about: the same message is never written twice."""
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    send_attempts = models.PositiveIntegerField(default=0)
    send_after = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["sent_at", "given_up_at", "send_after"], name="message_to_send")]

    def __str__(self) -> str:
        return self.subject


class Alert(models.Model):
    """A sentence that stands above every page for persons who are signed in."""

    title = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    message = models.TextField()
    """Plain text."""
    level = models.CharField(
        max_length=20, choices=[(level.value, level.value) for level in AlertLevel], default=AlertLevel.INFO.value
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title or self.message[:50]
