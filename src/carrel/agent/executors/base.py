"""The executor Protocol: three verbs and what is needed around them. Capabilities are data.

An executor knows processes and limits, nothing of jobs, workspaces, outputs or controllers. It holds no state in
memory that it cannot find again in the runtime or on disk: `inspect` must work in a new process after a crash.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable


class Phase(StrEnum):
    """Where a process is."""

    ABSENT = "absent"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Limits:
    """`cpus` in cores, `memory` in bytes, `pids` a count. None: no limit asked for."""

    cpus: float | None = None
    memory: int | None = None
    pids: int | None = 4096


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the host made visible inside, read-only unless said otherwise."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """`mode`: "none", or "database" (only the database network, with `hosts` as name -> IP and no DNS)."""

    mode: str = "none"
    name: str | None = None
    hosts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One process to start. `name` is unique on the machine (the attempt), and is how it is found again."""

    name: str
    image: str
    """Full image reference as in the task: `registry/path/name:tag`."""
    args: tuple[str, ...]
    workspace: Path
    """Host folder shown at /workspace, writable, working directory where the runtime has none of its own."""
    image_sha: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """Passed through the process environment, never on a command line."""
    limits: Limits = Limits()
    mounts: tuple[Mount, ...] = ()
    network: Network = Network()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the runtime says of a process, now. `exit_code` is 128+N when signal N ended it."""

    phase: Phase
    exit_code: int | None = None
    oom_killed: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    image_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """Image labels (org.opencontainers.image.*), for metadata.json."""
    lost: bool = False
    """Ended without an exit code of its own (host rebooted, runtime restarted): run it again, blame nobody."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """The runtime's full record, for metadata.json; environment values already redacted."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources of a running process: `cpu_seconds` used so far, `memory` and `memory_peak` in bytes, I/O in bytes."""

    cpu_seconds: float
    memory: int
    memory_peak: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor can promise; the conformance suite tests exactly these."""

    name: str
    images: bool
    """True: container images with digests. False: toolchains (folders)."""
    memory_limit: str
    """"cgroup", "rlimit" or "none": how the memory limit is held."""
    cpu_limit: str
    pids_limit: str
    database_network: bool
    survives_agent_restart: bool = True


class ExecutorError(Exception):
    """An infrastructure fault: the runtime did not answer, the disk is full. Retried by the controller's rule."""

    kind = "executor_error"


class ImageUnavailable(ExecutorError):
    """No such image or toolchain here, and it could not be had."""

    kind = "image_unavailable"


class DiskFull(ExecutorError):
    kind = "disk_full"


class RuntimeUnavailable(ExecutorError):
    """The runtime (daemon, bwrap) is not there or does not answer."""

    kind = "runtime_unavailable"


@runtime_checkable
class Executor(Protocol):
    """All calls block and may raise `ExecutorError`; all but `start` are idempotent; safe from many threads."""

    capabilities: Capabilities

    def prepare_image(self, image: str, image_sha: str | None) -> str:
        """Make the image ready (pulled once per digest) and return its id; ImageUnavailable when it cannot be had."""
        ...

    def start(self, spec: RunSpec) -> None:
        """Start the process, detached from this one. A process of that name already there is left alone."""
        ...

    def inspect(self, name: str) -> Inspection: ...

    def wait(self, names: Iterable[str], timeout: float) -> set[str]:
        """Names of those that are not running any more; returns at the first change or after `timeout` seconds."""
        ...

    def logs(self, name: str, write: Callable[[bytes], object], max_bytes: int | None = None) -> int:
        """Write stdout and stderr merged, each line with an RFC 3339 timestamp; over `max_bytes` keep head and tail.

        Returns the number of bytes left out.
        """
        ...

    def stop(self, name: str) -> None:
        """Kill it and all it started. Ends with `inspect` saying EXITED (or ABSENT)."""
        ...

    def remove(self, name: str) -> None:
        """Forget it: container, supervisor files, cgroup. Its workspace folder is not the executor's."""
        ...

    def usage(self, name: str) -> Usage | None:
        """Resources now, without starting a process; None when it is not running."""
        ...

    def list(self) -> list[str]:
        """Names of all processes of this executor on this machine, running or not."""
        ...
