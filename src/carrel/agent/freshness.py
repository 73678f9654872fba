"""Which outputs of a workspace were made from data that has changed since: the manifest against the databases of now.

Only read, so the agent may be running. What is found stays on the secure side: it names tables.
"""

from collections.abc import Mapping
from typing import Any

from carrel.agent import databases, metadata
from carrel.agent.errors import DatabaseUnavailable
from carrel.agent.storage import Storage
from carrel.jobs.freshness import DataChange
from carrel.outputs import manifest


def changed_since(storage: Storage, urls: Mapping[str, str], workspace: str) -> dict[str, DataChange]:
    """By action, for each that has outputs made from a pinned database; `urls`: database name -> its address now.

    Raises StorageDamaged when the workspace's manifest cannot be read.
    """
    changes: dict[str, DataChange] = {}
    for entry in manifest.read(storage.manifest(workspace), workspace)["outputs"].values():
        action, version = entry.get("action", ""), entry.get("database_version")
        if version and action not in changes and not entry.get("out_of_date_output"):
            changes[action] = _compare(storage, urls, entry["job_id"], version)
    return changes


def _compare(storage: Storage, urls: Mapping[str, str], job_id: str, version: str) -> DataChange:
    folder = storage.find_job_folder(job_id)
    record: dict[str, Any] = (metadata.read(folder) if folder else None) or {}
    name = str(record.get("database_name") or "default").lower()
    if name not in urls:
        return DataChange(unknown=f"no database '{name}' is configured here now")
    try:
        return DataChange(databases.changes(urls[name], version, databases.read_version(urls[name])))
    except DatabaseUnavailable as error:
        return DataChange(unknown=str(error))
