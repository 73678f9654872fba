"""The audit log: who changed, saw or was refused what. Rows are only ever added."""

from typing import Any, NoReturn

from django.db import models

CHANGE, ACCESS, SECURITY = "change", "access", "security"
"""What kind of event: something was changed; something was seen; a matter of security (sign-in, refusal, token)."""


class AuditEvent(models.Model):
    """One thing that somebody did. Text, no foreign keys: it says what was true then, whatever is deleted later."""

    at = models.DateTimeField()
    category = models.CharField(max_length=20, choices=[(name, name) for name in (CHANGE, ACCESS, SECURITY)])
    action = models.CharField(max_length=60)
    """`role.assigned`, `file.viewed`, `sign_in.failed`: noun and participle."""
    actor = models.CharField(max_length=200, blank=True, default="")
    """Username, `backend:slug`, `command line` or empty for a stranger."""
    subject_type = models.CharField(max_length=60, blank=True, default="")
    subject = models.CharField(max_length=300, blank=True, default="")
    project = models.CharField(max_length=100, blank=True, default="")
    backend = models.CharField(max_length=100, blank=True, default="")
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)
    address = models.CharField(max_length=64, blank=True, default="")
    """Of the network, from which the request came."""
    reference = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["-at"], name="audit_at"),
            models.Index(fields=["actor", "-at"], name="audit_actor"),
            models.Index(fields=["project", "-at"], name="audit_project"),
            models.Index(fields=["category", "action", "-at"], name="audit_action"),
            models.Index(fields=["subject_type", "subject", "-at"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add; what stands is never changed."""
        if self.pk is not None:
            raise TypeError("An audit event is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("An audit event is never deleted.")
