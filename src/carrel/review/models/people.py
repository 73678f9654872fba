"""Who signs in inside the backend, and which level of data they may open here."""

from django.db import models
from django.utils import timezone

from carrel.review.permissions import LEVELS

USERNAME_LENGTH = 150


class Account(models.Model):
    """One person. What they may do is `authorisation`: what the job server said, or what was set on this machine.

    `authorisation` has the shape of the contract's answer to `releases/authorise` (`messages.level4.Level4Person`).
    """

    class AccountSource(models.TextChoices):
        JOB_SERVER = "job-server", "The job server"
        LOCAL = "local", "This machine"

    username = models.CharField(max_length=USERNAME_LENGTH, primary_key=True)
    fullname = models.CharField(max_length=200)
    source = models.CharField(max_length=20, choices=AccountSource)
    password = models.CharField(max_length=200, blank=True, default="")
    """Hashed as Django hashes; only of local accounts."""
    is_active = models.BooleanField(default=True)
    authorisation = models.JSONField(default=dict)
    authorised_at = models.DateTimeField(null=True)
    """When the job server last said so. Rights that are older than it allows are no rights."""
    email = models.EmailField(max_length=254, blank=True, default="")
    orcid = models.CharField(max_length=40, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["username"]

    def __str__(self) -> str:
        return f"{self.fullname} ({self.username})"


class LevelGrant(models.Model):
    """A person may open what is of this level on this backend (`carrel.review.permissions` says what that is)."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="levels")
    backend = models.CharField(max_length=100)
    level = models.PositiveSmallIntegerField(choices=list(LEVELS.items()))
    granted_at = models.DateTimeField(default=timezone.now)
    granted_by = models.CharField(max_length=USERNAME_LENGTH)

    class Meta:
        ordering = ["account", "backend", "level"]
        constraints = [models.UniqueConstraint(fields=["account", "backend", "level"], name="level_once")]

    def __str__(self) -> str:
        return f"{self.account_id}: level {self.level} on {self.backend}"
