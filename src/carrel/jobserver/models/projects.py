"""Projects, who takes part in them, their workspaces and the data they may use."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from carrel.jobserver.models.constraints import both_or_neither
from carrel.jobserver.models.people import NAME_LENGTH, Organisation, User

PROJECT_NUMBER = r"^([0-9]+|POS-20[0-9]{2}-[0-9]{4})$"
WORKSPACE_NAME = r"^[-a-z0-9_]+$"
"""A workspace's name is a folder at every backend; OpenSAFELY's may hold capitals, ours are made without."""


class ProjectStatus(models.TextChoices):
    """The contract's statuses of a project."""

    ONGOING = "ongoing", "Ongoing"
    POSTPONED = "postponed", "Postponed"
    RETIRED = "retired", "Retired"
    ONGOING_AND_LINKED = "ongoing-and-linked", "Ongoing and linked"
    COMPLETED_AND_LINKED = "completed-and-linked", "Completed and linked"
    COMPLETED_AND_AWAITING = "completed-and-awaiting", "Completed, awaiting publication"


class Project(models.Model):
    """An approved piece of research: its people, its end, and the backends it may run on."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    slug = models.SlugField(max_length=100, unique=True)
    number = models.CharField(
        max_length=20,
        unique=True,
        null=True,
        blank=True,
        validators=[RegexValidator(PROJECT_NUMBER, "Digits (123), or POS-20YY-NNNN.")],
    )
    purpose = models.TextField(blank=True, default="")
    """In plain words, for the public register."""
    status = models.CharField(max_length=40, choices=ProjectStatus, default=ProjectStatus.ONGOING)
    status_description = models.TextField(blank=True, default="")
    approval_reference = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    """The last day on which something new may run; releases go on after it."""
    is_listed = models.BooleanField(default=True)
    """In the public register, with its workspaces and runs. Otherwise only members and staff see it."""
    copilot = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="copiloted")
    copilot_support_ends_at = models.DateTimeField(null=True, blank=True)
    organisations = models.ManyToManyField(Organisation, through="ProjectOrganisation", related_name="projects")
    members = models.ManyToManyField(
        User, through="ProjectMembership", related_name="projects", through_fields=("project", "user")
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    archived_at = models.DateTimeField(null=True)
    archived_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """Closed: everything in it is read-only."""

    class Meta:
        ordering = ["name"]
        constraints = [
            both_or_neither("project", "archived_at", "archived_by"),
            models.CheckConstraint(condition=~models.Q(slug=""), name="project_slug_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.number} - {self.name}" if self.number else self.name

    def get_absolute_url(self) -> str:
        """Its page, by the contract's map of addresses."""
        return f"/{self.slug}/"

    @property
    def is_archived(self) -> bool:
        """Everything in it is read-only."""
        return self.archived_at is not None


class ProjectOrganisation(models.Model):
    """An organisation takes part in a project; at most one leads it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="collaborations")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="collaborations")
    is_lead = models.BooleanField(default=False)

    class Meta:
        ordering = ["-is_lead", "organisation__name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "organisation"], name="project_organisation_once"),
            models.UniqueConstraint(
                fields=["project"], condition=models.Q(is_lead=True), name="project_has_one_lead_organisation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} in {self.project}"


class ProjectMembership(models.Model):
    """A person takes part in a project; what they may do there are their role assignments."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="project_memberships")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["user__username"]
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="project_member_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}"


class DataPermission(models.Model):
    """A project may use data beyond the standard: what `analysis_scope` of its requests says."""

    class DataKind(models.TextChoices):
        DATASET = "dataset_permissions", "data set"
        POPULATION = "population_permissions", "population"
        COMPONENT = "component_access", "component"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="data_permissions")
    kind = models.CharField(max_length=40, choices=DataKind)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["kind", "name"]
        constraints = [models.UniqueConstraint(fields=["project", "kind", "name"], name="data_permission_once")]

    def __str__(self) -> str:
        return f"{self.name} for {self.project}"


class NotifyWhen(models.TextChoices):
    """When the person who asked for a run is told of it."""

    END = "end", "when it ends"
    FIRST_FAILURE = "first_failure", "at the first failure"
    NEVER = "never", "never"


class Workspace(models.Model):
    """One branch of one repository, and the outputs it has on every backend under this name. Both never change."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="workspaces")
    name = models.CharField(
        max_length=255,
        unique=True,
        validators=[RegexValidator(WORKSPACE_NAME, "Lower-case letters, digits, - and _ only.")],
    )
    repo_url = models.TextField()
    branch = models.CharField(max_length=255)
    purpose = models.TextField(blank=True, default="")
    database_name = models.CharField(max_length=100, default="default")
    is_for_dummy_data = models.BooleanField(default=False)
    """Made through the first API with `db: dummy`: that API runs it on backends of dummy data only."""
    notify = models.CharField(max_length=20, choices=NotifyWhen, default=NotifyWhen.END)
    """What the run page suggests."""
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    archived_at = models.DateTimeField(null=True)
    archived_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [both_or_neither("workspace", "archived_at", "archived_by")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Its page, by the contract's map of addresses."""
        return f"{self.project.get_absolute_url()}{self.name}/"

    @property
    def is_archived(self) -> bool:
        """Nothing new runs in it."""
        return self.archived_at is not None


class Redirect(models.Model):
    """An address that was a project's before its slug changed; kept for a year."""

    old_path = models.CharField(max_length=255, unique=True)
    """Begins and ends with `/`; what is below it is redirected too."""
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="redirects")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.old_path
