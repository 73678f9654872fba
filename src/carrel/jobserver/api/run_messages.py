"""What our own API takes and answers about workspaces, plans, runs and jobs: the messages that OpenAPI shows."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from carrel.jobserver.api.bodies import StrictBody
from carrel.jobserver.models.runs import OUTCOMES
from carrel.messages.rap import COMMIT_PATTERN
from carrel.units.limits import MAX_ACTION_NAME, MAX_ACTIONS, MAX_BACKEND_NAME, MAX_BACKENDS

BackendSlug = Annotated[str, StringConstraints(min_length=1, max_length=MAX_BACKEND_NAME)]
ActionName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ACTION_NAME)]
Actions = Annotated[list[ActionName], Field(min_length=1, max_length=MAX_ACTIONS)]


class WorkspaceOut(BaseModel):
    """One branch of one repository."""

    name: str
    project: str = Field(description="Slug")
    repo_url: str
    branch: str
    purpose: str
    is_archived: bool
    created_at: datetime


class WorkspacePage(BaseModel):
    """Some of the workspaces; `next` and `previous` are addresses."""

    count: int
    next: str | None
    previous: str | None
    results: list[WorkspaceOut]


class RunIn(StrictBody):
    """What to run: on each backend (by slug) some actions, or `run_all`."""

    actions: dict[BackendSlug, Actions] = Field(
        min_length=1, max_length=MAX_BACKENDS, examples=[{"north": ["run_all"], "south": ["model"]}]
    )
    commit: str = Field(
        default="", pattern=f"^$|{COMMIT_PATTERN}", description="All 40 digits; empty: where the branch is now"
    )
    force: list[BackendSlug] = Field(
        default=[], max_length=MAX_BACKENDS, description="Backends where what the actions need runs again too"
    )
    notify: Literal["", "end", "first_failure", "never"] = Field(default="", description="Empty: as the workspace says")


class ActionForecast(BaseModel):
    """What becomes of one action."""

    action: str
    what: Literal["run", "reuse", "wait"]
    why: str = Field(examples=["runs: it was asked for"])


class BackendForecast(BaseModel):
    """What would happen on one backend."""

    backend: str
    actions: list[ActionForecast]


class PlanOut(BaseModel):
    """What would happen if this was run now."""

    commit: str
    backends: list[BackendForecast]


class JobOut(BaseModel):
    """One action on one backend."""

    identifier: str
    backend: str
    action: str
    run_command: str
    status: Literal["pending", "running", "succeeded", "failed", "cancelled"]
    status_code: str
    status_message: str
    next_step: str = Field(description="What the status code asks for, in words; empty for a code of another system")
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class RequestOut(BaseModel):
    """A run on one backend."""

    rap_id: str = Field(examples=["abcdefghij234567"])
    backend: str
    status: str = Field(description=", ".join(OUTCOMES))
    status_message: str
    requested_actions: list[str]
    cancelled_actions: list[str]
    force_run_dependencies: bool
    completed_at: datetime | None
    jobs: list[JobOut]


class RunOut(BaseModel):
    """A run, on each of its backends. `etag` changes when anything of it does."""

    id: int
    etag: str
    workspace: str
    commit: str
    created_by: str
    created_at: datetime
    is_over: bool
    requests: list[RequestOut]


class RunListed(BaseModel):
    """A run in a list."""

    id: int
    workspace: str
    commit: str
    created_by: str
    created_at: datetime
    statuses: dict[str, str] = Field(description="By backend")


class RunPage(BaseModel):
    """Some of the runs, newest first; `next` and `previous` are addresses."""

    count: int
    next: str | None
    previous: str | None
    results: list[RunListed]


class CancelIn(StrictBody):
    """What to cancel; without anything, all of the run that has not ended."""

    backends: list[BackendSlug] = Field(default=[], max_length=MAX_BACKENDS)
    actions: list[ActionName] = Field(default=[], max_length=MAX_ACTIONS)


class CancelOut(BaseModel):
    """By backend, what happens next; and what could not be cancelled, and why."""

    cancelled: dict[str, str]
    refused: dict[str, str]
