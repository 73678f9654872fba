"""Tables of the controller. Rows change only through `carrel.controller.service`.

Times are timezone-aware UTC. An id that a caller gives (rap_id) or that is derived from it (job id, task id) is
stored as is, so that doing something twice meets the first row instead of making a second.
"""

from typing import Any, NoReturn

from django.db import models

from carrel.jobs.statuses import State, StatusCode


class Backend(models.Model):
    """One place that holds data. Its row is what a scheduling pass locks on PostgreSQL."""

    slug = models.CharField(max_length=100, primary_key=True)

    def __str__(self) -> str:
        return self.slug


class RapOutcome(models.TextChoices):
    """What became of a request."""

    PLANNING = "", "being planned (or its planner was killed: planning again is safe)"
    CREATED = "created", "jobs were created"
    NOTHING_TO_DO = "nothing_to_do", "nothing to do"
    ERROR = "error", "refused"


class Rap(models.Model):
    """One request to run actions of one commit on one backend: inserted first, whatever becomes of it."""

    id = models.CharField(max_length=16, primary_key=True)
    backend = models.CharField(max_length=100)
    workspace = models.CharField(max_length=255)
    repo_url = models.TextField()
    branch = models.TextField(default="")
    commit = models.CharField(max_length=40)
    database_name = models.CharField(max_length=100, default="default")
    requested_actions = models.JSONField(default=list)
    codelists_ok = models.BooleanField(default=True)
    force_run_dependencies = models.BooleanField(default=False)
    created_by = models.TextField(default="")
    project = models.TextField(default="")
    orgs = models.JSONField(default=list)
    analysis_scope = models.JSONField(null=True)
    created_at = models.DateTimeField()
    outcome = models.CharField(max_length=20, choices=RapOutcome, default=RapOutcome.PLANNING, blank=True)
    outcome_details = models.TextField(default="", blank=True)
    outcome_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["backend", "created_at"], name="rap_backend_created")]

    def __str__(self) -> str:
        return self.id


class Job(models.Model):
    """One action of one request. `id` is derived from (rap_id, action)."""

    id = models.CharField(max_length=16, primary_key=True)
    rap = models.ForeignKey(Rap, on_delete=models.PROTECT, related_name="jobs", db_index=False)
    backend = models.CharField(max_length=100)
    workspace = models.CharField(max_length=255)
    action = models.CharField(max_length=255)
    position = models.PositiveIntegerField(default=0)
    # What to run. repo_url and commit are the reusable action's when it has one, else the study's.
    repo_url = models.TextField()
    commit = models.CharField(max_length=40)
    run_command = models.TextField()
    reusable_action = models.TextField(default="", blank=True)
    needs = models.JSONField(default=list)
    wait_for_job_ids = models.JSONField(default=list)
    input_job_ids = models.JSONField(default=dict)
    """By needed action, the job whose outputs this one reads: fixed when it is planned, whatever runs meanwhile."""
    output_spec = models.JSONField(default=dict)
    requires_db = models.BooleanField(default=False)
    database_name = models.CharField(max_length=100, null=True)
    analysis_scope = models.JSONField(null=True)
    weight = models.FloatField(default=1.0)
    cpu_count = models.FloatField(null=True)
    memory_limit = models.CharField(max_length=20, null=True)
    timeout_seconds = models.FloatField(null=True)
    # Where it is.
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in State], default=State.PENDING.value)
    status_code = models.CharField(max_length=40, default=StatusCode.CREATED.value)
    status_message = models.TextField(default="", blank=True)
    status_code_updated_at = models.DateTimeField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    cancelled = models.BooleanField(default=False)
    not_before = models.DateTimeField(null=True)
    """Earliest time of the next attempt (the pause before a retry)."""
    failed_attempts = models.PositiveIntegerField(default=0)
    """How often an infrastructure fault ended an attempt, or kept one from starting."""
    outputs_missing = models.BooleanField(default=False)
    """An agent found an output of this job gone: the next plan runs the action again."""
    metrics = models.JSONField(default=dict)
    trace_context = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rap", "action"], name="job_rap_action")]
        indexes = [
            # Not partial: with bound parameters SQLite cannot tell that a partial index fits the query.
            models.Index(fields=["backend", "state", "created_at"], name="job_active"),
            models.Index(fields=["backend", "workspace", "action", "-created_at"], name="job_latest"),
            models.Index(fields=["backend", "-completed_at"], name="job_completed"),
        ]

    def __str__(self) -> str:
        return f"{self.workspace}/{self.action} {self.id}"


