"""An attempt's working folder: what must survive a crash of the agent while the attempt lives.

task.json       the task as it came (mode 0600: it holds the attempt's token)
prepared.json   written last of all that preparing does; its time tells the job's files from what was there before
started.json    the runtime was asked to start the process, in which boot of the machine, and whether it did
cancelled       the controller wants it ended: the task that asks for it
timed-out       it ran longer than its limit
metrics.json    resources used so far
pins/           hard links to large inputs and to file databases
workspace/      /workspace of the process

Nothing here is fsynced, neither by us nor by the job: after a restart of the machine none of it is believed. Files that
say what was done name the boot they were written in, and what cannot be read is as good as not there.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from carrel.agent.attempt import StartState
from carrel.messages.tasks import Task
from carrel.outputs.trees import remove_tree
from carrel.outputs.unchanged_files import PlacedFile
from carrel.units.files import write_atomically

TRASH = ".trash-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What preparing found out. `at_ns`: files changed later are the job's. `bound`: path in the workspace -> the file
    shown there read-only. `study_actions`: those of the study's project.yaml, None when it cannot be read."""

    image_id: str
    at_ns: int = 0
    bound: Mapping[str, str] | None = None
    study_actions: list[str] | None = None
    database_version: str | None = None
    placed: Mapping[str, PlacedFile] = field(default_factory=dict)
    """What was in the workspace before the job, by path: inputs, and what its outputs' patterns match."""


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """Reads and writes one attempt's folder; holds nothing in memory."""

    root: Path

    @property
    def workspace(self) -> Path:
        """What the process sees as /workspace."""
        return self.root / "workspace"

    @property
    def pins(self) -> Path:
        """Hard links to what is shown to the process in the place of copies."""
        return self.root / "pins"

    def exists(self) -> bool:
        """Whether the attempt has a folder still."""
        return self.root.is_dir()

    def open(self, task: Task) -> None:
        """Make the folder and note the task, unless it is there."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o755)
        if not (self.root / "task.json").exists():
            self._write("task.json", task.model_dump_json(exclude_none=True).encode())

    def read_task(self) -> Task | None:
        """The task as it came; None when it was never noted, or not whole."""
        return self._read_task_file("task.json")

    def cancel(self, task: Task) -> None:
        """Note that `task` wants the attempt ended. It stays so."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._write("cancelled", task.model_dump_json(exclude_none=True).encode())

    def read_cancellation(self) -> Task | None:
        """The task that asked for the end, if one did."""
        return self._read_task_file("cancelled")

    def time_out(self) -> None:
        """Note that the job ran longer than its limit. It stays so."""
        self._write("timed-out", b"")

    def is_timed_out(self) -> bool:
        """Whether it was noted that the job ran longer than its limit."""
        return (self.root / "timed-out").exists()

    def reset(self) -> None:
        """As if it had never been prepared."""
        for name in ("prepared.json", "started.json"):
            (self.root / name).unlink(missing_ok=True)

    def empty_workspace(self) -> None:
        """Begin preparing anew, whatever an earlier try left."""
        for folder in (self.workspace, self.pins):
            if folder.exists():
                remove_tree(folder)
        self.workspace.mkdir(parents=True)

    def write_prepared(self, prepared: Prepared) -> None:
        """Note that preparing is done; its time tells the job's files from what was there before."""
        record = {
            "boot": boot_id(),
            "image_id": prepared.image_id,
            "bound": dict(prepared.bound or {}),
            "placed": {path: astuple(file) for path, file in prepared.placed.items()},
            "study_actions": prepared.study_actions,
            "database_version": prepared.database_version,
        }
        self._write("prepared.json", json.dumps(record).encode())

    def read_prepared(self) -> Prepared | None:
        """What preparing found out, in this boot of the machine; None when it is still to be done."""
        path = self.root / "prepared.json"
        record = _read_json(path)
        if record is None or record.pop("boot") != boot_id():
            return None
        placed = {
            path: PlacedFile((inode[0], inode[1]), *fields)
            for path, (inode, *fields) in record.pop("placed", {}).items()
        }
        return Prepared(at_ns=path.stat().st_mtime_ns, placed=placed, **record)

    def write_start(self, *, done: bool) -> None:
        """Note that the runtime is asked to start the process, or `done`: that it has it."""
        self._write("started.json", json.dumps({"boot": boot_id(), "done": done}).encode())

    def read_start(self) -> StartState:
        """How far the process's start has come, by what was noted in this boot of the machine."""
        record = _read_json(self.root / "started.json")
        if record is None:
            return StartState.NOT_YET
        return StartState.DONE if record["done"] or record["boot"] != boot_id() else StartState.BEGUN

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Without fsync: what is lost in a power cut is a few samples."""
        write_atomically(self.root / "metrics.json", json.dumps(dict(metrics)).encode(), synced="no")

    def read_metrics(self) -> dict[str, Any]:
        """Resources used so far, as `write_metrics` was given them; empty before the first sample."""
        return _read_json(self.root / "metrics.json") or {}

    def remove(self) -> None:
        """Take the folder away: out of sight first, so that half of it is never taken for an attempt."""
        trash = self.root.with_name(f"{TRASH}{self.root.name}-{secrets.token_hex(4)}")
        try:
            self.root.replace(trash)
        except FileNotFoundError:
            return
        remove_tree(trash)

    def _write(self, name: str, data: bytes) -> None:
        write_atomically(self.root / name, data, synced="no", mode=0o600)

    def _read_task_file(self, name: str) -> Task | None:
        record = _read_json(self.root / name)
        try:
            return Task.model_validate(record) if record else None
        except ValidationError:
            return None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        return record
    except (FileNotFoundError, ValueError):
        return None


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Changes with each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
