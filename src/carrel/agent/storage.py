"""Where everything lies on disk (agent.md 1.2), and who owns it."""

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from carrel.agent.errors import WorkspaceArchived
from carrel.units.locks import LockHeld, locked
from carrel.units.settings import SettingsError

ARCHIVE_SUFFIXES = (".tar.gz", ".tar.zstd", ".tar.xz")
METADATA_FOLDER = "metadata"
LOCK = "agent.lock"

_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def check_name(name: str) -> str:
    """`name` when it is safe as one component of a path; ValueError otherwise. For ids, workspaces and actions."""
    if name in ("", ".", "..") or "/" in name or not name.isprintable() or len(name.encode()) > 200:
        raise ValueError("not usable as a file name")
    return name


def check_identifier(name: str) -> str:
    """`name` when it is an id or a workspace's name: letters, digits, `_`, `.` and `-`; ValueError otherwise."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError("not usable as an identifier")
    return name


@dataclass(frozen=True, slots=True)
class Storage:
    """One backend's folders. `high` and `medium` are the two storage bases; `archives` and `volumes` lie in `high`
    unless the settings put them elsewhere."""

    high: Path
    medium: Path
    archives: Path
    volumes: Path

    @property
    def roots(self) -> list[Path]:
        """Where outputs become visible; the first holds the journals."""
        return [self.high, self.medium]

    @property
    def folders(self) -> list[Path]:
        """All that are this agent's alone."""
        return [self.high, self.medium, self.archives, self.volumes]

    def create(self) -> None:
        """Make the folders; existing ones are left as they are."""
        for folder in (self.high / "workspaces", self.high / "logs", self.medium / "workspaces"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        for folder in (self.archives, self.volumes):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)

    def workspace(self, workspace: str) -> Path:
        """All outputs of a workspace, both levels."""
        return self.high / "workspaces" / check_identifier(workspace)

    def level4(self, workspace: str) -> Path:
        """What output checkers may see of a workspace."""
        return self.medium / "workspaces" / check_identifier(workspace)

    def manifest(self, workspace: str) -> Path:
        """The workspace's manifest, which lies where output checkers may read it."""
        return self.level4(workspace) / METADATA_FOLDER / "manifest.json"

    def action_logs(self, workspace: str, action: str) -> tuple[Path, Path]:
        """The latest log of an action: high, medium."""
        name = f"{check_name(action)}.log"
        return self.workspace(workspace) / METADATA_FOLDER / name, self.level4(workspace) / METADATA_FOLDER / name

    def job_folder(self, job_id: str, created_at: int) -> Path:
        """Permanent record of a job (`logs.txt`, `metadata.json`); `created_at` of the job, seconds since 1970."""
        month = datetime.fromtimestamp(created_at, UTC).strftime("%Y-%m")
        return self.high / "logs" / month / f"os-job-{check_identifier(job_id)}"

    def find_job_folder(self, job_id: str) -> Path | None:
        """The permanent record of a job of which only the id is known."""
        paths = self.high.glob(f"logs/*/os-job-{check_identifier(job_id)}/metadata.json")
        return next((path.parent for path in paths), None)

    def attempt(self, task_id: str) -> Path:
        """Working folder of one attempt."""
        return self.volumes / check_identifier(task_id)

    def check_not_archived(self, workspace: str) -> None:
        """Raise WorkspaceArchived when the workspace has been put away and not been brought back."""
        if self.workspace(workspace).exists():
            return
        if any((self.archives / f"{workspace}{suffix}").exists() for suffix in ARCHIVE_SUFFIXES):
            raise WorkspaceArchived(workspace)


@contextlib.contextmanager
def owned(storage: Storage, backend: str) -> Iterator[None]:
    """Own the storage while the block runs; raises SettingsError that names the holder when another agent does.

    The locks are the kernel's: they go with the process, however it ends.
    """
    holder = {"backend": backend, "pid": os.getpid(), "host": socket.gethostname()}
    note = json.dumps(holder | {"since": datetime.now(UTC).isoformat(timespec="seconds")}).encode()
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys([storage.high, storage.medium, storage.volumes]):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            try:
                stack.enter_context(locked(folder / LOCK, timeout=0, mode=0o640, note=note))
            except LockHeld as refusal:
                raise SettingsError(
                    f"{folder} is in use by {_holder(refusal.note)}. Stop it, or use other folders."
                ) from None
        yield


def _holder(note: bytes) -> str:
    try:
        holder = json.loads(note)
        return (
            f"the agent of {holder['backend']} (process {holder['pid']} on {holder['host']}, since {holder['since']})"
        )
    except (ValueError, KeyError, TypeError):
        return "another agent"
