"""The task API between a controller and an agent (spec: controller.md section 2.1).

`Task` and `JobDefinition` carry exactly the keys an OpenSAFELY agent expects, and no others: extra keys break it. What
only our own agent and controller say to each other lives in `TaskExtensions`, `TaskBatch` and the batch messages,
and is sent only when the agent's request carries the header `Carrel-Agent`.
"""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

CARREL_AGENT_HEADER = "Carrel-Agent"


class TaskType(StrEnum):
    RUNJOB = "runjob"
    CANCELJOB = "canceljob"
    DBSTATUS = "dbstatus"
    DBDATACHECK = "dbdatacheck"


class Stage(StrEnum):
    """What an agent says of a job's attempt."""

    UNKNOWN = "unknown"
    PREPARING = "preparing"
    PREPARED = "prepared"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FINALIZING = "finalizing"
    FINALIZED = "finalized"
    ERROR = "error"


class StudyCommit(BaseModel):
    model_config = ConfigDict(frozen=True)

    git_repo_url: str
    commit: str
    branch: str


class JobDefinition(BaseModel):
    """All that an agent needs to run one job once. `created_at` in seconds since 1970; sizes in bytes."""

    model_config = ConfigDict(frozen=True)

    id: str
    rap_id: str
    task_id: str = ""
    repo_url: str
    commit: str
    study: StudyCommit
    workspace: str
    action: str
    created_at: int
    user: str = ""
    image: str
    image_sha: str | None = None
    args: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    inputs: list[str] = Field(default_factory=list)
    input_job_ids: list[str] = Field(default_factory=list)
    output_spec: dict[str, str] = Field(default_factory=dict)
    allow_database_access: bool = False
    database_name: str | None = None
    cpu_count: float = 2.0
    memory_limit: str = "4G"
    level4_max_filesize: int = 16 * 1024 * 1024
    level4_max_csv_rows: int = 5000
    level4_file_types: list[str] = Field(default_factory=list)


class TaskExtensions(BaseModel):
    """What a task carries besides when the agent announced itself as Carrel's (key `carrel` of the task)."""

    model_config = ConfigDict(frozen=True)

    attempt_token: str
    attempt: int = 1
    lease_seconds: float | None = None
    timeout_seconds: float | None = None


class Task(BaseModel):
    """One thing for an agent to do. `carrel` is left out of the JSON when the agent is not ours."""

    model_config = ConfigDict(frozen=True)

    id: str
    backend: str
    type: TaskType
    definition: dict[str, Any]
    attributes: dict[str, Any] = Field(default_factory=dict)
    created_at: int
    carrel: TaskExtensions | None = None


class TaskList(BaseModel):
    """Answer of `GET /{backend}/tasks/`; `cursor` only for our own agent, to be sent back as `seen`."""

    tasks: list[Task]
    cursor: str | None = None


class TaskUpdate(BaseModel):
    """One report about one task. `attempt_token` only between our own agent and controller."""

    task_id: str
    stage: str
    results: dict[str, Any] | None = None
    complete: bool = False
    timestamp_ns: int | None = None
    attempt_token: str | None = None
    publish: bool = False
    """Ours only: may this attempt change its workspace now? 200 is the controller's word for it, which never expires;
    409 or 404: it may not."""


class UpdateBatch(BaseModel):
    """Body of `POST /{backend}/tasks/updates/` (JSON, ours only)."""

    updates: list[TaskUpdate]


class UpdateOutcome(BaseModel):
    """What became of one update: status 200 (taken, or already known), 404 (no such task), 409 (superseded)."""

    task_id: str
    status: int
    detail: str = ""


class UpdateBatchResult(BaseModel):
    outcomes: list[UpdateOutcome]


class Heartbeat(BaseModel):
    """Body of `POST /{backend}/tasks/heartbeat/` (JSON, ours only): renews the lease of each running attempt."""

    attempts: dict[str, str] = Field(description="task id -> attempt token")


class HeartbeatResult(BaseModel):
    superseded: list[str] = Field(default_factory=list, description="task ids whose token is no longer valid")


class JobResults(BaseModel):
    """`results` of a finished runjob or canceljob: all that ever leaves the secure side (agent.md 1.5, 2.1).

    `error` is falsy when the attempt went well; otherwise {"type": <fixed vocabulary>, "stage": ..., "reference": ...}.
    Further keys (redacted container metadata) may be present when an OpenSAFELY agent sends them.
    """

    model_config = ConfigDict(extra="allow")

    exit_code: str | int | None
    docker_image_id: str | None
    status_message: str | None
    hint: str | None
    timestamp_ns: int | None
    action_version: str | None
    action_revision: str | None
    action_created: str | None
    base_revision: str | None
    base_created: str | None
    has_unmatched_patterns: bool
    has_level4_excluded_files: bool
    error: dict[str, Any] | str | bool | None
    job_metrics: dict[str, Any] | None = None
