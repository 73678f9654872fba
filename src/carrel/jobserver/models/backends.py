"""Backends: what is known of each, who may use it, which projects may run on it, what data it offers."""

from django.db import models
from django.utils import timezone

from carrel.jobserver.models.people import NAME_LENGTH, User
from carrel.jobserver.models.projects import Project


class Backend(models.Model):
    """One place that holds data. What `backend/status/` says of it is kept here with the time it was heard."""

    class LinkKind(models.TextChoices):
        RAP = "rap", "we ask its controller"
        POLLED = "polled", "its controller asks us"

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True, default="")
    position = models.PositiveIntegerField(default=0)
    """Backends stand in this order everywhere, then by slug."""
    is_active = models.BooleanField(default=True)
    """Inactive ones take no requests; what they did stays."""
    is_listed = models.BooleanField(default=False)
    """Everybody may see it. A new one is hidden from all but staff, its members and the projects opted in."""
    holds_dummy_data = models.BooleanField(default=False)
    """Its data is made up: the first API's `dummy` database means this backend."""
    link = models.CharField(max_length=20, choices=LinkKind, default=LinkKind.RAP)
    controller = models.CharField(max_length=100, default="default")
    """Which of the configured controllers serves it (setting `CONTROLLERS`)."""
    requires_mfa = models.BooleanField(default=False)
    """Only persons who signed in with a second factor may run there."""
    level4_url = models.URLField(blank=True, default="")
    alert_timeout_seconds = models.PositiveIntegerField(default=300)
    """Not heard of for longer than this, it is missing."""
    last_seen_at = models.DateTimeField(null=True)
    is_paused = models.BooleanField(default=False)
    paused_since = models.DateTimeField(null=True)
    in_maintenance = models.BooleanField(default=False)
    maintenance_since = models.DateTimeField(null=True)
    maintenance_kind = models.CharField(max_length=20, blank=True, default="")
    status_at = models.DateTimeField(null=True)
    """When its controller last told of it; the fields above are as of then."""
    details = models.JSONField(default=dict)
    """More that its controller or agent tells (agent version, disk), as pairs of texts for the status page."""
    created_at = models.DateTimeField(default=timezone.now)
    members = models.ManyToManyField(
        User, through="BackendMembership", related_name="backends", through_fields=("backend", "user")
    )
    projects = models.ManyToManyField(
        Project, through="ProjectBackend", related_name="backends", through_fields=("backend", "project")
    )

    class Meta:
        ordering = ["position", "slug"]

    def __str__(self) -> str:
        return self.name


class BackendToken(models.Model):
    """Lets a backend speak to our API. Several may hold at once, so that changing one interrupts nothing."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="tokens")
    hash = models.CharField(max_length=64, unique=True)
    """SHA-256 in hexadecimal digits; the token itself was shown once."""
    hint = models.CharField(max_length=12)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField(null=True)
    """When a rotation ends this one's time; None: until it is revoked."""
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.hint}... of {self.backend}"


class BackendMembership(models.Model):
    """A person may choose this backend."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="backend_memberships")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["user__username"]
        constraints = [models.UniqueConstraint(fields=["backend", "user"], name="backend_member_once")]

    def __str__(self) -> str:
        return f"{self.user} on {self.backend}"


class ProjectBackend(models.Model):
    """A project may run on this backend: off until staff say so."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="opt_ins")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="opt_ins")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["backend", "project"], name="project_opted_in_once")]

    def __str__(self) -> str:
        return f"{self.project} on {self.backend}"


class CatalogueVersion(models.Model):
    """What data a backend offered from a time on (`carrel.messages.catalogue`). The latest one counts."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="catalogues")
    document = models.JSONField()
    digest = models.CharField(max_length=64)
    """SHA-256 of the document as it was sent: the same again makes no new version."""
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-received_at", "-id"]
        indexes = [models.Index(fields=["backend", "-received_at"], name="catalogue_latest")]

    def __str__(self) -> str:
        return f"catalogue of {self.backend} of {self.received_at:%Y-%m-%d}"


class BackendHour(models.Model):
    """How a backend stood through one hour (UTC): what the status page's strip of 24 hours shows.

    How often its controller was `asked`, and how often it said `up`, `paused`, `maintenance`; the rest is missing.
    """

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="hours")
    hour = models.DateTimeField()
    asked = models.PositiveIntegerField(default=0)
    up = models.PositiveIntegerField(default=0)
    paused = models.PositiveIntegerField(default=0)
    maintenance = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["backend", "hour"], name="backend_hour_once")]

    def __str__(self) -> str:
        return f"{self.backend} at {self.hour}"
