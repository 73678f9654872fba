"""A job's log file: the container's lines, then the summary (agent.md 4.6), capped, and redacted for level 4."""

from collections.abc import Iterable, Mapping
from pathlib import Path

JOB_SUMMARY = "=============JOB SUMMARY============="


def summary(
    fields: Mapping[str, object],
    outputs: Mapping[str, str],
    excluded: Mapping[str, str] | None = None,
    sections: Mapping[str, Iterable[str]] | None = None,
) -> str:
    """The trailer of a log, from the blank line before the marker to the end.

    `fields` in order, those that are falsy left out; `outputs`: path -> level; `excluded`: path -> reason;
    `sections`: further titled lists (refused files, notes of the executor), after the contract's own.
    """
    raise NotImplementedError


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each secret, and its percent-encoded form, replaced by `[REDACTED]`."""
    raise NotImplementedError


def write_level4_copy(source: Path, target: Path, secrets: Iterable[str]) -> None:
    """Copy a log for level 4, secrets redacted, with a note at its head when it holds a long table."""
    raise NotImplementedError
