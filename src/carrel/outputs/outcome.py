"""What a finished process means for its job: the contract's messages (agent.md 4.5). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from carrel.jobs.exits import words_for
from carrel.jobs.statuses import STATUSES, StatusCode
from carrel.outputs.matching import MatchedOutputs

KILLED = 137
"""128 + SIGKILL."""
CANCELLED = "Job cancelled by system"
GIBIBYTE = 1024**3


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended. `memory_limit` in bytes, `timeout_seconds` where the time limit ended it."""

    exit_code: int | None
    oom_killed: bool = False
    cancelled: bool = False
    memory_limit: int | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """`message` and `hint` for log and metadata; `publish`: whether the outputs may replace those in the workspace."""

    message: str | None
    hint: str = ""
    publish: bool = False
    excluded: Mapping[str, str] = field(default_factory=dict)


def outcome_of(ending: Ending, matched: MatchedOutputs, excluded: Mapping[str, str] | None = None) -> AttemptOutcome:
    """Judge an ending with what was matched and which moderately sensitive files the gate excluded (path -> reason)."""
    excluded = excluded or {}
    if ending.cancelled:
        return AttemptOutcome(CANCELLED)
    if ending.exit_code == 0:
        return _outcome_of_success(matched, excluded)
    return AttemptOutcome(_failure_message(ending), excluded=excluded)


def _outcome_of_success(matched: MatchedOutputs, excluded: Mapping[str, str]) -> AttemptOutcome:
    if matched.unmatched_patterns:
        message = "\n  No outputs found matching patterns:\n - " + "\n   - ".join(matched.unmatched_patterns)
        return AttemptOutcome(message, _hint(matched), excluded=excluded)
    message = STATUSES[StatusCode.SUCCEEDED].message
    if excluded:
        message += (
            f", but {len(excluded)} file(s) marked as moderately_sensitive were excluded. See job log for details."
        )
    return AttemptOutcome(message, publish=True, excluded=excluded)


def _hint(matched: MatchedOutputs) -> str:
    hint = ""
    if matched.unmatched_outputs:
        hint += "\n  Did you mean to match one of these files instead?\n - " + "\n   - ".join(matched.unmatched_outputs)
    if matched.unchanged:
        hint += "\n  These were there before, and the job did not change them:\n - " + "\n   - ".join(matched.unchanged)
    if matched.unfit:
        hint += "\n  These match, but can never be outputs:\n - " + "\n   - ".join(matched.unfit)
    return hint


def _failure_message(ending: Ending) -> str | None:
    if ending.timeout_seconds is not None:
        return f"Job stopped: it ran longer than its time limit of {ending.timeout_seconds:g} seconds"
    if ending.oom_killed:
        limit = f" (limit was {ending.memory_limit / GIBIBYTE:.2f}GB)" if ending.memory_limit else ""
        child = "" if ending.exit_code == KILLED else ": one of its processes was killed, and the job then failed"
        return f"Job ran out of memory{limit}{child}"
    if ending.exit_code == KILLED:
        return "Job killed by OpenSAFELY admin or memory limits"
    reason = words_for(ending.exit_code)
    return f"Job failed: {reason}" if reason else None
