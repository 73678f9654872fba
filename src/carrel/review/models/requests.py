"""Release requests: their groups and files, votes, reviews, claims and comments (review-and-release.md section 2.1)."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from carrel.review.decisions import Vote
from carrel.review.machine import FINAL, STATES, ReviewStatus
from carrel.review.models.people import Account
from carrel.review.rules import FileType
from carrel.units.ulids import ULID_LENGTH, new_ulid

PATH_LENGTH = 1024
NAME_LENGTH = 200
FILE_TYPES = [(kind.value, kind.value) for kind in FileType]


class ReleaseRequest(models.Model):
    """Files of one workspace that an author asks to release together. The id becomes the release's."""

    id = models.CharField(primary_key=True, max_length=ULID_LENGTH, default=new_ulid)
    backend = models.CharField(max_length=100)
    workspace = models.CharField(max_length=200)
    project = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    organisations = models.JSONField(default=list)
    title = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    author = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="requests")
    status = models.CharField(
        max_length=20,
        choices=[(status.value, STATES[status].words) for status in ReviewStatus],
        default=ReviewStatus.PENDING.value,
    )
    status_at = models.DateTimeField(default=timezone.now)
    turn = models.PositiveIntegerField(default=0)
    """How often it changed hands: each submission and each return adds one (R17)."""
    checkers = models.PositiveSmallIntegerField(default=2)
    """How many reviews it needs, by the backend's policy when it was submitted last."""
    previous_reviewers = models.JSONField(default=list)
    """Usernames of those whose reviews were in when the last turn of the checkers ended."""
    created_at = models.DateTimeField(default=timezone.now)
    submitted_at = models.DateTimeField(null=True)
    """When it was submitted last: its age in the queue counts from here."""
    released_at = models.DateTimeField(null=True)
    release_url = models.CharField(max_length=500, blank=True, default="")
    is_automatic = models.BooleanField(default=False)
    """Made by `regular_release_requests.json`, not by hand."""

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["status", "submitted_at"], name="request_queue"),
            models.Index(fields=["workspace", "-created_at"], name="request_workspace"),
            models.Index(fields=["author", "-created_at"], name="request_author"),
        ]

    def __str__(self) -> str:
        return f"{self.title or self.workspace} ({self.id})"

    @property
    def is_final(self) -> bool:
        """Nothing about it changes any more."""
        return ReviewStatus(self.status) in FINAL


class FileGroup(models.Model):
    """Files of a request that are explained together."""

    request = models.ForeignKey(ReleaseRequest, on_delete=models.PROTECT, related_name="groups")
    name = models.CharField(max_length=NAME_LENGTH)
    """Lower case: two names that differ in case are one."""
    context = models.TextField(blank=True, default="")
    """What the files show: variables, population, methods."""
    controls = models.TextField(blank=True, default="")
    """What was done against disclosure: rounding, redaction."""
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["request", "name"], name="group_once")]

    def __str__(self) -> str:
        return self.name


class RequestFile(models.Model):
    """A file as it was when it was added: its bytes are the copy named by `sha256`, whatever happens later."""

    request = models.ForeignKey(ReleaseRequest, on_delete=models.PROTECT, related_name="files")
    group = models.ForeignKey(FileGroup, on_delete=models.PROTECT, related_name="files")
    path = models.CharField(max_length=PATH_LENGTH)
    """Below the workspace."""
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    file_type = models.CharField(max_length=20, choices=FILE_TYPES, default=FileType.OUTPUT.value)
    modified_at = models.DateTimeField()
    added_at = models.DateTimeField(default=timezone.now)
    # What made it, as the manifest says.
    action = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    job_id = models.CharField(max_length=100, blank=True, default="")
    job_request = models.CharField(max_length=100, blank=True, default="")
    run_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    repo = models.CharField(max_length=1000, blank=True, default="")
    commit = models.CharField(max_length=64, blank=True, default="")
    database_version = models.CharField(max_length=200, blank=True, default="")
    row_count = models.BigIntegerField(null=True)
    col_count = models.BigIntegerField(null=True)
    # A redacted version stands beside what it was made from.
    derived_from = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="derived")
    derivation_reason = models.TextField(blank=True, default="")
    # Its way out.
    released_at = models.DateTimeField(null=True)
    released_by = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField(null=True)
    upload_attempts = models.PositiveIntegerField(default=0)
    upload_attempted_at = models.DateTimeField(null=True)
    upload_error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["group__name", "path"]
        constraints = [models.UniqueConstraint(fields=["request", "path"], name="path_once_per_request")]
        indexes = [
            models.Index(fields=["sha256"], name="file_content"),
            models.Index(fields=["uploaded_at", "released_at"], name="file_upload"),
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class FileVote(models.Model):
    """What one checker says of one file."""

    file = models.ForeignKey(RequestFile, on_delete=models.CASCADE, related_name="votes")
    checker = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="votes")
    vote = models.CharField(max_length=20, choices=[(vote.value, vote.value) for vote in Vote])
    turn = models.PositiveIntegerField()
    """In which it was given or confirmed."""
    sha256 = models.CharField(max_length=64)
    """Of the bytes that were voted on: a vote never counts for others."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["file", "checker"], name="vote_once")]

    def __str__(self) -> str:
        return f"{self.checker_id}: {self.vote} {self.file}"


class SubmittedReview(models.Model):
    """A checker has finished with a request in one turn."""

    request = models.ForeignKey(ReleaseRequest, on_delete=models.PROTECT, related_name="reviews")
    checker = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="reviews")
    turn = models.PositiveIntegerField()
    submitted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["submitted_at"]
        constraints = [models.UniqueConstraint(fields=["request", "checker", "turn"], name="review_once_per_turn")]

    def __str__(self) -> str:
        return f"{self.checker_id} on {self.request_id}, turn {self.turn}"


class RequestClaim(models.Model):
    """A checker says that they look at this request; the queue shows it, and nobody is kept out by it."""

    request = models.ForeignKey(ReleaseRequest, on_delete=models.PROTECT, related_name="claims")
    checker = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="claims")
    claimed_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["claimed_at"]
        constraints = [
            models.UniqueConstraint(fields=["request", "checker"], condition=Q(ended_at=None), name="claim_once")
        ]

    def __str__(self) -> str:
        return f"{self.checker_id} claims {self.request_id}"


class Comment(models.Model):
    """What somebody says of a request, a group, a file, a line of it or a cell of its table."""

    request = models.ForeignKey(ReleaseRequest, on_delete=models.PROTECT, related_name="comments")
    group = models.ForeignKey(FileGroup, null=True, on_delete=models.PROTECT, related_name="comments")
    file = models.ForeignKey(RequestFile, null=True, on_delete=models.SET_NULL, related_name="comments")
    line = models.PositiveIntegerField(null=True)
    """From 1: a line of a text, or a row's line in a table's file."""
    column = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    """With `line`, a cell: the column's name in the table's header."""
    author = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="comments")
    text = models.TextField()
    """Markdown, of which a small part is shown as more than text."""
    is_public = models.BooleanField()
    turn = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)
    """Nobody sees it on a page any more; it stays for the audit."""

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.author_id} on {self.request_id}"
