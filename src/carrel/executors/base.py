"""The executor Protocol: three verbs and what is needed around them. Capabilities are data.

An executor knows processes and limits, nothing of jobs, workspaces, outputs or controllers. It holds no state in
memory that it cannot find again in the runtime or on disk: `inspect` must work in a new process after a crash.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from carrel.units.commands import fault_of_command

WORKSPACE = "/workspace"
"""Where every job finds its working folder."""
LEAST_MEMORY = 6 << 20
"""Bytes with which a program can be started at all: what Docker asks for."""
LEAST_CPUS = 0.01
"""Cores with which an engine starts a container at all."""
JOB_TMP, JOB_SHM = "/tmp", "/dev/shm"  # noqa: S108  (as a job sees them: its own, and gone with it)
JOB_ENV: Mapping[str, str] = {"HOME": JOB_TMP, "PYTHONUNBUFFERED": "1"}
"""What every job's environment begins with. Unbuffered: what is printed is in the log, however the job ends."""


HIDDEN_IN_PROC = (
    *("acpi", "asound", "buddyinfo", "cmdline", "config.gz", "crypto", "diskstats", "dma", "driver", "execdomains"),
    *("fb", "fs", "interrupts", "iomem", "ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup"),
    *("kpagecount", "kpageflags", "latency_stats", "locks", "mdstat", "misc", "modules", "mtrr", "pagetypeinfo"),
    *("partitions", "sched_debug", "schedstat", "scsi", "slabinfo", "softirqs", "swaps", "timer_list", "timer_stats"),
    *("tty", "vmallocinfo", "zoneinfo"),
)
"""Of /proc, what tells of the host and its other jobs, and no program of a study needs. Where a kernel has it."""


class Phase(StrEnum):
    """How far a process has come, as the runtime sees it."""

    ABSENT = "absent"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """`cpus` in cores, `memory` in bytes, `pids` a count. None: no limit asked for."""

    cpus: float | None = None
    memory: int | None = None
    pids: int | None = 4096

    def on_machine(self, cpus: float) -> "ResourceLimits":
        """The same where there are `cpus` cores: a job that asks for more gets what there is, as engines refuse it."""
        return self if self.cpus is None else replace(self, cpus=min(max(self.cpus, LEAST_CPUS), cpus))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One process to start. `name` is unique on the machine (the attempt), and is how it is found again."""

    name: str
    image: str
    """Full reference as in the task: `registry/path/name:tag`; a toolchain is found by its last part, `name:tag`."""
    args: tuple[str, ...]
    """What comes after the image: the entrypoint's arguments, or the program and its own where there is none."""
    workspace: Path
    """Host folder shown at /workspace, writable, and the working directory."""
    image_sha: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """Passed through the process environment, never on a command line."""
    limits: ResourceLimits = ResourceLimits()
    mounts: tuple[Mount, ...] = ()
    network: Network = Network()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the runtime says of a process, now. `exit_code` is 128+N when signal N ended it."""

    phase: Phase
    _: KW_ONLY
    exit_code: int | None = None
    oom_killed: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    image_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """Image labels (org.opencontainers.image.*), for metadata.json."""
    lost: bool = False
    """Ended without an exit code of its own (host rebooted, runtime restarted): run it again, blame nobody."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The runtime's full record, for metadata.json; environment values already redacted."""
    notes: tuple[str, ...] = ()
    """Sentences for the log's summary: how the limits were held, why it was lost."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources of a running process: `cpu_seconds` used so far, `memory` and `memory_peak` in bytes, I/O in bytes."""

    cpu_seconds: float
    memory: int
    memory_peak: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """True: `Network(mode="database")` can be given. False: file databases only, as read-only mounts."""


class ExecutorRefusal(Exception):
    """What was asked for is not allowed or not possible here, and asking again will not help: never retried.

    `kind` is the fixed word the controller may learn; the message is for the secure side.
    """

    kind = "refused"


class ImageNotAllowed(ExecutorRefusal):
    """The image is not on this agent's allow-list."""

    kind = "image_not_allowed"


class NotSupported(ExecutorRefusal):
    """This executor has not the capability that the spec asks for (a database network under bubblewrap)."""

    kind = "not_supported"


class JobImpossible(ExecutorRefusal):
    """No machine could start this: the study asks for it, and the study can mend it."""

    kind = "user_error"


def refuse_impossible(spec: RunSpec) -> None:
    """Raise `JobImpossible`, with what to change, for a command or a limit with which nothing can ever start."""
    reason = fault_of_command(spec.args)
    if reason:
        raise JobImpossible(f"The job cannot be started: {reason}.")
    for name, value in spec.env.items():
        if "\0" in name + value:
            raise JobImpossible(f"The job cannot be started: the variable {name!r} of its environment holds a NUL.")
    if spec.limits.memory is not None and spec.limits.memory < LEAST_MEMORY:
        raise JobImpossible(
            f"The job cannot be started with {spec.limits.memory} bytes of memory: ask for {LEAST_MEMORY >> 20}M or "
            "more in its `resources`."
        )


class ExecutorError(Exception):
    """An infrastructure fault: the runtime did not answer, the disk is full. Retried by the controller's rule."""

    kind = "executor_error"


class ImageUnavailable(ExecutorError):
    """No such image or toolchain here, and it could not be had."""

    kind = "image_unavailable"


class DiskFull(ExecutorError):
    """The disk that the runtime, or the state of a process, lies on has no room left."""

    kind = "disk_full"


class RuntimeUnavailable(ExecutorError):
    """The runtime (daemon, bwrap) is not there or does not answer."""

    kind = "runtime_unavailable"


@runtime_checkable
class Executor(Protocol):
    """All calls block, are idempotent and safe from many threads, and may raise `ExecutorError`.

    `prepare_image` and `start` may also raise `ExecutorRefusal`. An executor belongs to one owner (one agent): two
    agents on one machine, on one Docker engine, do not see each other's processes in `list`.
    """

    capabilities: Capabilities

    def prepare_image(self, image: str, image_sha: str | None) -> str:
        """Make the image ready (pulled once per digest) and return its id; ImageUnavailable when it cannot be had."""
        ...

    def start(self, spec: RunSpec) -> None:
        """Start the process, detached from this one. A process of that name already there is left alone."""
        ...

    def inspect(self, name: str) -> Inspection:
        """What the runtime says of the process now; ABSENT when it knows none of that name."""
        ...

    def wait(self, names: Iterable[str], timeout: float, wake: int | None = None) -> set[str]:
        """Names of those that are not running any more: at once if there are any, else at the first end.

        Empty after `timeout` seconds, or as soon as the file descriptor `wake` (a pipe, an eventfd; it is not read)
        becomes readable, so that one thread can wait for processes and for orders. Does not poll.
        """
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
        """Resources now, without starting a process; None when it is not running or cannot be measured."""
        ...

    def list(self) -> list[str]:
        """Names of all processes of this owner, running or not, that were not removed."""
        ...

    def close(self) -> None:
        """Give back connections and threads; what runs goes on running."""
        ...