class Task(models.Model):
    """One thing an agent is asked to do. A `runjob` task is an attempt at its job. `id` gives the order of creation."""

    task_id = models.CharField(max_length=120, unique=True)
    backend = models.CharField(max_length=100)
    type = models.CharField(max_length=20)
    job = models.ForeignKey(Job, null=True, on_delete=models.PROTECT, related_name="tasks")
    attempt = models.PositiveIntegerField(default=0)
    definition = models.JSONField()
    attributes = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    active = models.BooleanField(default=True)
    """The agent should see it. False once complete, superseded or cancelled."""
    finished_at = models.DateTimeField(null=True)
    agent_stage = models.CharField(max_length=40, default="", blank=True)
    agent_complete = models.BooleanField(default=False)
    agent_results = models.JSONField(null=True)
    agent_timestamp_ns = models.BigIntegerField(null=True)
    attempt_token = models.CharField(max_length=64, default="", blank=True)
    """Random; an update or heartbeat with another token than the job's latest attempt's is refused."""
    lease_expires_at = models.DateTimeField(null=True)
    """Set once one of Carrel's agents has sent a heartbeat; null for agents that know no leases."""
    superseded = models.BooleanField(default=False)
    publish_allowed_at = models.DateTimeField(null=True)
    """Set when the agent was given the word that this attempt may change its workspace. From then on the attempt is
    neither cancelled nor replaced: only the agent's last report ends it."""

    class Meta:
        indexes = [
            models.Index(fields=["backend", "active", "id"], name="task_active"),
            models.Index(fields=["backend", "type", "-id"], name="task_latest_of_type"),
        ]

    def __str__(self) -> str:
        return self.task_id


class Flag(models.Model):
    """A named value of one backend. Setting it to the value it has does not touch `timestamp`."""

    name = models.CharField(max_length=100)
    backend = models.CharField(max_length=100)
    value = models.TextField(null=True)
    timestamp = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["backend", "name"], name="flag_backend_name")]

    def __str__(self) -> str:
        return f"[{self.backend}] {self.name}={self.value}"


class AppendOnlyError(RuntimeError):
    """An event is never changed nor deleted. The database refuses it too (a trigger, in migration 0002)."""


class EventQuerySet(models.QuerySet["Event"]):
    def update(self, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("Events are append only: they cannot be updated.")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("Events are append only: they cannot be deleted.")


class Event(models.Model):
    """One change: who did what to which row, when. No foreign keys: events outlive what they tell of."""

    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    actor = models.CharField(max_length=255, default="", blank=True)
    """"client", "agent", "scheduler", or "admin:<login name>"."""
    backend = models.CharField(max_length=100, default="", blank=True)
    rap_id = models.CharField(max_length=16, default="", blank=True)
    job_id = models.CharField(max_length=16, default="", blank=True)
    task_id = models.CharField(max_length=120, default="", blank=True)
    data = models.JSONField(default=dict)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["job_id", "id"], name="event_job"),
            models.Index(fields=["rap_id", "id"], name="event_rap"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%M:%S} {self.kind} {self.job_id or self.rap_id or self.backend}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnlyError("Events are append only: they cannot be updated.")
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("Events are append only: they cannot be deleted.")


class Token(models.Model):
    """What an agent or a client of the RAP API shows. Only its hash is stored; it is good for one backend."""

    class Kind(models.TextChoices):
        AGENT = "agent", "agent"
        CLIENT = "client", "client"

    kind = models.CharField(max_length=10, choices=Kind)
    backend = models.CharField(max_length=100)
    name = models.CharField(max_length=100, default="", blank=True)
    token_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    created_by = models.TextField(default="", blank=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["backend", "kind", "token_hash"], name="token_once")]

    def __str__(self) -> str:
        return f"{self.kind} token {self.pk} of {self.backend}"


class JobServerLink(models.Model):
    """How it goes between one backend and the job server that is polled for it, and who polls just now."""

    backend = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=64, default="", blank=True)
    """A random word of the process that polls; another one may once the lease has expired."""
    lease_expires_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    """When all went well for the last time, to some seconds."""
    failures = models.PositiveIntegerField(default=0)
    """Exchanges that went wrong since then, one after another."""
    problem = models.TextField(default="", blank=True)
    """What went wrong in the last one."""
    problem_since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"link of {self.backend}"


class LinkedRequest(models.Model):
    """A request that came from a polled job server: its jobs are posted until the server has the last of them."""

    rap_id = models.CharField(max_length=16, primary_key=True)
    backend = models.CharField(max_length=100)
    seen_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    """When the server first took its jobs with nothing of them left to come."""

    class Meta:
        indexes = [models.Index(fields=["backend", "settled_at"], name="linked_unsettled")]

    def __str__(self) -> str:
        return self.rap_id


class ImageDigest(models.Model):
    """What a registry last said an image's tag stands for. `image` is the full reference, `registry/path/name:tag`."""

    image = models.CharField(max_length=255, primary_key=True)
    digest = models.CharField(max_length=100)
    fetched_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.image}@{self.digest}"
