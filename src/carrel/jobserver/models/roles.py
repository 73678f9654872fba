"""Roles are data: what each permits, and who has which, for which project and backend."""

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from carrel.jobserver.models.backends import Backend
from carrel.jobserver.models.people import NAME_LENGTH, Requirement, User
from carrel.jobserver.models.projects import Project


class Role(models.Model):
    """A named set of permissions. `name` is what the API tells (`ProjectDeveloper`), `title` what people read."""

    class RoleScope(models.TextChoices):
        GLOBAL = "global", "everywhere"
        PROJECT = "project", "within a project"
        EITHER = "either", "everywhere or within a project"

    name = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True, default="")
    scope = models.CharField(max_length=20, choices=RoleScope)
    permissions = models.JSONField(default=list)
    requirements = models.ManyToManyField(Requirement, blank=True, related_name="roles")
    """Until a person has all of these, and once one has expired, the role permits that person nothing."""

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title


class RoleAssignment(models.Model):
    """A person has a role: in one project or everywhere, on one backend or on all."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="assignments")
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="role_assignments")
    backend = models.ForeignKey(Backend, null=True, on_delete=models.CASCADE, related_name="role_assignments")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            # As expressions, since SQLite takes two NULLs for different.
            models.UniqueConstraint(
                "user", "role", Coalesce("project", 0), Coalesce("backend", 0), name="role_assigned_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.user}"
