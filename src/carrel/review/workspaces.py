"""Workspaces as their manifests tell them: what may be looked at and requested, and what is not there (R2, R3).

Reads the level 4 folder of Carrel's agent or of OpenSAFELY's. Nothing is served that the map does not name, and no
symlink is followed, whatever lies on the disk.
"""

import logging
import os
import stat
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from carrel.messages.manifest import MANIFEST_PATH, METADATA_FOLDER, ManifestDamaged, OutputRecord, parse
from carrel.messages.manifest import record_of_entry as read_entry
from carrel.messages.releases import check_file_name
from carrel.review import settings
from carrel.review.rules import ActRefused, FileState, FileType
from carrel.units.beneath import open_beneath, parts_of
from carrel.units.limits import MAX_MANIFEST_BYTES, MAX_METADATA_FILES, MAX_WORKSPACE_OUTPUTS

logger = logging.getLogger(__name__)

LEVEL4 = "moderately_sensitive"
STUB_SUFFIX = ".txt"
"""What a refused output's explanation adds to its name."""


class WorkspaceUnreadable(ActRefused):
    """A workspace cannot be shown; says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceOutput:
    """One file that a workspace lists. `path` below it.

    `record`: what the manifest says; None for logs and other files in `metadata/`.
    """

    path: str
    record: OutputRecord | None = None
    is_outdated: bool = False
    """Its action is no longer in the study's project.yaml."""

    @property
    def is_stub(self) -> bool:
        """It explains why an output was refused at level 4."""
        return self.record is not None and self.record.excluded

    @property
    def can_be_requested(self) -> bool:
        return self.record is not None and not self.record.excluded


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWorkspace:
    """One workspace's map: `files` by path, in order. `damaged`: paths whose entries could not be understood."""

    name: str
    files: Mapping[str, WorkspaceOutput]
    damaged: tuple[str, ...] = ()
    repo: str = ""

    @property
    def outdated(self) -> int:
        """How many files are of actions that the study no longer has."""
        return sum(file.is_outdated for file in self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedContent:
    """A file's bytes and type as a request has them."""

    sha256: str
    file_type: FileType


def state_of(
    content_hash: str | None, *, released: Set[str] = frozenset(), requested: Iterable[RequestedContent] = ()
) -> FileState:
    """Return how a workspace's file stands to what was requested and released (section 2.3). Pure.

    `content_hash`: by the manifest, None when it does not list the file. `released`: hashes ever released from this
    workspace. `requested`: the file's path on the active requests that are looked at.
    """
    contents = tuple(requested)
    current = [content for content in contents if content.file_type is not FileType.WITHDRAWN]
    if content_hash is None:
        return FileState.INVALID
    if content_hash in released:
        return FileState.RELEASED
    if any(content.sha256 == content_hash for content in current):
        return FileState.UNDER_REVIEW
    if current:
        return FileState.UPDATED
    return FileState.WITHDRAWN if contents else FileState.UNRELEASED


def workspace_names() -> list[str]:
    """Return the names of the workspaces, in order. Folders without a manifest are left out, and logged (R3)."""
    with os.scandir(settings.get().workspaces) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    listed = []
    for name in names:
        if name.startswith("."):
            continue
        if (settings.get().workspaces / name / MANIFEST_PATH).is_file():
            listed.append(name)
        else:
            logger.error("The folder of workspace %s has no manifest; it is not shown.", name)
    return listed


def read_workspace(name: str) -> ListedWorkspace:
    """Return one workspace's map. Raises WorkspaceUnreadable where there is none, or its manifest is damaged."""
    folder = _folder(name)
    try:
        with os.fdopen(open_beneath(folder, MANIFEST_PATH), "rb") as stream:
            listed = _listed(name, stream.read(MAX_MANIFEST_BYTES + 1))
    except FileNotFoundError:
        raise WorkspaceUnreadable(f"{name} has no manifest: nothing has been run there yet.") from None
    except (OSError, ValueError) as error:
        reason = str(error) if isinstance(error, ManifestDamaged) else f"The manifest of {name} cannot be read"
        raise WorkspaceUnreadable(f"{reason}. {_ASK}") from None
    with os.scandir(folder / METADATA_FOLDER) as entries:
        names = [entry.name for entry in islice(entries, MAX_METADATA_FILES) if entry.is_file(follow_symlinks=False)]
    paths = [METADATA_FOLDER + name for name in sorted(names) if name.isprintable() and not name.startswith(".")]
    logs = {path: WorkspaceOutput(path=path) for path in paths}
    return ListedWorkspace(name=name, files={**listed.files, **logs}, damaged=listed.damaged, repo=listed.repo)


_ASK = "The engineers of this backend can mend it; nothing can be requested from it until then."


def open_listed(workspace: ListedWorkspace, path: str) -> BinaryIO:
    """Open a file that the workspace lists, to read it. Raises WorkspaceUnreadable: it is not listed, or not there."""
    if path not in workspace.files:
        raise WorkspaceUnreadable(f"{workspace.name} has no file {path}.")
    try:
        return os.fdopen(open_beneath(_folder(workspace.name), path), "rb")
    except (OSError, ValueError):
        raise WorkspaceUnreadable(
            f"{path} is in the manifest of {workspace.name} and cannot be read. Run its action again."
        ) from None


def _folder(name: str) -> Path:
    """Return a workspace's folder, which is no symlink. Raises WorkspaceUnreadable."""
    folder = settings.get().workspaces / name
    with suppress(OSError, ValueError):
        if len(parts_of(name)) == 1 and not name.startswith(".") and stat.S_ISDIR(folder.lstat().st_mode):
            return folder
    raise WorkspaceUnreadable(f"There is no workspace {name} on this backend.")


def _listed(name: str, data: bytes) -> ListedWorkspace:
    """Return the outputs of a manifest. Raises ManifestDamaged."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestDamaged(f"The manifest of workspace {name} is too long")
    content = parse(data, name)
    repo = content["repo"] if isinstance(content["repo"], str) else ""
    if len(content["outputs"]) > MAX_WORKSPACE_OUTPUTS:
        raise ManifestDamaged(f"The manifest of workspace {name} lists more than {MAX_WORKSPACE_OUTPUTS:,} outputs")
    files, damaged = {}, []
    for path, entry in sorted(content["outputs"].items()):
        if not isinstance(entry, dict):
            damaged.append(path)
            continue
        if entry.get("level") != LEVEL4 or entry.get("out_of_date_output") is True:
            continue
        try:
            shown = check_file_name(path) + (STUB_SUFFIX if entry.get("excluded") is True else "")
            record = read_entry(path, entry, repo)
        except ValueError:
            damaged.append(path)
        else:
            is_outdated = entry.get("out_of_date_action") is True
            files[shown] = WorkspaceOutput(path=shown, record=record, is_outdated=is_outdated)
    return ListedWorkspace(name=name, files=files, damaged=tuple(damaged), repo=repo)
