"""What was used, by month: worked out from jobs, and at any time worked out again."""

from django.db import models

from carrel.jobserver.models.backends import Backend
from carrel.jobserver.models.people import User
from carrel.jobserver.models.projects import Project


class UsageMonth(models.Model):
    """What one person's finished jobs of one project used on one backend in one month (UTC, by when they ended)."""

    month = models.DateField()
    """Its first day."""
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="usage")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="usage")
    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="usage")
    jobs = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    run_seconds = models.FloatField()
    """From start to end, summed over jobs."""
    cpu_seconds = models.FloatField()
    """Of one core: mean use times run time. Jobs without metrics count as nothing."""
    memory_mb_seconds = models.FloatField()
    """Mean memory in MB times run time."""
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["month", "id"]
        constraints = [
            models.UniqueConstraint(fields=["month", "project", "user", "backend"], name="usage_once"),
        ]
        indexes = [models.Index(fields=["project", "month"], name="usage_of_project")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.project} {self.user} {self.backend}"
