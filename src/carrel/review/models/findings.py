"""What the disclosure rules said of a file, with which rules and thresholds, and what its author answered."""

from django.db import models
from django.utils import timezone

from carrel.review.models.people import Account
from carrel.review.models.requests import NAME_LENGTH, RequestFile


class DisclosureCheck(models.Model):
    """One look of the rules at one file's bytes."""

    file = models.ForeignKey(RequestFile, on_delete=models.CASCADE, related_name="checks")
    sha256 = models.CharField(max_length=64)
    checked_at = models.DateTimeField(default=timezone.now)
    rules_version = models.CharField(max_length=40)
    configuration = models.JSONField(default=dict)
    """Thresholds and names, as the backend's policy had them then."""
    unchecked = models.TextField(blank=True, default="")
    """Why the rules could not look, or at what; "" when they looked at everything."""

    class Meta:
        ordering = ["-checked_at", "-id"]

    def __str__(self) -> str:
        return f"check of {self.file}"


class FileFinding(models.Model):
    """One thing that the rules found. It is answered by other bytes, or by the author's justification."""

    check_run = models.ForeignKey(DisclosureCheck, on_delete=models.CASCADE, related_name="findings")
    rule = models.CharField(max_length=60)
    rule_version = models.CharField(max_length=40, blank=True, default="")
    message = models.TextField()
    line = models.PositiveIntegerField(default=0)
    column = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    value = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    compared_with = models.CharField(max_length=300, blank=True, default="")
    """For a difference: the earlier request, release or backend whose file it is one from."""
    justification = models.TextField(blank=True, default="")
    justified_by = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="+")
    justified_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["line", "id"]

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"
