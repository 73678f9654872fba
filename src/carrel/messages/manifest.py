"""`metadata/manifest.json` of a workspace: what its outputs are and what made them (agent.md 1.3). The format.

Agents write it, review sites read it, ours and OpenSAFELY's; old ones lack keys.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MANIFEST_PATH = "metadata/manifest.json"
"""Below a workspace's level 4 folder."""
METADATA_FOLDER = "metadata/"
"""Logs and the manifest itself: of no action's outputs."""


class ManifestDamaged(ValueError):
    """The manifest of a workspace cannot be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """One output as the manifest tells it. `size` in bytes, `timestamp` its modification time in seconds since 1970,
    `content_hash` the SHA-256 of the high privacy copy; counts only of CSV files that can be read."""

    path: str
    level: str
    job_id: str
    job_request: str
    action: str
    user: str
    repo: str
    commit: str
    size: int
    timestamp: float
    content_hash: str
    excluded: bool = False
    message: str | None = None
    row_count: int | None = None
    col_count: int | None = None
    database_version: str | None = None
    """Version of the data it was made from, where its action read a pinned database; else the key is left out."""


def parse(data: bytes, workspace: str) -> dict[str, Any]:
    """The manifest as JSON has it; old ones without `outputs` are completed. Raises ManifestDamaged."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.setdefault("outputs", {}), dict):
        raise ManifestDamaged(f"The manifest of workspace {workspace} is damaged")
    return {"workspace": workspace, "repo": None} | content


def entry_of(record: OutputRecord) -> dict[str, Any]:
    """An output as the manifest shows it, below its path."""
    entry = asdict(record)
    del entry["path"]
    if record.database_version is None:
        del entry["database_version"]
    return entry


def record_of_entry(path: str, entry: Mapping[str, Any], repo: str = "") -> OutputRecord:
    """An output as the manifest tells it, with "" and 0 for what an old one lacks. Raises ManifestDamaged.

    `repo`: that of the whole manifest, which stands for an output's own in old ones.
    """

    def text(key: str) -> str:
        value = entry.get(key)
        return value if isinstance(value, str) else ""

    def number(key: str) -> int | None:
        value = entry.get(key)
        return value if isinstance(value, int) and 0 <= value < 2**53 else None

    timestamp = entry.get("timestamp")
    digest = text("content_hash").lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise ManifestDamaged(f"The manifest has no usable content hash of {path}")
    return OutputRecord(
        path=path,
        level=text("level"),
        job_id=text("job_id"),
        job_request=text("job_request"),
        action=text("action"),
        user=text("user"),
        repo=text("repo") or repo,
        commit=text("commit"),
        size=number("size") or 0,
        timestamp=float(timestamp) if isinstance(timestamp, int | float) and 0 <= timestamp < 2**33 else 0.0,
        content_hash=digest,
        excluded=entry.get("excluded") is True,
        message=text("message") or None,
        row_count=number("row_count"),
        col_count=number("col_count"),
        database_version=text("database_version") or None,
    )


def dumps(manifest: Mapping[str, Any]) -> bytes:
    """The manifest's bytes, as the contract writes them."""
    return json.dumps(manifest, indent=2).encode()
