"""Jobs in namespaces made by bubblewrap, each with a supervisor that outlives the agent. No service is needed."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from carrel.executors import cgroups, sandbox, seccomp, supervisor
from carrel.executors.base import (
    Capabilities,
    DiskFull,
    ExecutorError,
    ImageNotAllowed,
    NotSupported,
    RunSpec,
    RuntimeUnavailable,
    refuse_impossible,
)
from carrel.executors.redaction import redacted_environment
from carrel.executors.sandbox import LimitEnforcement
from carrel.executors.state_folders import MemoryFiles
from carrel.executors.supervised import DEFAULT_LOG_BYTES, SupervisedExecutor
from carrel.executors.toolchains import Toolchain, resolve
from carrel.telemetry import faults

PROBE_ROOT = ("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev")
DEFAULT_TMP_BYTES = 1 << 30
PRLIMIT = "/usr/bin/prlimit"
NPROC_PER_NAMESPACE = (5, 14)  # the kernel that counts processes by user namespace
WORDS_BESIDE = 10  # of bwrap's command line: the descriptors of its options and of its status
INSTALL = "Install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)."


class BubblewrapExecutor(SupervisedExecutor):
    """One agent's sandboxes. Raises `RuntimeUnavailable` where bubblewrap is missing or can make none."""

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
        self._bwrap = find_bwrap()
        self._nested_userns_off = probe(self._bwrap)
        self._hierarchy = cgroups.detect() if use_cgroups else None
        self._enforcement = limit_enforcement(self._hierarchy)
        capabilities = Capabilities(
            name="bubblewrap",
            images=False,
            memory_limit=self._enforcement["memory"].kind,
            cpu_limit=self._enforcement["cpus"].kind,
            pids_limit=self._enforcement["pids"].kind,
            database_network=False,
        )
        super().__init__(state_dir, capabilities, log_bytes=log_bytes)
        self._toolchains_dir = toolchains_dir.absolute()
        self._allow_image = allow_image or (lambda image: True)
        self._tmp_bytes = tmp_bytes
        self._filter = seccomp.program() or b""
        self._etc = self._state_dir / ".etc"
        with contextlib.suppress(OSError):  # a full disk: the agent starts, and each job that it starts tries again
            sandbox.write_etc(self._etc)

    def prepare_image(self, image: str, image_sha: str | None) -> str:
        """The toolchain's id. `image_sha`, the digest of a container image, means nothing here."""
        return self._find_toolchain(image).id

    def _find_toolchain(self, image: str) -> Toolchain:
        if not self._allow_image(image):
            raise ImageNotAllowed(f"The image {image} is not among those this backend may run.")
        return resolve(image, self._toolchains_dir)

    def start(self, spec: RunSpec) -> None:
        """Start the job in a sandbox of its own, under a supervisor."""
        if self._process(spec.name).exists:
            return
        toolchain = self._find_toolchain(spec.image)
        refuse_impossible(spec)
        spec = replace(spec, limits=spec.limits.on_machine(float(os.cpu_count() or 1)))
        if spec.network.mode != "none":
            raise NotSupported(
                "Bubblewrap cannot give a job the database's network and nothing else. Use EXECUTOR=docker or podman "
                "for database actions, or a file database (duckdb:///...), which needs no network."
            )
        try:
            self._start(spec, toolchain)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"No space left for the state of {spec.name} in {self._state_dir}.") from error
            raise ExecutorError(f"{spec.name} could not be started: {error.strerror}.") from error

    def _start(self, spec: RunSpec, toolchain: Toolchain) -> None:
        launch = [*sandbox.LAUNCH]
        if spec.limits.pids and self.capabilities.pids_limit == "rlimit":
            # Set inside, where it counts this sandbox alone; outside it would count all that the agent's user runs.
            launch = [PRLIMIT, f"--nproc={spec.limits.pids}", "--", *launch]
        options = self._options(spec, toolchain, len(launch))
        sandbox.write_etc(self._etc)
        # Two agents of one machine may have processes of the same name.
        group_name = f"{spec.name}-{hashlib.sha256(os.fsencode(self._state_dir)).hexdigest()[:8]}"
        parents = self._hierarchy.parents if self._hierarchy else {}
        cgroup = {controller: parent / group_name for controller, parent in parents.items()}
        with self._new_state_folder(spec.name, self._record(spec, toolchain, cgroup)) as lock:
            if lock is None:
                return
            faults.point("executors.bubblewrap.created")
            if self._hierarchy:
                cgroups.create(self._hierarchy, group_name, spec.limits)
            self._spawn_supervisor(
                spec.name,
                lock,
                MemoryFiles(options, sandbox.job_script(spec, toolchain), self._filter),
                [self._bwrap, *launch],
                cgroup=cgroup,
                address_space=0 if "memory" in cgroup else spec.limits.memory or 0,
            )
        faults.point("executors.bubblewrap.started")

    def _options(self, spec: RunSpec, toolchain: Toolchain, words_of_launch: int) -> list[str]:
        options = sandbox.bwrap_options(spec, toolchain, self._etc, self._tmp_bytes, self._nested_userns_off)
        if self._filter:
            options += ["--seccomp", str(supervisor.SECCOMP_FD)]
        if len(options) + words_of_launch > sandbox.MAX_WORDS - WORDS_BESIDE:
            raise NotSupported(
                f"This job has {len(spec.mounts)} large inputs, and bubblewrap cannot show so many. Let an action put "
                "them into fewer files, or use EXECUTOR=docker or podman."
            )
        return options

    def _record(self, spec: RunSpec, toolchain: Toolchain, cgroup: Mapping[str, Path]) -> dict[str, object]:
        """What `inspect` is to know of it, whoever asks."""
        env = sandbox.environment(spec, toolchain)
        return {
            "image": spec.image,
            "image_id": toolchain.id,
            "labels": dict(toolchain.labels),
            "limits": sandbox.limits_note(spec.limits, self._enforcement),
            "cgroups": {controller: str(folder) for controller, folder in cgroup.items()},
            "metadata": {
                "Name": spec.name,
                "Executor": "bubblewrap",
                "Toolchain": str(toolchain.folder),
                "Args": sandbox.command(spec, toolchain),
                "Env": redacted_environment(f"{key}={value}" for key, value in env.items()),
                "Labels": dict(spec.labels),
                "Mounts": [f"{mount.source}:{mount.target}" for mount in spec.mounts],
            },
        }


