"""Control groups, version 1 and 2: limits on memory, cpu and processes, and what was used of them.

A group is a mapping from controller to its folder; in version 2 all of them are one folder. What may be created is
found by trying: root, or whoever a folder was delegated to. Formats: the kernel's `admin-guide/cgroup-v2.rst` and
`cgroup-v1/`.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from carrel.executors.base import ResourceLimits, Usage

CONTROLLERS = ("memory", "pids", "cpu", "cpuacct", "blkio")
NEEDED_V2 = ("memory", "pids")
CPU_PERIOD = 100_000  # microseconds, the kernel's default
PARENT = "carrel"
REMOVE_SECONDS = 5.0

Group = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where groups can be made: `version` 1 or 2, and the parent folder of each usable controller."""

    version: int
    parents: Group

    def has(self, controller: str) -> bool:
        """Whether groups of that controller can be made."""
        return controller in self.parents


def folders(group: Group) -> list[Path]:
    """The group's folders, each once."""
    return sorted(set(group.values()))


# --- what this machine has --------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def detect() -> Hierarchy | None:
    """The hierarchy in which this process may create groups, or None. Asked of the machine once."""
    mounts, own = _read_mounts(), group_of("self")
    return _detect_v2(mounts, own) or _detect_v1(own)


def _read_mounts() -> dict[str, Path]:
    """Controller -> mount point; "unified" for version 2."""
    mounts: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            mounts.setdefault("unified", Path(point))
        elif kind == "cgroup":
            for option in options.split(","):
                if option in CONTROLLERS:
                    mounts.setdefault(option, Path(point))
    return mounts


