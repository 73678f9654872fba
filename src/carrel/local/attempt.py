"""One attempt at one action on this machine: prepare, execute, finalize, clean up (local-run.md section 4)."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from carrel.executors.base import WORKSPACE, Executor, Mount, ResourceLimits, RunSpec
from carrel.jobs.identifiers import job_id
from carrel.jobs.statuses import STATUSES, StatusCode
from carrel.local.code import FORMER_OUTPUT, CodeVersion, Hashes
from carrel.local.records import ActionRecord
from carrel.local.settings import LocalSettings
from carrel.local.study import Study
from carrel.outputs.inputs import place_outputs
from carrel.outputs.level4 import Cancelled
from carrel.outputs.study_files import LeaveOut, copy_study, find_study_files
from carrel.outputs.trees import remove_tree
from carrel.outputs.unchanged_files import PlacedFile, highest_level, note_placed
from carrel.outputs.walk import printable
from carrel.project import Action
from carrel.telemetry import faults
from carrel.units.locks import lock

WAIT_SECONDS = 1.0
NAME_PREFIX = "carrel-run-"
ACTION_NOTE = "action.txt"
SKIPPED_SHOWN = 10
"""Files not copied that the progress of an action names; its log has them all."""

Tell = Callable[[str, StatusCode, str, bool], None]
"""(action, code, message, detail)."""


class Stopped(Cancelled):
    """The run is being stopped; nothing of this attempt is kept."""


@dataclass(slots=True, kw_only=True)
class RunContext:
    """What all attempts of one run share."""

    study: Study
    settings: LocalSettings
    executor: Executor
    request_id: str
    backend: str
    all_actions: frozenset[str]
    """Names of the actions of the whole project, whatever the backend."""
    hidden: LeaveOut
    former_outputs: Sequence[str]
    """Those of the hidden files that an earlier run made, and that no action makes now."""
    version: CodeVersion
    tell: Tell
    memory: int
    cpus: float
    memory_is_cap: bool = False
    cpus_is_cap: bool = False
    keep: bool = False
    """`--debug`: leave containers and folders behind."""
    hashes: Hashes = field(default_factory=Hashes)
    publishing: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)
    images: dict[str, str] = field(default_factory=dict)
    preparing_image: threading.Lock = field(default_factory=threading.Lock)

    def image_id(self, image: str) -> str:
        """Made ready once a run, not once an action."""
        with self.preparing_image:
            if image not in self.images:
                self.images[image] = self.executor.prepare_image(image, None)
            return self.images[image]

    def limits(self, action: Action) -> ResourceLimits:
        """What the action asks for, capped by `-m` and `--cpus` where those were given, else their default."""
        memory = action.resources.memory or self.memory
        cpus = action.resources.cpus or self.cpus
        return ResourceLimits(
            cpus=min(cpus, self.cpus) if self.cpus_is_cap else cpus,
            memory=min(memory, self.memory) if self.memory_is_cap else memory,
        )


class LocalAttempt:
    """Runs one action; `run` is called once, in a thread of its own."""

    def __init__(self, context: RunContext, action: Action, needed: Mapping[str, ActionRecord]) -> None:
        self.context, self.action, self.needed = context, action, needed
        self.id = job_id(context.request_id, action.action_id)
        self.name = NAME_PREFIX + self.id
        self.folder = context.study.scratch / self.id
        self.workspace = self.folder / "workspace"
        self.created_at = self.started_at = now()
        self.deadline: float | None = None
        self.timed_out = False
        self.image_id = ""
        self.code_hash = ""
        self.input_hashes: dict[str, str] = {}
        self.placed: dict[str, PlacedFile] = {}
        """What was in its folder before it began, by path: inputs, and what its outputs' patterns match."""
        self.skipped: list[str] = []
        self.memory_peak: int | None = None
        self._note: int | None = None
        """Names the action, and is locked as long as this attempt goes on: so is `carrel status` told of it."""

    def prepare(self) -> list[Mount]:
        self.tell(StatusCode.PREPARING)
        self.image_id = self.context.image_id(self.image)
        folder = self.context.study.folder
        self.workspace.mkdir(parents=True)
        self._note = lock(self.folder / ACTION_NOTE, note=self.action.action_id.encode())
        self.detail(StatusCode.PREPARING, f"Copying in code from {folder}")
        visible = find_study_files(folder, self.context.hidden)
        before = self.context.hashes.hash_code(folder, visible)
        copy_study(folder, visible, self.workspace)
        # What is not copied although nobody said so, with the reason: the first of it at once, all in the log.
        reasons = dict.fromkeys(self.context.former_outputs, FORMER_OUTPUT) | dict(visible.skipped)
        self.skipped = [f"{printable(path)}  - {reason}" for path, reason in sorted(reasons.items())]
        for line in self.skipped[:SKIPPED_SHOWN]:
            self.detail(StatusCode.PREPARING, f"Not copied: {line}")
        after = self.context.hashes.hash_code(folder, find_study_files(folder, self.context.hidden))
        # Edited while it was copied: nobody knows what ran, so it is never called up to date.
        self.code_hash = after if before == after else ""
        mounts = place_outputs(folder, self._note_inputs(), self.workspace, self.folder / "pins")
        self.placed = self._note_placed(mounts)
        # Files the job makes are newer than this one, by the file system's own clock.
        self._marker.touch()
        faults.point("local.prepared")
        self.tell(StatusCode.PREPARED)
        return mounts

    def _note_placed(self, mounts: list[Mount]) -> dict[str, PlacedFile]:
        levels: dict[str, str] = {}
        for record in self.needed.values():
            for path, level in record.outputs.items():
                levels[path] = highest_level([level, levels.get(path, "")])
        read_only = {mount.target.removeprefix(f"{WORKSPACE}/"): mount.source for mount in mounts}
        return note_placed(self.workspace, self.action.outputs.flat(), levels, self.input_hashes, read_only)

    def check(self) -> None:
        """Raise `Stopped` when the run is being stopped; called between blocks of long work."""
        if self.context.stopping.is_set():
            raise Stopped

    def _note_inputs(self) -> list[str]:
        folder = self.context.study.folder
        paths = [path for record in self.needed.values() for path in record.outputs]
        for path in paths:
            self.detail(StatusCode.PREPARING, f"Copying input file: {path}")
            self.input_hashes[path] = self.context.hashes.hash_file(folder / path)
        return paths

    @property
    def image(self) -> str:
        return self.context.settings.image(self.action.run)

    @property
    def _marker(self) -> Path:
        return self.folder / "prepared"

    def execute(self, mounts: list[Mount]) -> None:
        if self.context.stopping.is_set():
            raise Stopped
        self.started_at = now()
        self.context.executor.start(self._spec(mounts))
        faults.point("local.started")
        self.tell(StatusCode.EXECUTING)
        if self.action.resources.timeout:
            self.deadline = time.monotonic() + self.action.resources.timeout
        self._wait()
        self.tell(StatusCode.EXECUTED)

    @property
    def args(self) -> tuple[str, ...]:
        """The command: what comes after the image."""
        import shlex

        return tuple(shlex.split(self.action.run_command)[1:])

    def _spec(self, mounts: list[Mount]) -> RunSpec:
        env = {"OPENSAFELY_BACKEND": self.context.backend}
        if self.context.settings.stata_license and self.action.run.name.startswith("stata-mp"):
            env["STATA_LICENSE"] = self.context.settings.stata_license
        return RunSpec(
            name=self.name,
            image=self.image,
            args=self.args,
            workspace=self.workspace,
            env=env,
            limits=self.context.limits(self.action),
            mounts=tuple(mounts),
            labels={"workspace": self.context.study.name, "action": self.action.action_id, "carrel-local": "true"},
        )

    def _wait(self) -> None:
        executor = self.context.executor
        while not executor.wait([self.name], WAIT_SECONDS):
            if self.context.stopping.is_set():
                break
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self.timed_out = True
                executor.stop(self.name)
        if self.context.stopping.is_set():
            raise Stopped

    def stop(self) -> None:
        """Kill the process, if there is one; called from another thread once `stopping` is set."""
        self.context.executor.stop(self.name)

    def clean_up(self) -> None:
        if self._note is not None:
            os.close(self._note)
        if self.context.keep:
            return
        self.context.executor.stop(self.name)
        self.context.executor.remove(self.name)
        remove_tree(self.folder)

    def detail(self, code: StatusCode, message: str) -> None:
        """A line of progress within a step."""
        self.context.tell(self.action.action_id, code, message, True)

    def tell(self, code: StatusCode, message: str = "") -> None:
        """A step begins or ends; without a message, with the one that the status has of its own."""
        self.context.tell(self.action.action_id, code, message or STATUSES[code].message, False)

    def sample(self) -> int | None:
        """Most memory used so far, in bytes; called from another thread while the process runs."""
        usage = self.context.executor.usage(self.name)
        if usage is not None:
            self.memory_peak = max(self.memory_peak or 0, usage.memory_peak or usage.memory)
        return self.memory_peak


def now() -> datetime:
    return datetime.now(UTC)
