"""The RAP API between a job server and a controller (spec: controller.md section 2.2).

These models are the contract: requests are validated with the JSON Schema made from them (`request_schema`), answers
are serialised from them in this order of keys, and the OpenAPI document is generated from them.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RAP_ID_PATTERN = r"^[a-z0-9]{16}$"
COMMIT_PATTERN = r"^[0-9a-f]{40}$"

RapId = Annotated[str, Field(pattern=RAP_ID_PATTERN, description="Chosen by the client; one request for ever.")]
Timestamp = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$", description="UTC", examples=["2026-11-22T05:06:20Z"]),
]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


# -- rap/create/


class AnalysisScope(_Message):
    """What more than the standard data the study may use. Further keys are kept and handed on."""

    model_config = ConfigDict(frozen=True, extra="allow")

    dataset_permissions: list[
        Literal[
            "appointments",
            "icnarc",
            "isaric",
            "open_prompt",
            "ukrr",
            "waiting_list",
            "sgss_covid_all_tests",
            "occupation_on_covid_vaccine_record",
            "covid_therapeutics",
        ]
    ] = []
    population_permissions: list[Literal["include_ndoo", "include_t1oo", "include_gp_unactivated"]] = []
    component_access: list[Literal["event_level_data"]] = []


class RapCreateRequest(_Message):
    """Body of `POST rap/create/`. Unknown keys are ignored."""

    backend: str
    rap_id: RapId
    workspace: str = Field(description="Letters, digits, - and _")
    repo_url: str
    branch: str
    commit: str = Field(pattern=COMMIT_PATTERN)
    database_name: str = Field(description="One of the installation's VALID_DATABASE_NAMES")
    requested_actions: list[str] = Field(min_length=1, description="Names of actions, or `run_all`")
    codelists_ok: bool
    force_run_dependencies: bool
    created_by: str
    project: str
    orgs: list[str]
    analysis_scope: AnalysisScope | None = None


class CreateResult(StrEnum):
    SUCCESS = "Success"
    NO_CHANGE = "No change"
    NOTHING_TO_DO = "Nothing to do"


class RapCreateResponse(_Message):
    """Answer of `POST rap/create/`: 201 for Success, 200 for the other two. `count`: jobs of this request."""

    result: CreateResult
    details: str
    rap_id: str
    count: int


class ErrorResponse(_Message):
    """What every refused request gets."""

    error: str
    details: str


# -- rap/cancel/


class RapCancelRequest(_Message):
    """Body of `POST rap/cancel/`."""

    rap_id: RapId
    actions: list[str] = Field(min_length=1)


class RapCancelResponse(_Message):
    result: Literal["Success"] = "Success"
    details: str
    count: int = Field(description="Length of the list sent")


class JobsNotFoundResponse(_Message):
    """404 of `POST rap/cancel/`; nothing was cancelled. `not_found` is left out when the request has no jobs at all."""

    error: Literal["jobs not found"] = "jobs not found"
    details: str
    rap_id: str
    not_found: list[str] | None = None


# -- rap/status/


class RapStatusRequest(_Message):
    """Body of `POST rap/status/`."""

    rap_ids: list[RapId]


class RapStatusCode(StrEnum):
    """The contract's closed list. A status of ours that is not in it is sent as the nearest one that is."""

    CREATED = "created"
    INITIATED = "initiated"
    PAUSED = "paused"
    WAITING_DB_MAINTENANCE = "waiting_db_maintenance"
    WAITING_ON_DEPENDENCIES = "waiting_on_dependencies"
    WAITING_ON_WORKERS = "waiting_on_workers"
    WAITING_ON_DB_WORKERS = "waiting_on_db_workers"
    WAITING_ON_REBOOT = "waiting_on_reboot"
    WAITING_ON_NEW_TASK = "waiting_on_new_task"
    PREPARING = "preparing"
    PREPARED = "prepared"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FINALIZING = "finalizing"
    FINALIZED = "finalized"
    SUCCEEDED = "succeeded"
    DEPENDENCY_FAILED = "dependency_failed"
    NONZERO_EXIT = "nonzero_exit"
    CANCELLED_BY_USER = "cancelled_by_user"
    UNMATCHED_PATTERNS = "unmatched_patterns"
    INTERNAL_ERROR = "internal_error"
    KILLED_BY_ADMIN = "killed_by_admin"
    STALE_CODELISTS = "stale_codelists"
    JOB_ERROR = "job_error"


class RapJob(_Message):
    """One job of `rap/status/`. Times to the second."""

    identifier: str
    rap_id: str
    backend: str
    action: str
    run_command: str
    status: Literal["pending", "running", "succeeded", "failed"]
    status_code: RapStatusCode
    status_message: str
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None
    completed_at: Timestamp | None
    trace_context: dict[str, str] = Field(description="W3C trace context: `traceparent`, or empty")
    metrics: dict[str, Any] = Field(
        description="Empty, or cpu_sample/cumsum/mean/peak (percent of a core), mem_mb_sample/cumsum/mean/peak (MB) "
        "and container_id"
    )
    requires_db: bool


class RapStatusResponse(_Message):
    jobs: list[RapJob]
    unrecognised_rap_ids: list[str]


class RapJobStatuses(_Message):
    """Answer of `rap/status/` as a client reads it that must not stumble over one odd job: jobs as they came."""

    jobs: list[dict[str, Any]]
    unrecognised_rap_ids: list[str] = []


# -- backend/status/


class PausedStatus(_Message):
    status: Literal["on", "off"]
    since: Timestamp | None


class DbMaintenanceStatus(_Message):
    status: Literal["on", "off"]
    since: Timestamp | None
    type: Literal["scheduled", "manual"] | None


class BackendStatus(_Message):
    slug: str
    last_seen: Timestamp | None
    paused: PausedStatus
    db_maintenance: DbMaintenanceStatus


class BackendStatusResponse(_Message):
    backends: list[BackendStatus]


class RapBackendStates(_Message):
    """Answer of `backend/status/` as a client reads it that must not stumble over one odd backend."""

    backends: list[dict[str, Any]]


# -- JSON Schema


def request_schema(model: type[BaseModel], database_names: Sequence[str] = ("default",)) -> dict[str, Any]:
    """The JSON Schema (2020-12) that a body must meet, self-contained; `database_names` may be asked for."""
    schema = json_schema(model)
    if "database_name" in schema["properties"]:
        schema["properties"]["database_name"]["enum"] = list(database_names)
    return schema


def json_schema(model: type[BaseModel], mode: Literal["validation", "serialization"] = "validation") -> dict[str, Any]:
    """JSON Schema of a message as received or as sent; references written out, made-up titles and defaults left out."""
    schema = model.model_json_schema(mode=mode)
    definitions = schema.pop("$defs", {})
    plain: dict[str, Any] = _plain(schema, definitions)
    return plain


def _plain(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _plain(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    if "properties" in node:
        inner = {name: _plain(value, definitions) for name, value in node["properties"].items()}
        node = {key: value for key, value in node.items() if key != "properties"}
        return {**_plain(node, definitions), "properties": inner}
    plain = {key: _plain(value, definitions) for key, value in node.items() if key not in ("title", "default")}
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    return _nullable(plain)


def _nullable(node: dict[str, Any]) -> dict[str, Any]:
    """`anyOf: [X, null]` as X of type [x, "null"]: a validator then says what is wrong with X, not "no alternative"."""
    options = node.get("anyOf", [])
    if len(options) != 2 or options[1] != {"type": "null"} or "type" not in options[0]:
        return node
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    merged = {**options[0], "type": [options[0]["type"], "null"], **rest}
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return merged
