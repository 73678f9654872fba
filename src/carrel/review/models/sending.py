"""What is told to the job server of a request, until it has been told."""

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
