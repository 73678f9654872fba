"""Requests to run actions, on one or several backends, and the jobs they became."""

import secrets
import string

from django.db import models
from django.utils import timezone

from carrel.jobserver.models.backends import Backend
from carrel.jobserver.models.people import NAME_LENGTH, User
from carrel.jobserver.models.projects import NotifyWhen, Workspace
from carrel.jobserver.runs.derivation import CANCELLED, job_outcome

RAP_ID_LENGTH = 16


def new_rap_id() -> str:
    """Return 16 characters of lower-case base32 (RFC 4648), at random: the id a request has on every system."""
    return "".join(secrets.choice(string.ascii_lowercase + "234567") for _ in range(RAP_ID_LENGTH))


class ProjectDefinition(models.Model):
    """The text of a project.yaml or backends.yaml as it was when a run was asked for; the same text is stored once."""

    digest = models.CharField(max_length=64, primary_key=True)
    """SHA-256 of the text's UTF-8."""
    text = models.TextField()

    def __str__(self) -> str:
        return self.digest[:12]


class Schedule(models.Model):
    """Runs actions of a workspace again and again, on chosen backends, as the person who set it up."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="schedules")
    cron = models.CharField(max_length=100)
    """Five fields, in UTC (`0 6 * * 1`)."""
    actions = models.JSONField(default=dict)
    """By backend slug, the actions asked for."""
    force_run_dependencies = models.BooleanField(default=False)
    notify = models.CharField(max_length=20, choices=NotifyWhen, default=NotifyWhen.END)
    is_active = models.BooleanField(default=True)
    with_second_factor = models.BooleanField(default=False)
    """Whoever made it had signed in with one: its runs count as asked for so on backends that want that."""
    next_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    last_outcome = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["is_active", "next_at"], name="schedule_due")]

    def __str__(self) -> str:
        return f"{self.workspace} {self.cron}"


class RunGroup(models.Model):
    """One submission: the same commit of one workspace, asked to run on one or several backends."""

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="runs")
    commit = models.CharField(max_length=40)
    commit_subject = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    branch = models.CharField(max_length=255)
    definition = models.ForeignKey(ProjectDefinition, null=True, on_delete=models.PROTECT, related_name="runs")
    side_file = models.ForeignKey(ProjectDefinition, null=True, on_delete=models.PROTECT, related_name="+")
    """The study's backends.yaml, where it has one."""
    codelists_ok = models.BooleanField(default=True)
    database_name = models.CharField(max_length=100, default="default")
    notify = models.CharField(max_length=20, choices=NotifyWhen, default=NotifyWhen.END)
    notified_at = models.DateTimeField(null=True)
    """When the message of its end, or of its first failure, went into the outbox: there is one per run."""
    schedule = models.ForeignKey(Schedule, null=True, on_delete=models.SET_NULL, related_name="runs")
    submission_key = models.CharField(max_length=64, unique=True)
    """Made with the form, so that pressing the button twice, or reloading, makes one run."""
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="runs")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["workspace", "-created_at"], name="run_of_workspace"),
            models.Index(fields=["created_by", "-created_at"], name="run_of_person"),
            models.Index(fields=["-created_at"], name="run_latest"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.workspace}"

    def get_absolute_url(self) -> str:
        """Its page, by the contract's map of addresses."""
        return f"{self.workspace.get_absolute_url()}{self.pk}/"


class RequestStatus(models.TextChoices):
    """The contract's statuses of a request, stored so that lists can be filtered in SQL."""

    PENDING = "pending", "Waiting"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    NOTHING_TO_DO = "nothing_to_do", "Nothing to do"
    UNKNOWN = "unknown", "Unknown"
    UNKNOWN_ERROR_CREATING_JOBS = "unknown_error_creating_jobs", "Not known to the controller yet"


OUTCOMES = (*RequestStatus.values, CANCELLED)
"""What people are told of a request (`JobRequest.outcome`)."""
ACTIVE_STATUSES = (
    RequestStatus.PENDING,
    RequestStatus.RUNNING,
    RequestStatus.UNKNOWN,
    RequestStatus.UNKNOWN_ERROR_CREATING_JOBS,
)


