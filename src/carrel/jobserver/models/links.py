"""How the links to controllers stand, and which process works at what."""

from django.db import models


class WorkLease(models.Model):
    """One process at a time does this work; when it is killed, another may take it up once the time is over."""

    name = models.CharField(max_length=120, unique=True)
    holder = models.CharField(max_length=64)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} by {self.holder}"


class ControllerContact(models.Model):
    """How asking a controller went last: what pages say when requests wait for it."""

    controller = models.CharField(max_length=100, unique=True)
    answered_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    """None: the last call was answered."""
    problem = models.TextField(blank=True, default="")
    """In words for people who wait; no address and nothing else of the inside."""

    def __str__(self) -> str:
        return self.controller
