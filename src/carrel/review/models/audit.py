"""The audit log: append-only, each event with the hash of the one before it (`carrel.review.chain`)."""

from typing import Any, NoReturn

from django.db import models


class AuditEvent(models.Model):
    """One thing that somebody did or saw. Text, no foreign keys: it says what was true then."""

    number = models.BigIntegerField(primary_key=True)
    """From 1, without gaps."""
    at = models.DateTimeField()
    event_type = models.CharField(max_length=60)
    """The contract's words in capitals (`REQUEST_FILE_APPROVE`), and our own."""
    actor = models.CharField(max_length=200, blank=True, default="")
    workspace = models.CharField(max_length=200, blank=True, default="")
    request = models.CharField(max_length=40, blank=True, default="")
    path = models.CharField(max_length=1100, blank=True, default="")
    turn = models.PositiveIntegerField(null=True)
    extra = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-number"]
        indexes = [
            models.Index(fields=["request", "-number"], name="audit_request"),
            models.Index(fields=["workspace", "-number"], name="audit_workspace"),
            models.Index(fields=["actor", "-number"], name="review_audit_actor"),
            models.Index(fields=["event_type", "-number"], name="audit_event_type"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.event_type}"

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("An audit event is never deleted.")


class AuditAnchor(models.Model):
    """The chain's head on one day, as it was written to a file outside the database."""

    day = models.DateField(primary_key=True)
    number = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    written_at = models.DateTimeField()

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day}: {self.number} {self.hash}"