def group_of(pid: int | str) -> dict[str, Path]:
    """The group that a process is in, as folders of this mount namespace; empty when it has gone or cannot be seen."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return {}
    mounts = _read_mounts()
    group = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        for controller in names.split(",") if names else ["unified"]:
            if controller in mounts:
                folder = mounts[controller] / path.lstrip("/")
                # Inside a container the path is often the host's: what is mounted is then this container's own group.
                group[controller] = folder if folder.is_dir() else mounts[controller]
    return group


def _detect_v2(mounts: Mapping[str, Path], own: Group) -> Hierarchy | None:
    if "unified" not in own:
        return None
    top, here = mounts["unified"], own["unified"]
    candidates = [folder for folder in (here, *here.parents) if folder == top or top in folder.parents]
    for folder in reversed(candidates):  # the highest we may write to outlives a restart of the agent's own service
        controllers = _enable_v2(folder)
        if controllers:
            return Hierarchy(2, dict.fromkeys(controllers, folder / PARENT))
    return None


def _enable_v2(folder: Path) -> list[str]:
    """Make `folder/carrel` hand on its controllers; those it hands on, or none when that is not ours to do."""
    if not os.access(folder, os.W_OK) or not os.access(folder / "cgroup.procs", os.W_OK):
        return []
    with contextlib.suppress(OSError):
        parent = folder / PARENT
        for group in (folder, parent):
            group.mkdir(exist_ok=True)
            if not set(NEEDED_V2) <= set((group / "cgroup.controllers").read_text().split()):
                return []
            for controller in ("cpu", "io", *NEEDED_V2):
                with contextlib.suppress(OSError):
                    (group / "cgroup.subtree_control").write_text(f"+{controller}")
        enabled = (parent / "cgroup.subtree_control").read_text().split()
        return enabled if set(NEEDED_V2) <= set(enabled) else []
    return []


def _detect_v1(own: Group) -> Hierarchy | None:
    parents = {}
    for controller in CONTROLLERS:
        with contextlib.suppress(OSError, KeyError):
            folder = own[controller] / PARENT
            folder.mkdir(exist_ok=True)
            if os.access(folder / "cgroup.procs", os.W_OK):
                parents[controller] = folder
    return Hierarchy(1, parents) if parents else None


# --- one group ---------------------------------------------------------------------------------------------------


def create(hierarchy: Hierarchy, name: str, limits: ResourceLimits) -> dict[str, Path]:
    """A new group of that name with these limits. Left-overs of the name are killed and removed first."""
    group = {controller: parent / name for controller, parent in hierarchy.parents.items()}
    remove(folders(group))
    for folder in folders(group):
        folder.mkdir()
    _limit_memory(group, limits.memory)
    _limit_cpus(hierarchy.version, group, limits.cpus)
    if limits.pids is not None and "pids" in group:
        # Two processes of bwrap itself, and one moment of a third, stand in the group beside the job's.
        (group["pids"] / "pids.max").write_text(str(limits.pids + 3))
    return group


def _limit_memory(group: Group, size: int | None) -> None:
    if size is None or "memory" not in group:
        return
    folder = group["memory"]
    values = {
        "memory.limit_in_bytes": size,
        "memory.memsw.limit_in_bytes": size,
        "memory.max": size,
        "memory.swap.max": 0,
    }
    for name, value in values.items():
        if (folder / name).exists():
            (folder / name).write_text(str(value))


def _limit_cpus(version: int, group: Group, cpus: float | None) -> None:
    if cpus is None or "cpu" not in group:
        return
    quota = max(1000, int(cpus * CPU_PERIOD))
    if version == 2:
        (group["cpu"] / "cpu.max").write_text(f"{quota} {CPU_PERIOD}")
    elif (group["cpu"] / "cpu.cfs_quota_us").exists():
        (group["cpu"] / "cpu.cfs_quota_us").write_text(str(quota))


def remove(group_folders: Iterable[Path]) -> None:
    """Kill what is in these folders and remove them; RuntimeError if something will not die."""
    deadline = time.monotonic() + REMOVE_SECONDS
    for folder in group_folders:
        pause = 0.001
        while folder.is_dir():
            _kill_all(folder)
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"The control group {folder} cannot be removed: processes in it do not end.")
            time.sleep(pause)  # the kernel offers no event for the end of a version 1 group
            pause = min(pause * 2, 0.05)


def _kill_all(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
        return
    with contextlib.suppress(OSError):
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)


# --- what was used -----------------------------------------------------------------------------------------------


def usage(group: Group) -> Usage | None:
    """Resources of a group now, whichever version; None when it has gone."""
    if "unified" in group and (group["unified"] / "memory.current").exists():
        group = dict.fromkeys(CONTROLLERS, group["unified"])
    memory = _read_number(group, "memory", "memory.usage_in_bytes", "memory.current")
    if memory is None:
        return None
    nanoseconds = _read_number(group, "cpuacct", "cpuacct.usage")
    microseconds = _parse_table(_read(group, "cpu", "cpu.stat")).get("usage_usec", 0)
    # File pages that the kernel would give back first: not the job's need, as `docker stats` sees it too.
    statistics = _parse_table(_read(group, "memory", "memory.stat"))
    page_cache = statistics.get("total_inactive_file", statistics.get("inactive_file", 0))
    read, written = _read_io(group)
    return Usage(
        cpu_seconds=microseconds / 1e6 if nanoseconds is None else nanoseconds / 1e9,
        memory=max(0, memory - page_cache),
        memory_peak=_read_number(group, "memory", "memory.max_usage_in_bytes", "memory.peak"),
        read_bytes=read,
        written_bytes=written,
    )


def _read(group: Group, controller: str, *names: str) -> str:
    """The contents of the first of these files that the group has; "" when it has none."""
    for name in names:
        with contextlib.suppress(OSError, KeyError):
            return (group[controller] / name).read_text()
    return ""


def _read_number(group: Group, controller: str, *names: str) -> int | None:
    text = _read(group, controller, *names).strip()
    return int(text) if text.isdigit() else None


def _parse_table(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _read_io(group: Group) -> tuple[int | None, int | None]:
    text = _read(group, "io", "io.stat") or _read(group, "blkio", "io.stat")
    if text:
        pairs = [pair.partition("=") for pair in text.split() if "=" in pair]
        totals = {key: sum(int(value) for name, _, value in pairs if name == key) for key in ("rbytes", "wbytes")}
        return totals["rbytes"], totals["wbytes"]
    text = _read(group, "blkio", "blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes")
    if not text:
        return None, None
    rows = [line.split() for line in text.splitlines()]
    totals = {kind: sum(int(row[2]) for row in rows if len(row) == 3 and row[1] == kind) for kind in ("Read", "Write")}
    return totals["Read"], totals["Write"]
