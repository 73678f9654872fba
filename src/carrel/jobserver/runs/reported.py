"""What a controller says of one job, as a value within bounds: whatever it sends can be stored and shown."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from carrel.messages.job_requests import PostedJob
from carrel.messages.rap import RapJob
from carrel.units.limits import MAX_MESSAGE

MAX_IDENTIFIER = 64
MAX_ACTION = 255
MAX_RUN_COMMAND = 20_000
MAX_STATUS_CODE = 40
MAX_METRICS = 50
MAX_METRIC_TEXT = 200
MAX_TRACE_TEXT = 512
MAX_SAMPLES = 120
FIRST_YEAR, LAST_YEAR = 2000, 2199
"""Times outside of these years are taken for none."""

_IDENTIFIER = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_IDENTIFIER}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedJob:
    """One job as its controller tells of it now. Texts are cut and cleaned, times are UTC or None."""

    request_identifier: str
    backend: str = ""
    """Slug; empty where the link names none (the token says which backend it is)."""
    identifier: str
    action: str
    run_command: str = ""
    requires_db: bool = False
    status: str
    status_code: str = ""
    status_message: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    metrics: Mapping[str, Any]
    trace_context: Mapping[str, str]

    @classmethod
    def from_rap(cls, job: RapJob | Mapping[str, Any]) -> Self:
        """Read a job of `rap/status/`, whatever its codes and keys. Raises ValueError when it cannot be a job."""
        values = job.model_dump() if isinstance(job, RapJob) else dict(job)
        posted = PostedJob.model_validate({**values, "job_request_id": values.get("rap_id")})
        return cls.from_posted(posted, str(values.get("backend", "")))

    @classmethod
    def from_posted(cls, job: PostedJob, backend: str = "") -> Self:
        """Read a job of `POST jobs/`. Raises ValueError when its identifier or action cannot be stored."""
        if not _IDENTIFIER.fullmatch(job.identifier):
            raise ValueError("identifier must be 1 to 64 letters, digits, '.', '-' or '_'")
        if len(job.action) > MAX_ACTION:
            raise ValueError(f"action must have at most {MAX_ACTION} characters")
        return cls(
            request_identifier=job.job_request_id,
            backend=backend,
            identifier=job.identifier,
            action=storable_text(job.action, MAX_ACTION),
            run_command=storable_text(job.run_command or "", MAX_RUN_COMMAND),
            requires_db=bool(job.requires_db),
            status=job.status,
            status_code=storable_text(job.status_code, MAX_STATUS_CODE),
            status_message=storable_text(job.status_message, MAX_MESSAGE),
            created_at=utc_time(job.created_at),
            updated_at=utc_time(job.updated_at),
            started_at=utc_time(job.started_at),
            completed_at=utc_time(job.completed_at),
            metrics=_metrics(job.metrics or {}),
            trace_context={
                name: storable_text(value, MAX_TRACE_TEXT)
                for name, value in (job.trace_context or {}).items()
                if name in ("traceparent", "tracestate")
            },
        )


def with_sample(samples: Sequence[Sequence[Any]], reported: ReportedJob, now: datetime) -> list[Sequence[Any]]:
    """Return a job's samples with the one that a report holds: `[time, percent of a core, megabytes]`.

    A report that says the same again adds nothing. When there are many, every second one goes.
    """
    values = [reported.metrics.get(name) for name in ("cpu_sample", "mem_mb_sample")]
    values = [value if isinstance(value, int | float) else None for value in values]
    if values == [None, None] or (samples and list(samples[-1][1:]) == values):
        return list(samples)
    sparse = samples if len(samples) < MAX_SAMPLES else samples[::2]
    return [*sparse, [(reported.updated_at or now).isoformat(), *values]]


def storable_text(text: str, limit: int) -> str:
    """Return the text as every database stores it (no NUL, no lone surrogate), at most `limit` characters."""
    whole = text[:limit].encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return whole[: limit - 1] + "…" if len(text) > limit else whole


def utc_time(text: str | None) -> datetime | None:
    """Return the moment that ISO 8601 text names, in UTC where it names no zone; None for anything else."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None


def _metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and short texts, the first MAX_METRICS of them; anything else is left out."""
    metrics_read: dict[str, Any] = {}
    for name, value in list(metrics.items())[:MAX_METRICS]:
        key = storable_text(str(name), MAX_STATUS_CODE)
        if isinstance(value, str):
            metrics_read[key] = storable_text(value, MAX_METRIC_TEXT)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
            metrics_read[key] = value if math.isfinite(value) else 0
    return metrics_read
