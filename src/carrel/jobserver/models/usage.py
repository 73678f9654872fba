"""What was used: by month, and which data. Worked out from jobs, and at any time worked out again."""

from django.db import models

from carrel.jobserver.models.backends import Backend
from carrel.jobserver.models.people import User
from carrel.jobserver.models.projects import Project
from carrel.jobserver.models.runs import Job
from carrel.units.limits import MAX_CATALOGUE_NAME


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


class DataUse(models.Model):
    """A database job read this table: who accessed which data, and when. One row without a table: it is not known."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="data_uses")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="data_uses")
    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="data_uses")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="data_uses")
    database = models.CharField(max_length=100)
    table_name = models.CharField(max_length=MAX_CATALOGUE_NAME, blank=True, default="")
    """As the backend's catalogue calls it; empty where it could not be told, for `reason`."""
    version = models.CharField(max_length=MAX_CATALOGUE_NAME, blank=True, default="")
    """The latest version of the table's data that the catalogue listed by then; empty where it lists none."""
    reason = models.CharField(max_length=300, blank=True, default="")
    at = models.DateTimeField()
    """When the job began."""

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["job", "table_name"], name="data_use_once")]
        indexes = [
            models.Index(fields=["backend", "table_name", "-at"], name="data_use_of_table"),
            models.Index(fields=["project", "-at"], name="data_use_of_project"),
        ]

    def __str__(self) -> str:
        return f"{self.job}: {self.table_name or self.reason}"
