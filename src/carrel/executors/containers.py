"""One container as values: the body that creates it, and what the engine's record of it means. Asks no engine."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carrel.executors import seccomp
from carrel.executors.base import HIDDEN_IN_PROC, JOB_ENV, JOB_TMP, WORKSPACE, NotSupported, Phase, RunSpec
from carrel.executors.redaction import redacted_environment
from carrel.executors.references import full_reference

OWNER_LABEL = "carrel.owner"
NO_DNS = "192.0.2.0"  # TEST-NET-1, where nothing answers (RFC 5737)
LOG_CONFIG = {"Type": "local", "Config": {"max-size": "20m", "max-file": "200", "compress": "true"}}
ULIMITS = {"nofile": 16384, "core": 0}
HIDDEN_IN_SYS = ("/sys/firmware", "/sys/devices/virtual/powercap")
CANNOT_START = (126, 127)
KILLED_OR_UNKNOWN = (137, 143, 255)


@dataclass(frozen=True, slots=True)
class ContainerDefaults:
    """What all containers of one agent have in common. `user`: uid and gid inside; `tmp_bytes`: size of /tmp."""

    owner: str
    flavour: str
    user: tuple[int, int]
    userns: str | None
    tmp_bytes: int


def create_body(spec: RunSpec, defaults: ContainerDefaults) -> dict[str, Any]:
    """The body of the create request: the contract's flags (agent.md 4.4), and tighter."""
    limits = spec.limits
    # Podman takes a file's path in the place of a profile; it keeps its own.
    profile = seccomp.profile() if defaults.flavour == "docker" else None
    host = {
        "Init": True,
        "ReadonlyRootfs": True,
        "Tmpfs": {JOB_TMP: f"rw,exec,nosuid,nodev,mode=1777,size={defaults.tmp_bytes}"},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", *([f"seccomp={profile}"] if profile else [])],
        "MaskedPaths": [*(f"/proc/{name}" for name in HIDDEN_IN_PROC), *HIDDEN_IN_SYS],
        "PidsLimit": limits.pids,
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "NanoCpus": int(limits.cpus * 1e9) if limits.cpus else None,
        "Ulimits": [{"Name": name, "Soft": value, "Hard": value} for name, value in ULIMITS.items()],
        "LogConfig": LOG_CONFIG if defaults.flavour == "docker" else None,
        "UsernsMode": defaults.userns,
        "IpcMode": "private",
        "Mounts": _mounts(spec),
        **_network(spec),
    }
    env = {**JOB_ENV, **spec.env}
    return {
        "Image": full_reference(spec.image, spec.image_sha) if spec.image_sha else spec.image,
        "Cmd": list(spec.args),
        "Env": [f"{key}={value}" for key, value in env.items()],
        "User": "{}:{}".format(*defaults.user),
        "WorkingDir": WORKSPACE,
        "Labels": {**spec.labels, OWNER_LABEL: defaults.owner},
        "HostConfig": {key: value for key, value in host.items() if value is not None},
    }


def _mounts(spec: RunSpec) -> list[dict[str, Any]]:
    workspace = {"Type": "bind", "Source": str(spec.workspace), "Target": WORKSPACE, "ReadOnly": False}
    further = [
        {"Type": "bind", "Source": str(mount.source), "Target": mount.target, "ReadOnly": not mount.writable}
        for mount in spec.mounts
    ]
    return [workspace, *further]


def _network(spec: RunSpec) -> dict[str, Any]:
    if spec.network.mode == "none":
        return {"NetworkMode": "none"}
    if spec.network.mode != "database" or not spec.network.name:
        raise NotSupported("A job's network is none, or the database's, which DATABASE_ACCESS_NETWORK names.")
    hosts = [f"{host}:{address}" for host, address in spec.network.hosts.items()]
    return {"NetworkMode": spec.network.name, "Dns": [NO_DNS], "ExtraHosts": hosts}


def phase_of(state: Mapping[str, Any]) -> Phase:
    """A container that was made but never started is as good as none: `start` takes it up."""
    if state["Status"] in ("created", "configured", "initialized"):
        return Phase.EXITED if state.get("ExitCode") in CANNOT_START else Phase.ABSENT
    return Phase.EXITED if state["Status"] in ("exited", "dead", "stopped") else Phase.RUNNING


def is_lost(state: Mapping[str, Any], booted: datetime | None, engine_started: datetime | None) -> bool:
    """Whether the machine or the engine ended the container, and not the job itself.

    A clean shutdown kills containers (137, 143) before the machine goes; after a crash the engine finds them dead and
    says 255, with its own start as the time of their end.
    """
    started, finished = parse_time(state.get("StartedAt")), parse_time(state.get("FinishedAt"))
    if state.get("OOMKilled") or state.get("ExitCode") not in KILLED_OR_UNKNOWN or started is None or finished is None:
        return False
    if booted and started < booted:
        return True
    return bool(state["ExitCode"] == 255 and engine_started and started < engine_started <= finished)


def started_at(state: Mapping[str, Any], ended: bool) -> datetime | None:
    """The engine notes the start after the fact: of a very short process, sometimes after its end."""
    started, finished = parse_time(state.get("StartedAt")), parse_time(state.get("FinishedAt"))
    return min(started, finished) if started and finished and ended else started


def boot_time() -> datetime | None:
    """When this machine was started; None where the kernel does not say."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/stat").read_text().splitlines()
        seconds = next(line.split()[1] for line in lines if line.startswith("btime"))
        return datetime.fromtimestamp(int(seconds), UTC)
    return None


def engine_start() -> datetime | None:
    """When Docker's daemon was started; None where its pid file cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(Path("/var/run/docker.pid").read_text())
        return datetime.fromtimestamp(Path(f"/proc/{pid}").stat().st_ctime, UTC)
    return None


def parse_time(text: str | None) -> datetime | None:
    """RFC 3339 with nanoseconds; None for the engine's zero time."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def redacted(record: dict[str, Any]) -> dict[str, Any]:
    """The engine's record for metadata.json: the environment's values masked, the filter by its name."""
    config = {**record["Config"], "Env": redacted_environment(record["Config"].get("Env") or ())}
    options: list[str] = record["HostConfig"].get("SecurityOpt") or []
    named = ["seccomp=carrel" if option.startswith("seccomp={") else option for option in options]
    return {**record, "Config": config, "HostConfig": {**record["HostConfig"], "SecurityOpt": named}}


def notes_of(record: Mapping[str, Any], lost: bool) -> tuple[str, ...]:
    """What the job's log says of how its limits were held."""
    host = record["HostConfig"]
    enforced = {
        "memory": f"{host['Memory'] / (1 << 30):.2f} GB" if host.get("Memory") else None,
        "cpus": f"{host['NanoCpus'] / 1e9:g}" if host.get("NanoCpus") else None,
        "pids": str(host["PidsLimit"]) if host.get("PidsLimit") else None,
    }
    parts = [f"{name} {value}" for name, value in enforced.items() if value]
    notes = ["Limits by the container engine: " + (", ".join(parts) or "none asked for")]
    return (*notes, "Lost: the machine or the engine restarted while it ran.") if lost else tuple(notes)
