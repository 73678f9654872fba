"""What left backends: releases, their files, and which of them are public."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from carrel.jobserver.models.backends import Backend
from carrel.jobserver.models.constraints import both_or_neither
from carrel.jobserver.models.people import User
from carrel.jobserver.models.projects import Workspace
from carrel.units.ulids import ULID_LENGTH, new_ulid

APPROVED, REJECTED = "approved", "rejected"
"""What can be decided of a request to publish."""


class Release(models.Model):
    """Files of one workspace that left one backend together. The id is the review site's, where it has one."""

    class ReleaseStatus(models.TextChoices):
        REQUESTED = "REQUESTED", "Requested"
        APPROVED = "APPROVED", "Approved"
        REJECTED = "REJECTED", "Rejected"

    id = models.CharField(primary_key=True, max_length=ULID_LENGTH, default=new_ulid)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="releases")
    backend = models.ForeignKey(Backend, on_delete=models.PROTECT, related_name="releases")
    status = models.CharField(max_length=20, choices=ReleaseStatus, default=ReleaseStatus.REQUESTED)
    metadata = models.JSONField(default=dict)
    review = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="releases")

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["workspace", "-created_at"], name="release_of_workspace")]

    def __str__(self) -> str:
        return self.id


class ReleaseFileQuerySet(models.QuerySet["ReleaseFile"]):
    """Files by what can be done with them."""

    def available(self) -> "ReleaseFileQuerySet":
        """Those whose bytes are here."""
        return self.filter(uploaded_at__isnull=False, deleted_at__isnull=True)

    def published(self) -> "ReleaseFileQuerySet":
        """Those that everybody may open: available ones of a snapshot that is public now."""
        return self.available().filter(Q(pk__in=Snapshot.objects.published().values("files")))


class ReleaseFile(models.Model):
    """One file of a release. The row is there before the bytes, and stays when they are deleted."""

    id = models.CharField(primary_key=True, max_length=ULID_LENGTH, default=new_ulid)
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="files")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="release_files")
    backend = models.ForeignKey(Backend, on_delete=models.PROTECT, related_name="release_files")
    """The release's: a file is one of a (workspace, backend, name), of which there may be several versions."""
    name = models.CharField(max_length=1024)
    """The file's path below its workspace; in lists of several backends `<backend>/<path>`."""
    path = models.CharField(max_length=1500)
    """Where the bytes are, below the setting RELEASE_STORAGE."""
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    modified_at = models.DateTimeField()
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    objects = ReleaseFileQuerySet.as_manager()

    class Meta:
        ordering = ["backend__slug", "name", "-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["release", "name"], name="release_file_once"),
            both_or_neither("releasefile", "deleted_at", "deleted_by"),
        ]
        indexes = [models.Index(fields=["workspace", "backend", "name", "-uploaded_at"], name="release_file_latest")]

    def __str__(self) -> str:
        return self.full_name

    @property
    def full_name(self) -> str:
        """`<backend>/<path>`: backends may have released files of the same name."""
        return f"{self.backend.slug}/{self.name}"

    @property
    def is_available(self) -> bool:
        """Its bytes are here."""
        return self.uploaded_at is not None and self.deleted_at is None


class ReleaseFileReview(models.Model):
    """What an output checker said of a file. All that were sent together have the same `created_at`."""

    release_file = models.ForeignKey(ReleaseFile, on_delete=models.PROTECT, related_name="reviews")
    status = models.CharField(max_length=20, choices=Release.ReleaseStatus)
    comments = models.JSONField(null=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.status} {self.release_file}"


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    """Snapshots by what is true of them."""

    def published(self) -> "SnapshotQuerySet":
        """Those that are public: a request to publish was approved and not taken back. The one truth about that."""
        approved = PublishRequest.objects.filter(decision=APPROVED, ended_at=None)
        return self.filter(pk__in=approved.values("snapshot"))


class Snapshot(models.Model):
    """A set of released files, for ever the same: what is drafted, decided and published together."""

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="snapshots")
    files = models.ManyToManyField(ReleaseFile, related_name="snapshots")
    digest = models.CharField(max_length=64)
    """SHA-256 of the files' sorted ids: the same set is the same snapshot."""
    version = models.PositiveIntegerField(null=True)
    """Which of the workspace's publications it is, from 1; it keeps its number, which papers cite, for ever."""
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="snapshots")

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "digest"], name="snapshot_once"),
            models.UniqueConstraint(fields=["workspace", "version"], name="snapshot_version_once"),
        ]

    def __str__(self) -> str:
        return f"snapshot {self.pk} of {self.workspace}"

    @property
    def is_published(self) -> bool:
        """It is public now."""
        return Snapshot.objects.published().filter(pk=self.pk).exists()


class PublishRequest(models.Model):
    """Somebody asked to make a snapshot public; somebody else decides."""

    class PublishDecision(models.TextChoices):
        YES = APPROVED, "Approved"
        NO = REJECTED, "Rejected"

    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="publish_requests")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    decision = models.CharField(max_length=20, choices=PublishDecision, null=True)
    decision_at = models.DateTimeField(null=True)
    decision_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True, default="")
    """Why it was rejected, or taken back."""
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """When an approval was taken back."""
    is_told = models.BooleanField(default=False)
    """The workspace's public page says that something was taken back here, when and why."""

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            both_or_neither("publishrequest", "decision_at", "decision_by", "decision"),
            both_or_neither("publishrequest", "ended_at", "ended_by"),
            models.UniqueConstraint(fields=["snapshot"], condition=Q(decision=None), name="publish_pending_once"),
            models.UniqueConstraint(
                fields=["snapshot"], condition=Q(decision=APPROVED, ended_at=None), name="published_once"
            ),
        ]

    def __str__(self) -> str:
        return f"request to publish {self.snapshot}"