def limit_enforcement(hierarchy: cgroups.Hierarchy | None) -> dict[str, LimitEnforcement]:
    """By what each limit is enforced on this machine."""

    def by_cgroup(controller: str, otherwise: LimitEnforcement) -> LimitEnforcement:
        if hierarchy and hierarchy.has(controller):
            return LimitEnforcement("cgroup", f"by cgroup version {hierarchy.version}")
        return otherwise

    # RLIMIT_NPROC holds nobody who is root outside, and in old kernels counts what runs beside the sandbox.
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    nproc_works = os.getuid() != 0 and release >= NPROC_PER_NAMESPACE and Path(PRLIMIT).exists()
    none = LimitEnforcement("none", "not held, as no cgroup may be made here")
    return {
        "memory": by_cgroup("memory", LimitEnforcement("rlimit", "by rlimit, for each process")),
        "cpus": by_cgroup("cpu", none),
        "pids": by_cgroup("pids", LimitEnforcement("rlimit", "by rlimit") if nproc_works else none),
    }


def find_bwrap() -> str:
    """The path of the program; `RuntimeUnavailable` with what to install where there is none."""
    path = shutil.which("bwrap", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/local/bin")
    if path is None:
        raise RuntimeUnavailable(f"Bubblewrap (bwrap) is not installed. {INSTALL}")
    return path


def probe(bwrap: str) -> bool:
    """Try a sandbox; return whether nested user namespaces can be switched off. RuntimeUnavailable if none works."""
    for nested_userns_off in (True, False):
        command = [bwrap, *sandbox.isolation(nested_userns_off), *PROBE_ROOT]
        done = subprocess.run([*command, "--", "/usr/bin/true"], capture_output=True, env={}, timeout=30, check=False)
        if done.returncode == 0:
            return nested_userns_off
    reason = done.stderr.decode(errors="replace").strip()
    raise RuntimeUnavailable(
        f"Bubblewrap is installed but cannot make a sandbox here: {reason}. The kernel must allow user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
        "user.max_user_namespaces above 0)."
    )