class JobRequest(models.Model):
    """One backend's part of a run: what the controller knows as a RAP. It is stored, then sent, then marked as sent."""

    identifier = models.CharField(max_length=RAP_ID_LENGTH, unique=True, default=new_rap_id)
    """The RAP API's `rap_id`."""
    run = models.ForeignKey(RunGroup, on_delete=models.PROTECT, related_name="requests")
    backend = models.ForeignKey(Backend, on_delete=models.PROTECT, related_name="requests")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="requests")
    """The run's, so that questions of one (workspace, backend) need one index."""
    requested_actions = models.JSONField(default=list)
    force_run_dependencies = models.BooleanField(default=False)
    cancelled_actions = models.JSONField(default=list)
    """Those whose cancelling the controller has accepted."""
    reused = models.JSONField(default=dict)
    """By action, the identifier of the job whose outputs the plan reused when the run was asked for."""
    status = models.CharField(max_length=40, choices=RequestStatus, default=RequestStatus.PENDING)
    status_message = models.TextField(blank=True, default="")
    was_cancelled = models.BooleanField(default=False)
    """It has failed only since somebody cancelled (`failed_by_cancelling`). Stored, so that lists can be filtered."""
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="requests")
    updated_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    """When the controller answered `rap/create/`; None: it is in the outbox (or the backend's controller asks us)."""
    send_attempts = models.PositiveIntegerField(default=0)
    send_after = models.DateTimeField(null=True)
    send_error = models.TextField(blank=True, default="")
    """Why sending failed last, in words for the person who waits."""

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["run", "backend"], name="request_once_per_backend")]
        indexes = [
            models.Index(fields=["workspace", "backend", "-created_at"], name="request_of_workspace"),
            models.Index(fields=["status", "sent_at"], name="request_active"),
            models.Index(fields=["backend", "status", "-created_at"], name="request_of_backend"),
            models.Index(fields=["-created_at"], name="request_latest"),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def outcome(self) -> str:
        """Its status as people are told of it: the contract's, but `cancelled` where it only was cancelled."""
        return CANCELLED if self.was_cancelled else self.status


class Cancellation(models.Model):
    """Somebody asked to cancel actions of a request. Stored, then sent, then marked, as requests are."""

    request = models.ForeignKey(JobRequest, on_delete=models.CASCADE, related_name="cancellations")
    actions = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    sent_at = models.DateTimeField(null=True)
    send_attempts = models.PositiveIntegerField(default=0)
    send_after = models.DateTimeField(null=True)
    outcome = models.TextField(blank=True, default="")
    """What the controller answered, in words."""

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["sent_at", "send_after"], name="cancellation_to_send")]

    def __str__(self) -> str:
        return f"cancellation of {self.request}"


class Job(models.Model):
    """One action of one request, as its controller last told of it."""

    identifier = models.CharField(max_length=64, unique=True)
    request = models.ForeignKey(JobRequest, on_delete=models.CASCADE, related_name="jobs")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="jobs")
    backend = models.ForeignKey(Backend, on_delete=models.PROTECT, related_name="jobs")
    """The request's workspace and backend: the status of an action is always one of a (workspace, backend)."""
    action = models.CharField(max_length=255)
    run_command = models.TextField(blank=True, default="")
    requires_db = models.BooleanField(default=False)
    status = models.CharField(max_length=20)
    """pending, running, succeeded or failed."""
    status_code = models.CharField(max_length=40, blank=True, default="")
    status_message = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    metrics = models.JSONField(default=dict)
    samples = models.JSONField(default=list)
    """While it ran: `[time, percent of a core, megabytes]` at times, the newest last, thinned out as they grow many."""
    trace_context = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["workspace", "backend", "action", "-created_at"], name="jobserver_job_latest"),
            models.Index(fields=["backend", "status", "created_at"], name="jobserver_job_active"),
            models.Index(fields=["status", "-created_at"], name="jobserver_job_of_status"),
            models.Index(fields=["action", "request"], name="jobserver_job_of_action"),
            models.Index(fields=["completed_at"], name="jobserver_job_completed"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.identifier}"

    @property
    def outcome(self) -> str:
        """Its status as people are told of it: `cancelled` is none of the contract's."""
        return job_outcome(self.status, self.status_code)


class JobStatusChange(models.Model):
    """A job was first seen in a status: the steps of its timeline."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="changes")
    status_code = models.CharField(max_length=40)
    status_message = models.TextField(blank=True, default="")
    at = models.DateTimeField()
    """As the controller says (`updated_at`), else when we heard of it."""

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.job}: {self.status_code}"
