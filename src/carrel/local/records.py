"""What the latest finished run of each action was: one JSON file per action in `metadata/jobs/`.

A record is replaced when a run ends, whole or not at all; a run that was killed or stopped leaves the old one, as the
contract ignores cancelled jobs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carrel.jobs.models import LatestJob
    from carrel.local.study import Study

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One finished run of one action. Times are ISO 8601 with their zone, hashes sha256 in hex, sizes in bytes."""

    id: str
    request_id: str
    action: str
    backend: str
    state: str
    status_code: str
    status_message: str
    created_at: str
    completed_at: str
    hint: str = ""
    exit_code: int | None = None
    started_at: str | None = None
    run: str = ""
    image: str = ""
    image_id: str = ""
    executor: str = ""
    commit: str = ""
    dirty: bool = False
    """Whether the study's folder had changes that are not in `commit`."""
    code_hash: str = ""
    """One hash of every file of the study that the action could see."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Hash of each output of a needed action it was given."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Path -> level."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Moderately sensitive outputs that would not reach level 4 -> why."""
    memory_peak: int | None = None

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"


def read_records(study: "Study") -> dict[str, ActionRecord]:
    """The records by action. One that cannot be read (damaged, say) counts as none: the action runs again."""
    records = (read_record(path) for path in sorted(study.records.glob("*.json")))
    return {record.action: record for record in records if record is not None}


def read_record(path: Path) -> ActionRecord | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if content.pop("format") != FORMAT:
            return None
        return ActionRecord(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def record_path(study: "Study", action: str) -> Path:
    return study.records / f"{action}.json"


def to_bytes(record: ActionRecord) -> bytes:
    return (json.dumps({"format": FORMAT, **asdict(record)}, indent=2) + "\n").encode()


def missing_outputs(study: "Study", record: ActionRecord) -> list[str]:
    """Recorded outputs whose files are gone."""
    return [path for path in record.outputs if not (study.folder / path).is_file()]


def read_latest_jobs(study: "Study", backend: str) -> "dict[str, LatestJob]":
    """What `plan()` looks at: the latest finished run of each action on this backend."""
    records = read_records(study).values()
    return {record.action: _latest(study, record) for record in records if record.backend == backend}


def _latest(study: "Study", record: ActionRecord) -> "LatestJob":
    from carrel.jobs.models import LatestJob
    from carrel.jobs.statuses import State, StatusCode

    return LatestJob(
        id=record.id,
        action=record.action,
        state=State(record.state),
        status_code=StatusCode(record.status_code),
        created_at=datetime.fromisoformat(record.created_at),
        completed_at=datetime.fromisoformat(record.completed_at),
        commit=record.commit,
        outputs_missing=bool(missing_outputs(study, record)),
    )
