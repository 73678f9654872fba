"""Jobs in namespaces made by bubblewrap, each with a supervisor that outlives the agent. No service is needed."""

import contextlib
import errno
import hashlib
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from carrel.executors import attempts, cgroups, processes, sandbox, seccomp, supervisor
from carrel.executors.attempts import Attempt, MemoryFiles
from carrel.executors.base import (
    Capabilities,
    DiskFull,
    ExecutorError,
    ImageNotAllowed,
    Inspection,
    NotSupported,
    Phase,
    RunSpec,
    RuntimeUnavailable,
    Usage,
    refuse_impossible,
)
from carrel.executors.logs import copy_log
from carrel.executors.redaction import redacted_environment
from carrel.executors.sandbox import Held
from carrel.executors.toolchains import Toolchain, resolve
from carrel.telemetry import faults

PROBE_ROOT = ("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev")
DEFAULT_TMP_BYTES = 1 << 30
DEFAULT_LOG_BYTES = 64 << 20
PRLIMIT = "/usr/bin/prlimit"
NPROC_PER_NAMESPACE = (5, 14)  # the kernel that counts processes by user namespace
WORDS_BESIDE = 10  # of bwrap's command line: the descriptors of its options and of its status
INSTALL = "Install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)."


class BubblewrapExecutor:
    """One agent's sandboxes, whose state lies in `state_dir` (on a local disk; never shared by two agents)."""

    def __init__(
        self,
        state_dir: Path,
        toolchains_dir: Path,
        *,
        allow_image: Callable[[str], bool] | None = None,
        tmp_bytes: int = DEFAULT_TMP_BYTES,
        log_bytes: int = DEFAULT_LOG_BYTES,
        use_cgroups: bool = True,
    ) -> None:
        self._state = state_dir.absolute()
        self._toolchains = toolchains_dir.absolute()
        self._allow = allow_image or (lambda image: True)
        self._tmp_bytes, self._log_bytes = tmp_bytes, log_bytes
        self._bwrap = find_bwrap()
        self._nested_userns_off = probe(self._bwrap)
        self._filter = seccomp.program() or b""
        self._hierarchy = cgroups.detect() if use_cgroups else None
        self._etc = self._state / ".etc"
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(OSError):  # a full disk: the agent starts, and each job that it starts tries again
            sandbox.write_etc(self._etc)
        attempts.collect(self._state)
        self._supervisor = attempts.compiled_supervisor(self._state)
        self._held_by = held_by(self._hierarchy)
        self.capabilities = Capabilities(
            name="bubblewrap",
            images=False,
            memory_limit=self._held_by["memory"].kind,
            cpu_limit=self._held_by["cpus"].kind,
            pids_limit=self._held_by["pids"].kind,
            database_network=False,
        )

    def prepare_image(self, image: str, image_sha: str | None) -> str:
        """The toolchain's id. `image_sha`, the digest of a container image, means nothing here."""
        return self._toolchain(image).id

    def _toolchain(self, image: str) -> Toolchain:
        if not self._allow(image):
            raise ImageNotAllowed(f"The image {image} is not among those this backend may run.")
        return resolve(image, self._toolchains)

    def start(self, spec: RunSpec) -> None:
        attempt = self._attempt(spec.name)
        if attempt.exists:
            return
        toolchain = self._toolchain(spec.image)
        refuse_impossible(spec)
        spec = replace(spec, limits=spec.limits.on_machine(float(os.cpu_count() or 1)))
        if spec.network.mode != "none":
            raise NotSupported(
                "Bubblewrap cannot give a job the database's network and nothing else. Use EXECUTOR=docker or podman "
                "for database actions, or a file database (duckdb:///...), which needs no network."
            )
        try:
            self._start(spec, toolchain, attempt)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"No space left for the state of {spec.name} in {self._state}.") from error
            raise ExecutorError(f"{spec.name} could not be started: {error.strerror}.") from error

    def _options(self, spec: RunSpec, toolchain: Toolchain) -> list[str]:
        options = sandbox.bwrap_options(spec, toolchain, self._etc, self._tmp_bytes, self._nested_userns_off)
        if self._filter:
            options += ["--seccomp", str(supervisor.SECCOMP_FD)]
        if len(options) + len(self._launch(spec)) > sandbox.MAX_WORDS - WORDS_BESIDE:
            raise NotSupported(
                f"This job has {len(spec.mounts)} large inputs, and bubblewrap cannot show so many. Let an action put "
                "them into fewer files, or use EXECUTOR=docker or podman."
            )
        return options

    def _start(self, spec: RunSpec, toolchain: Toolchain, attempt: Attempt) -> None:
        options = self._options(spec, toolchain)
        sandbox.write_etc(self._etc)
        group = self._group_of(spec.name)
        lock = attempts.create(self._state, spec.name, self._record(spec, toolchain, group))
        if lock is None:
            return
        try:
            faults.point("executors.bubblewrap.created")
            if self._hierarchy:
                cgroups.create(self._hierarchy, self._group_name(spec.name), spec.limits)
            address_space = 0 if "memory" in group else spec.limits.memory or 0
            places = ":".join(str(place) for place in cgroups.folders(group))
            words = [str(self._log_bytes), str(address_space), places, self._bwrap, *self._launch(spec)]
            files = MemoryFiles(options, self._script(spec, toolchain), self._filter)
            attempts.spawn(self._supervisor, attempt.folder, lock, files, words)
        except BaseException:
            os.close(lock)
            attempt.remove()
            raise
        os.close(lock)
        faults.point("executors.bubblewrap.started")

    def _launch(self, spec: RunSpec) -> list[str]:
        if spec.limits.pids and self.capabilities.pids_limit == "rlimit":
            # Set inside, where it counts this sandbox alone; outside it would count all that the agent's user runs.
            return [PRLIMIT, f"--nproc={spec.limits.pids}", "--", *sandbox.LAUNCH]
        return [*sandbox.LAUNCH]

    def _script(self, spec: RunSpec, toolchain: Toolchain) -> bytes:
        """The command, or one that says what is missing and ends with 127, as a shell and Docker do."""
        words = sandbox.command(spec, toolchain)
        if not words:
            return sandbox.complaint_script("no command given", 127)
        if "/" in words[0]:
            return sandbox.launch_script(words)
        program = shutil.which(words[0], path=sandbox.environment(spec, toolchain)["PATH"])
        if program is None:
            name = f"{toolchain.name}:{toolchain.version}"
            return sandbox.complaint_script(f"there is no program {words[0]} in the toolchain {name}", 127)
        # A shell would take a name that begins with a dash for an option.
        return sandbox.launch_script([program, *words[1:]] if words[0].startswith("-") else words)

    def _group_name(self, name: str) -> str:
        return f"{name}-{hashlib.sha256(os.fsencode(self._state)).hexdigest()[:8]}"

    def _group_of(self, name: str) -> dict[str, Path]:
        parents = self._hierarchy.parents if self._hierarchy else {}
        return {controller: parent / self._group_name(name) for controller, parent in parents.items()}

    def _record(self, spec: RunSpec, toolchain: Toolchain, group: Mapping[str, Path]) -> dict[str, object]:
        env = sandbox.environment(spec, toolchain)
        return {
            "image": spec.image,
            "image_id": toolchain.id,
            "labels": dict(toolchain.labels),
            "limits": sandbox.limits_note(spec.limits, self._held_by),
            "cgroups": {controller: str(place) for controller, place in group.items()},
            "metadata": {
                "Name": spec.name,
                "Executor": "bubblewrap",
                "Toolchain": str(toolchain.folder),
                "Args": list(sandbox.command(spec, toolchain)),
                "Env": redacted_environment(f"{key}={value}" for key, value in env.items()),
                "Labels": dict(spec.labels),
                "Mounts": [f"{mount.source}:{mount.target}" for mount in spec.mounts],
            },
        }

    def inspect(self, name: str) -> Inspection:
        attempt = self._attempt(name)
        running = attempt.running()  # before the rest: a record written meanwhile belongs to an ended process
        if not running and not attempt.exists:
            return Inspection(Phase.ABSENT)
        record, end = attempt.record(), None if running else attempt.exit()
        lost = not running and (end is None or (end.failed and not end.oom_kills))
        return Inspection(
            phase=Phase.RUNNING if running else Phase.EXITED,
            exit_code=end.exit_code if end and not lost else None,
            oom_killed=bool(end and end.oom_kills),
            started_at=attempt.started(),
            finished_at=end.finished if end else None,
            image_id=record.get("image_id"),
            labels=record.get("labels") or {},
            lost=lost,
            metadata=_metadata(record, end),
            notes=_notes(record, lost, end),
        )

    def wait(self, names: Iterable[str], timeout: float, wake: int | None = None) -> set[str]:
        with contextlib.ExitStack() as stack:
            supervisors, ended = {}, set()
            for name in names:
                fd = self._attempt(name).supervisor()
                if fd is None:
                    ended.add(name)
                else:
                    stack.callback(os.close, fd)
                    supervisors[fd] = name
            if ended:
                return ended
            ended = {supervisors[fd] for fd in _readable([*supervisors], wake, timeout) if fd in supervisors}
        for name in ended:
            self._attempt(name).settle()
        return ended

    def logs(self, name: str, write: Callable[[bytes], object], max_bytes: int | None = None) -> int:
        attempt = self._attempt(name)
        end = attempt.exit()
        return copy_log(attempt.log(), write, max_bytes) + (end.log_dropped if end else 0)

    def stop(self, name: str) -> None:
        self._attempt(name).stop()

    def remove(self, name: str) -> None:
        self._attempt(name).remove()

    def usage(self, name: str) -> Usage | None:
        attempt = self._attempt(name)
        if not attempt.running():
            return None
        return cgroups.usage(attempt.cgroups()) or processes.usage_below(attempt.supervisor_pid())

    def list(self) -> list[str]:
        return attempts.names(self._state)

    def close(self) -> None:
        """Nothing is held open."""

    def _attempt(self, name: str) -> Attempt:
        if not name or name.startswith(".") or "/" in name:
            raise ValueError(f"{name!r} cannot be the name of a process: it must be a plain file name.")
        return Attempt(self._state / name)


