"""The older link between a job server and a controller (spec: job-server.md section 2.1, controller.md section 2.4).

The controller asks (`GET job-requests/`) and tells (`POST jobs/`); the job server only answers. These models are what
both sides send, in this order of keys; what they read of an older peer may lack every key that has a default here.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from carrel.messages.rap import AnalysisScope

ERROR_ACTION = "__error__"
"""The pseudo-action of a job that says what became of a request for which there are no jobs."""
PAGE_SIZE = 100
"""Requests on one page of `job-requests/`."""
FLAGS_HEADER = "Flags"
"""Header in which a controller tells a backend's flags: JSON, `{"paused": {"v": "true", "ts": "2026-..."}}`."""
POSTED = {"status": "success"}
"""The answer of `POST jobs/`."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        """Peers send null for what they do not know."""
        if not isinstance(values, dict):
            return values
        defaults = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: value for name, value in values.items() if value is not None or name not in defaults}


# -- job-requests/


class JobRequestWorkspace(_Message):
    """The workspace of a request; `repo` is the URL of its repository."""

    name: str
    repo: str
    branch: str
    created_by: str = ""
    created_at: str = ""


class ActiveJobRequest(_Message):
    """One request that a backend has not finished with. `identifier` is the RAP API's `rap_id`, `sha` the commit."""

    backend: str
    sha: str
    identifier: str
    force_run_dependencies: bool = False
    requested_actions: list[str]
    cancelled_actions: list[str] = []
    created_by: str = ""
    created_at: str = ""
    workspace: JobRequestWorkspace
    database_name: str = "default"
    project: str = Field(default="", description="Slug of the project")
    orgs: list[str] = Field(default=[], description="Slugs of the organisations")
    codelists_ok: bool = True
    analysis_scope: AnalysisScope | None = Field(
        default=None,
        exclude_if=lambda scope: scope is None,
        description="Not in the contract, and sent only where there is one: as in `rap/create/`",
    )


class JobRequestPage(_Message):
    """Answer of `GET job-requests/`: newest first, PAGE_SIZE a page; `next` and `previous` are URLs."""

    count: int
    next: str | None
    previous: str | None
    results: list[ActiveJobRequest]


# -- jobs/


class PostedJob(_Message):
    """One job of the list that `POST jobs/` takes. Further keys are ignored; times are UTC, in ISO 8601.

    A request's jobs always come together: the server deletes those of its jobs that a list with others of the same
    request does not hold.
    """

    job_request_id: str
    identifier: str
    action: str
    run_command: str | None = None
    status: Literal["pending", "running", "succeeded", "failed"]
    status_code: str = Field(description="The RAP API's list, and whatever else an older controller says")
    status_message: str
    created_at: str | None
    updated_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    trace_context: dict[str, str] | None = None
    metrics: dict[str, Any] | None = None
    requires_db: bool | None = None

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if not (self.job_request_id and self.identifier and self.action):
            raise ValueError("job_request_id, identifier and action must not be empty")
        return self


_POSTED_JOBS = TypeAdapter(list[PostedJob])


def read_posted_jobs(body: bytes) -> list[PostedJob]:
    """The jobs of a body of `POST jobs/`. Raises pydantic.ValidationError, whose text names the job and the key."""
    return _POSTED_JOBS.validate_json(body)


def posted_body(jobs: Sequence[PostedJob]) -> bytes:
    """The body of `POST jobs/`."""
    return _POSTED_JOBS.dump_json(list(jobs))
