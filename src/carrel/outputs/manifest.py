"""`metadata/manifest.json` as a backend keeps it: read, and brought up to date after an action (agent.md 4.6).

The format is in `carrel.messages.manifest`.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from carrel.messages.manifest import ManifestDamaged, OutputRecord, entry_of, parse
from carrel.outputs.errors import StorageDamaged


def read(path: Path, workspace: str) -> dict[str, Any]:
    """The manifest, or an empty one. Old ones without `outputs` are completed.

    Raises StorageDamaged when it cannot be understood: it is never written over then.
    """
    try:
        return parse(path.read_bytes(), workspace)
    except FileNotFoundError:
        return parse(b"{}", workspace)
    except ManifestDamaged as error:
        raise StorageDamaged(str(error)) from None


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