def _readable(fds: list[int], wake: int | None, timeout: float) -> list[int]:
    poll = select.poll()
    for fd in fds if wake is None else [*fds, wake]:
        poll.register(fd, select.POLLIN)
    if not fds and wake is None:
        time.sleep(timeout)
        return []
    return [fd for fd, _ in poll.poll(timeout * 1000)]


def _metadata(record: Mapping[str, Any], end: attempts.Exit | None) -> dict[str, object]:
    metadata: dict[str, object] = dict(record.get("metadata") or {})
    if end:
        metadata["Usage"] = {"memory_peak": end.memory_peak, "cpu_seconds": end.cpu_microseconds / 1e6}
    return metadata


def _notes(record: Mapping[str, object], lost: bool, end: attempts.Exit | None) -> tuple[str, ...]:
    notes = [str(record["limits"])] if "limits" in record else []
    if lost and end:
        notes.append("Lost: bubblewrap could not set up the sandbox; the log has its words.")
    elif lost:
        notes.append("Lost: it ended without an exit code of its own, as when the machine restarts.")
    if end and end.pids_refused:
        notes.append(
            f"Processes: {end.pids_refused} times the job could start no other one, as it had as many as it may."
        )
    return tuple(notes)


def held_by(hierarchy: cgroups.Hierarchy | None) -> dict[str, Held]:
    """By what each limit is held on this machine."""

    def how(controller: str, otherwise: Held) -> Held:
        if hierarchy and hierarchy.has(controller):
            return Held("cgroup", f"by cgroup version {hierarchy.version}")
        return otherwise

    nothing = Held("none", "not held, as no cgroup may be made here")
    each = Held("rlimit", "by rlimit, for each process")
    return {
        "memory": how("memory", each),
        "cpus": how("cpu", nothing),
        "pids": how("pids", Held("rlimit", "by rlimit") if _nproc_works() else nothing),
    }


def _nproc_works() -> bool:
    """RLIMIT_NPROC holds nobody who is root outside, and in old kernels counts what runs beside the sandbox."""
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    return os.getuid() != 0 and release >= NPROC_PER_NAMESPACE and Path(PRLIMIT).exists()


def find_bwrap() -> str:
    found = shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/local/bin")
    if found is None:
        raise RuntimeUnavailable(f"Bubblewrap (bwrap) is not installed. {INSTALL}")
    return found


def probe(bwrap: str) -> bool:
    """Try a sandbox; returns whether nested user namespaces can be switched off. RuntimeUnavailable if none works."""
    for nested_userns_off in (True, False):
        words = [bwrap, *sandbox.isolation(nested_userns_off), *PROBE_ROOT]
        done = subprocess.run([*words, "--", "/usr/bin/true"], capture_output=True, env={}, timeout=30, check=False)
        if done.returncode == 0:
            return nested_userns_off
    reason = done.stderr.decode(errors="replace").strip()
    raise RuntimeUnavailable(
        f"Bubblewrap is installed but cannot make a sandbox here: {reason}. The kernel must allow user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
        "user.max_user_namespaces above 0)."
    )
