"""`metadata.json`: the permanent record of a job's latest attempt, on the secure side (agent.md 4.6). Pure."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carrel.executors.base import Inspection, Phase
from carrel.executors.redaction import redacted_environment
from carrel.messages.tasks import JobDefinition
from carrel.outputs.matching import NOTHING_MATCHED, MatchedOutputs

FILE = "metadata.json"
LOG = "logs.txt"

_LABELS = {
    "action_version": "org.opencontainers.image.version",
    "action_revision": "org.opencontainers.image.revision",
    "action_created": "org.opencontainers.image.created",
    "base_revision": "org.opensafely.base.vcs-ref",
    "base_created": "org.opencontainers.base.build-date",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """All that is known of an attempt at its end, besides its definition."""

    task_id: str
    inspection: Inspection = field(default_factory=lambda: Inspection(Phase.ABSENT))
    image_id: str | None = None
    exit_code: int | None = None
    matched: MatchedOutputs = NOTHING_MATCHED
    message: str | None = None
    hint: str = ""
    excluded: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    cancelled: bool = False
    timed_out: bool = False
    published: bool = False
    error: Mapping[str, Any] | None = None
    database_version: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    timestamp_ns: int = field(default_factory=time.time_ns)
    database_changes: Mapping[str, list[str | None]] = field(default_factory=dict)
    """Table -> its version when the action last ran, and now; of those that differ."""


def metadata_of(job: JobDefinition, facts: AttemptFacts) -> dict[str, Any]:
    """The record. Times as ISO 8601 in UTC but `timestamp_ns`; `exit_code` is text, or None."""
    inspection = facts.inspection
    return {
        "outputs": dict(facts.matched.outputs),
        "published": facts.published,
        "unmatched_patterns": list(facts.matched.unmatched_patterns),
        "unmatched_outputs": list(facts.matched.unmatched_outputs),
        "refused_outputs": dict(facts.refused),
        "status_message": facts.message,
        "hint": facts.hint,
        "timestamp_ns": facts.timestamp_ns,
        "job_definition_id": job.id,
        "job_definition_rap_id": job.rap_id,
        "task_id": facts.task_id,
        "workspace": job.workspace,
        "action": job.action,
        "created_at": iso(datetime.fromtimestamp(job.created_at, UTC)),
        "user": job.user,
        "started_at": iso(inspection.started_at),
        "completed_at": iso(inspection.finished_at or datetime.fromtimestamp(facts.timestamp_ns / 1e9, UTC)),
        "docker_image_id": inspection.image_id or facts.image_id,
        "expected_image_id": job.image_sha,
        "exit_code": None if facts.exit_code is None else str(facts.exit_code),
        "oom_killed": inspection.oom_killed,
        "container_metadata": redacted_container(inspection.metadata),
        "repo": job.repo_url,
        "commit": job.commit,
        "database_name": job.database_name,
        "database_version": facts.database_version,
        "database_changes": dict(facts.database_changes),
        **{key: inspection.labels.get(label) for key, label in _LABELS.items()},
        "level4_excluded_files": dict(facts.excluded),
        "cancelled": facts.cancelled,
        "timed_out": facts.timed_out,
        "error": dict(facts.error) if facts.error else False,
        "job_metrics": dict(facts.metrics),
    }


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, with microseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if moment else None


def redacted_container(record: object) -> Any:
    """The runtime's record with every value of `Env` lists masked but those known to be harmless."""
    if isinstance(record, list | tuple):
        return [redacted_container(value) for value in record]
    if not isinstance(record, Mapping):
        return record
    redacted: dict[str, Any] = {}
    for key, value in record.items():
        if key == "Env":
            redacted[key] = redacted_environment(map(str, value)) if isinstance(value, list | tuple) else []
        else:
            redacted[str(key)] = redacted_container(value)
    return redacted


def log_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the log's summary says of an attempt, in the contract's order."""
    keys = (
        "job_definition_id job_definition_rap_id commit docker_image_id exit_code created_at completed_at"
        " database_name database_version status_message hint"
    )
    fields = {key: record.get(key) for key in keys.split()}
    error = record.get("error")
    return fields | {"error": f"{error['type']} at {error['stage']}, reference {error['reference']}" if error else None}


def read(folder: Path, task_id: str | None = None) -> dict[str, Any] | None:
    """The record in a job's folder; None when there is none, or it is of another attempt than `task_id`."""
    try:
        record = json.loads((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    return record if task_id in (None, record.get("task_id")) else None


def dumps(record: Mapping[str, Any]) -> bytes:
    """The text of `metadata.json`."""
    return json.dumps(record, indent=2, default=str).encode()
