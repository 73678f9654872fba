"""The level 4 gate: which moderately sensitive files may be seen by output checkers (agent.md 1.4 and 4.5).

The contract's rules and words, closed where the contract is open: a file that cannot be checked does not pass.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from carrel.agent import contents
from carrel.agent.walk import open_beneath

MEBIBYTE = 1024 * 1024
LEVEL4_FILE_TYPES = frozenset(
    [".csv", ".jpg", ".jpeg", ".png", ".svg", ".svgz", ".html", ".txt", ".log", ".json", ".md"]
)
MODERATELY_SENSITIVE = "moderately_sensitive"
HIGHLY_SENSITIVE = "highly_sensitive"


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What one job's files may be. `max_filesize` in bytes; `file_types` with their dots, lower case."""

    max_filesize: int = 16 * MEBIBYTE
    max_csv_rows: int = 5000
    file_types: Collection[str] = field(default=LEVEL4_FILE_TYPES)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Why a file may not be seen at level 4. `reason` goes to the manifest and the log, `stub` to `<file>.txt`."""

    reason: str
    stub: str


def check_file(root: Path, path: str, limits: GateLimits) -> Exclusion | None:
    """None when the file `path` below `root` may go to level 4. Never raises for what is in the file.

    `root` must be safe to read below: no component of `path` is followed when it is a symlink.
    """
    findings = _findings(root, path, limits)
    if not findings:
        return None
    reason = ",".join(finding.reason for finding in findings)
    return Exclusion(reason, "\n\n".join(finding.stub for finding in findings) + "\n")


def _findings(root: Path, path: str, limits: GateLimits) -> list[Exclusion]:
    try:
        fd = open_beneath(root, path)
    except (OSError, ValueError):
        return [_unreadable(path, "it cannot be opened")]
    with os.fdopen(fd, "rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        if size > limits.max_filesize:
            return [_too_large(path, size, limits.max_filesize)]
        suffix = suffix_of(path)
        if suffix not in limits.file_types:
            return [_wrong_type(path, suffix, limits.file_types)]
        return _content_findings(path, stream.read(limits.max_filesize + 1), suffix, limits)


def suffix_of(path: str) -> str:
    """The last suffix in lower case, with its dot; empty for none."""
    return Path(path).suffix.lower()


def _content_findings(path: str, data: bytes, suffix: str, limits: GateLimits) -> list[Exclusion]:
    if len(data) > limits.max_filesize:
        return [_too_large(path, len(data), limits.max_filesize)]
    try:
        facts = contents.inspect(data, suffix, limits.max_filesize)
    except contents.Unreadable as error:
        return [_unreadable(path, str(error))]
    findings = [_patient_id(path)] if facts.patient_id else []
    if facts.rows > limits.max_csv_rows:
        findings.append(_too_many_rows(path, facts.rows, limits.max_csv_rows))
    return findings


def _too_large(path: str, size: int, limit: int) -> Exclusion:
    found, allowed = f"{size / MEBIBYTE:.1f}", f"{limit / MEBIBYTE:.1f}"
    return Exclusion(
        f"File size of {found}Mb is larger that limit of {allowed}Mb.",
        f"The file:\n\n{path}\n\nwas {found}Mb, which is above the limit for moderately_sensitive files of "
        f"{allowed}Mb.\n\n"
        "As such, it has *not* been copied to level 4. Reduce its size, or make it highly_sensitive and summarise it.",
    )


def _wrong_type(path: str, suffix: str, types: Collection[str]) -> Exclusion:
    allowed = ", ".join(sorted(types))
    return Exclusion(
        f"File type of {suffix} is not valid level 4 file",
        f"The file:\n\n{path}\n\nis of type {suffix or '(none)'}, which is not a valid file type for "
        f"moderately_sensitive files.\n\nAs such, it has *not* been copied to level 4. "
        f"The types allowed are: {allowed}.\n"
        "See https://docs.opensafely.org/requesting-file-release/#allowed-file-types",
    )


def _patient_id(path: str) -> Exclusion:
    return Exclusion(
        "File has patient_id column",
        f"The file:\n\n{path}\n\nhas not been made available in level 4 because it has a `patient_id` column.\n\n"
        "Patient-level data is not allowed in moderately_sensitive files by policy. Make it highly_sensitive, or "
        "aggregate it; if it is not patient-level data, give the column another name.",
    )


def _too_many_rows(path: str, rows: int, limit: int) -> Exclusion:
    return Exclusion(
        f"File row count ({rows}) exceeds maximum allowed rows ({limit})",
        f"The file:\n\n{path}\n\ncontained {rows} rows, which is above the limit for moderately_sensitive files of "
        f"{limit} rows.\n\nAs such, it has *not* been copied to level 4. If you need to release more rows than that, "
        "contact support.",
    )


def _unreadable(path: str, why: str) -> Exclusion:
    return Exclusion(
        f"File cannot be checked: {why}",
        f"The file:\n\n{path}\n\nhas not been made available in level 4 because it cannot be checked: {why}.",
    )
