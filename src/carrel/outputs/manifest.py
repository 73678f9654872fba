"""`metadata/manifest.json`: what a workspace's outputs are and what made them (agent.md 1.3, 4.6)."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carrel.outputs.errors import StorageDamaged


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


def read(path: Path, workspace: str) -> dict[str, Any]:
    """The manifest, or an empty one. Old ones without `outputs` are completed.

    Raises StorageDamaged when it cannot be understood: it is never written over then.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        content = {}
    except ValueError:
        raise StorageDamaged(f"The manifest of workspace {workspace} is damaged") from None
    if not isinstance(content, dict) or not isinstance(content.setdefault("outputs", {}), dict):
        raise StorageDamaged(f"The manifest of workspace {workspace} is damaged")
    return {"workspace": workspace, "repo": None} | content


def updated(
    manifest: Mapping[str, Any],
    action: str,
    records: Iterable[OutputRecord],
    study_actions: Collection[str] | None,
) -> dict[str, Any]:
    """The manifest after `action` has made `records`, in the place of all it had made before.

    `study_actions`: those of the study's present project.yaml; None when they are not known.
    """
    entries = {record.path: entry_of(record) for record in records}
    outputs = {
        path: entry if path in entries else _aged(entry, action, study_actions)
        for path, entry in manifest["outputs"].items()
    }
    return {**manifest, "outputs": outputs | entries}


def entry_of(record: OutputRecord) -> dict[str, Any]:
    """An output as the manifest shows it, below its path."""
    entry = asdict(record)
    del entry["path"]
    if record.database_version is None:
        del entry["database_version"]
    return entry


def database_version(manifest: Mapping[str, Any], action: str) -> str | None:
    """Version of the data that `action` last made its outputs from; None where none is known."""
    entries = (entry for entry in manifest["outputs"].values() if entry.get("action") == action)
    return next((entry.get("database_version") for entry in entries if not entry.get("out_of_date_output")), None)


def _aged(entry: Mapping[str, Any], action: str, study_actions: Collection[str] | None) -> dict[str, Any]:
    """An earlier output that this job did not make: is its action still there, did its action stop making it?"""
    flags: dict[str, bool] = {}
    if study_actions is not None:
        flags["out_of_date_action"] = entry.get("action") not in study_actions
    if entry.get("action") == action:
        flags["out_of_date_output"] = True
    return {**entry, **flags}


def with_actions(manifest: Mapping[str, Any], study_actions: Collection[str]) -> dict[str, Any]:
    """The manifest with `out_of_date_action` set anew for every output."""
    return updated(manifest, "", (), study_actions)


def dumps(manifest: Mapping[str, Any]) -> bytes:
    """The manifest's bytes, as the contract writes them."""
    return json.dumps(manifest, indent=2).encode()
