"""What is told to the job server of a request, until it has been told; and which process does the sending."""

from django.db import models
from django.utils import timezone

from carrel.review.models.requests import ReleaseRequest


class ReviewNotice(models.Model):
    """One event for `airlock/events/`, written in the transaction of the change that it tells."""

    request = models.ForeignKey(ReleaseRequest, on_delete=models.PROTECT, related_name="notices")
    event_type = models.CharField(max_length=60)
    body = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    problem = models.CharField(max_length=500, blank=True, default="")
    """Why it is not sent, or what the job server said that it could not do."""

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["sent_at", "next_attempt_at"], name="notice_due")]

    def __str__(self) -> str:
        return f"{self.event_type} of {self.request_id}"


class ReviewLease(models.Model):
    """One process at a time does this work; when it is killed, another may take it up once the time is over."""

    name = models.CharField(max_length=120, unique=True)
    holder = models.CharField(max_length=64)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} by {self.holder}"
