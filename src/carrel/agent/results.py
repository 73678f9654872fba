"""What leaves the secure side about a job, and nothing else (agent.md 1.5). Pure.

The rest of `metadata.json` (names of outputs, patterns, reasons, the container's record) stays.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from carrel.jobs.outcomes import REFUSAL_WORDS
from carrel.jobs.outcomes import ErrorType as ErrorType
from carrel.messages.tasks import JobResults

ERRORED = "Job errored"
_MOST_COUNTED = 10
_COUNT = re.compile(r"but (?!10 )[0-9]{2,} file\(s\)")
_LONGEST = 200
"""Characters of a value taken from an image's labels."""


def new_reference() -> str:
    """A number that finds the fault's text in the secure side's log."""
    return secrets.token_hex(4)


def error_of(kind: ErrorType, stage: str, reference: str, action: str | None = None) -> dict[str, Any]:
    """The `error` of results: one known word, the stage, the reference; `action` too when its output is gone."""
    error: dict[str, Any] = {"type": str(kind), "stage": stage, "reference": reference}
    return error | {"action": action} if kind in (ErrorType.INPUT_MISSING, ErrorType.INPUT_REPLACED) else error


def results_of(metadata: Mapping[str, Any], *, contract: bool = False) -> JobResults:
    """Reduce an attempt's metadata to what may leave.

    `contract`: for an OpenSAFELY controller, which would try a user's error again for ever; it gets a failed job.
    """
    error: dict[str, Any] | None = metadata.get("error") or None
    if contract and error and error["type"] in _FINAL_ERRORS:
        message = REFUSAL_WORDS.get(error["type"], _FINAL_ERRORS[error["type"]])
        return _reduce({**metadata, "status_message": message, "hint": "", "exit_code": None}, False)
    if error:
        return _reduce({**metadata, "status_message": ERRORED, "hint": ""}, error)
    return _reduce(metadata, False)


_FINAL_ERRORS = {
    **REFUSAL_WORDS,
    ErrorType.INPUT_MISSING: "An output file of an action that this one needs is missing from the workspace.",
    ErrorType.INPUT_REPLACED: "The outputs that this job was to read were replaced meanwhile. Run the action again.",
}


def _reduce(metadata: Mapping[str, Any], error: dict[str, Any] | bool) -> JobResults:
    unmatched = bool(metadata.get("unmatched_patterns"))
    # Only the message of a job that exited 0 can name files; one that was killed must be able to say why.
    exited_0 = _exit_code(metadata.get("exit_code")) == "0"
    silent = exited_0 and (unmatched or bool(metadata.get("unmatched_outputs")))
    timed_out = {"timed_out": True} if metadata.get("timed_out") else {}
    message = metadata.get("status_message")
    if isinstance(message, str):  # how many of its files are excluded is a number of a job's choosing, too
        message = _COUNT.sub(f"but more than {_MOST_COUNTED} file(s)", message)
    return JobResults(
        exit_code=_exit_code(metadata.get("exit_code")),
        docker_image_id=_short(metadata.get("docker_image_id")),
        status_message="" if silent else message,
        hint="" if silent else metadata.get("hint"),
        timestamp_ns=metadata.get("timestamp_ns"),
        action_version=_short(metadata.get("action_version")),
        action_revision=_short(metadata.get("action_revision")),
        action_created=_short(metadata.get("action_created")),
        base_revision=_short(metadata.get("base_revision")),
        base_created=_short(metadata.get("base_created")),
        has_unmatched_patterns=unmatched,
        has_level4_excluded_files=bool(metadata.get("level4_excluded_files")),
        error=error,
        job_metrics=_reduce_metrics(metadata.get("job_metrics")),
        **timed_out,
    )


def _exit_code(value: object) -> str | None:
    return None if value is None else str(value)


def _short(value: object) -> str | None:
    return None if value is None else str(value)[:_LONGEST]


def _reduce_metrics(metrics: object) -> dict[str, float]:
    """Numbers only; how much memory a job holds is one of its own choosing, so that two digits of it leave."""
    if not isinstance(metrics, Mapping):
        return {}
    numbers = {str(name): value for name, value in metrics.items() if isinstance(value, int | float)}
    return {
        name: type(value)(float(f"{value:.2g}")) if name.startswith("mem_") else value
        for name, value in numbers.items()
    }
