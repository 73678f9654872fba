"""Jobs in containers of Docker, or of podman by the API that it has in common with Docker.

A container is found again by its name; which containers are this agent's is a label. Nothing is kept in memory.
"""

import contextlib
import json
import os
import select
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carrel.executors import cgroups
from carrel.executors.base import (
    Capabilities,
    ExecutorError,
    ImageNotAllowed,
    ImageUnavailable,
    Inspection,
    Phase,
    RunSpec,
    RuntimeUnavailable,
    Usage,
    refuse_impossible,
)
from carrel.executors.containers import (
    CANNOT_START,
    OWNER_LABEL,
    ContainerDefaults,
    boot_time,
    create_body,
    engine_start,
    is_lost,
    notes_of,
    parse_time,
    phase_of,
    redacted,
    started_at,
)
from carrel.executors.engine import Conflict, Engine, NotFound, demultiplex, registry_auth
from carrel.executors.logs import copy_log
from carrel.executors.references import full_reference, split_reference
from carrel.executors.toolchains import resolve
from carrel.telemetry import faults

IMAGE_LABELS = ("org.opencontainers.", "org.opensafely.")
STOP_SECONDS = 30.0
REMOVE_SECONDS = 30.0


class DockerExecutor:
    """One agent's containers. Raises `RuntimeUnavailable` when no engine answers or it would run jobs unprotected."""

    def __init__(
        self,
        *,
        owner: str,
        flavour: str = "docker",
        host: str | None = None,
        user: tuple[int, int] | None = None,
        allow_image: Callable[[str], bool] | None = None,
        pull: bool = True,
        pull_seconds: float | None = None,
        tmp_bytes: int = 1 << 30,
        toolchains_dir: Path | None = None,
    ) -> None:
        self._toolchains_dir = toolchains_dir
        self._pull_allowed, self._pull_seconds = pull, pull_seconds
        self._allow_image = allow_image or (lambda image: True)
        self._engine = Engine(flavour, host)
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        try:
            info = self._engine.get("/info")
            self.capabilities = capabilities(flavour, info)
        except ExecutorError:
            self.close()
            raise
        self._cpus = float(info.get("NCPU") or 1)
        rootless = "rootless" in _security(info)
        userns = "keep-id" if rootless and flavour == "podman" else None
        # Rootless Docker shows its owner as 0 inside, and only as 0 may a job write to its owner's folders.
        inside = (0, 0) if rootless and flavour == "docker" else user or (os.getuid(), os.getgid())
        self._defaults = ContainerDefaults(owner, flavour, inside, userns, tmp_bytes)

    def close(self) -> None:
        """Close the connections to the engine."""
        self._engine.close()

    # --- images --------------------------------------------------------------------------------------------------

    def prepare_image(self, image: str, image_sha: str | None) -> str:
        """Pull the image unless it is here; many jobs of one image pull it once. Returns its id."""
        self._check_allowed(image)
        reference = full_reference(image, image_sha)
        with self._locks[reference]:
            image_id = self._find_image(image, image_sha)
            if image_id is None:
                self._pull(image, image_sha)
                image_id = self._find_image(image, image_sha)
        if image_id is None:
            raise ImageUnavailable(f"The image {reference} was pulled, but the engine does not have it.")
        return image_id

    def _check_allowed(self, image: str) -> None:
        if not self._allow_image(image):
            raise ImageNotAllowed(f"The image {image} is not among those this backend may run.")

    def _find_image(self, image: str, image_sha: str | None) -> str | None:
        """Its id; of an image that was made here, and so has no registry's digest, the id may stand for the digest."""
        with contextlib.suppress(NotFound):
            return str(self._engine.get(f"/images/{full_reference(image, image_sha)}/json")["Id"])
        if image_sha:
            with contextlib.suppress(NotFound):
                image_id = str(self._engine.get(f"/images/{image}/json")["Id"])
                return image_id if image_id == image_sha else None
        return None

    def _pull(self, image: str, image_sha: str | None) -> None:
        reference = full_reference(image, image_sha)
        if not self._pull_allowed:
            raise ImageUnavailable(
                f"The image {reference} is not on this machine, and this backend does not pull images."
                + self._advise_toolchain(image)
            )
        name, tag = split_reference(image)
        try:
            with self._engine.stream(
                "POST",
                "/images/create",
                headers=registry_auth(name),
                seconds=self._pull_seconds,
                fromImage=name,
                tag=image_sha or tag,
            ) as progress:
                errors = [line["error"] for line in progress.lines() if "error" in line]
        except RuntimeUnavailable:
            raise
        except TimeoutError:
            errors = [f"it did not come within {self._pull_seconds:g} seconds (IMAGE_PULL_TIMEOUT)"]
        except ExecutorError as error:
            errors = [str(error)]
        if errors:
            raise ImageUnavailable(
                f"The image {reference} is not on this machine and could not be pulled: {errors[-1]}. Check the name "
                f"and that the registry can be reached, or bring the image with `{self._engine.flavour} load`."
                + self._advise_toolchain(image)
            )

    def _advise_toolchain(self, image: str) -> str:
        """What else could run it here, as a sentence; nothing when there is no such toolchain."""
        if self._toolchains_dir is None:
            return ""
        try:
            toolchain = resolve(image, self._toolchains_dir)
        except ImageUnavailable:
            return ""
        return (
            f" There is a toolchain {toolchain.name}:{toolchain.version} on this machine: use it with "
            "`--executor bubblewrap` (carrel run, exec and up), or with EXECUTOR=bubblewrap."
        )

    # --- processes -----------------------------------------------------------------------------------------------

    def start(self, spec: RunSpec) -> None:
        """Create the container and start it; one that was created but never started is started now."""
        self._check_allowed(spec.image)
        refuse_impossible(spec)
        spec = replace(spec, limits=spec.limits.on_machine(self._cpus))
        body = create_body(spec, self._defaults)
        with self._locks[spec.name]:
            try:
                self._create(spec, body)
                faults.point("executors.docker.created")
            except Conflict:
                if phase_of(self._read_state(spec.name)) != Phase.ABSENT:
                    return
            self._start_created(spec.name)
        faults.point("executors.docker.started")

    def _create(self, spec: RunSpec, body: Mapping[str, Any]) -> None:
        try:
            self._engine.post("/containers/create", body, name=spec.name)
        except NotFound as error:
            raise ImageUnavailable(
                f"The image {full_reference(spec.image, spec.image_sha)} is not on this machine (it was not prepared, "
                "or has been removed since)."
            ) from error

    def _start_created(self, name: str) -> None:
        try:
            self._engine.post(f"/containers/{name}/start")
        except ExecutorError:
            # A program that is not in the image is the study's error, with an exit code as from a shell.
            if self._read_state(name).get("ExitCode") not in CANNOT_START:
                self.remove(name)
                raise

    def _read_state(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = self._engine.get(f"/containers/{name}/json")["State"]
        return state

    def inspect(self, name: str) -> Inspection:
        """What the engine's record says of the container."""
        try:
            record = self._engine.get(f"/containers/{name}/json")
        except NotFound:
            return Inspection(Phase.ABSENT)
        state = record["State"]
        phase = phase_of(state)
        if phase == Phase.ABSENT:
            return Inspection(Phase.ABSENT)
        ended = phase == Phase.EXITED
        lost = ended and is_lost(state, boot_time(), engine_start())
        labels = record["Config"].get("Labels") or {}
        return Inspection(
            phase=phase,
            exit_code=state["ExitCode"] if ended and not lost else None,
            oom_killed=ended and bool(state.get("OOMKilled")),
            started_at=started_at(state, ended),
            finished_at=parse_time(state.get("FinishedAt")) if ended else None,
            image_id=record.get("Image"),
            labels={key: value for key, value in labels.items() if key.startswith(IMAGE_LABELS)},
            lost=lost,
            metadata=redacted(record),
            notes=notes_of(record, lost),
        )

    def wait(self, names: Iterable[str], timeout: float, wake: int | None = None) -> set[str]:
        """See `Executor.wait`: by the engine's events."""
        containers = list(names)
        deadline = time.monotonic() + timeout
        filters = json.dumps({"type": ["container"], "event": ["die", "destroy"], "container": containers})
        with self._engine.stream("GET", "/events", filters=filters) as events:
            bell = events.socket
            while True:
                # The engine listens for us by now: an end before this look is seen by it, one after it rings the bell.
                ended = {name for name in containers if self.inspect(name).phase != Phase.RUNNING}
                if ended:
                    return ended
                waiters = [bell] if wake is None else [bell, wake]
                ready, _, _ = select.select(waiters, [], [], max(0.0, deadline - time.monotonic()))
                if bell not in ready:
                    return set()
                if not bell.recv(1 << 16):
                    raise RuntimeUnavailable(f"The {self._engine.flavour} engine stopped while a job ran.")

    def logs(self, name: str, write: Callable[[bytes], object], max_bytes: int | None = None) -> int:
        """See `Executor.logs`; with the engine's own words where it could not start the program."""
        return copy_log(self._read_log(name), write, max_bytes)

    def _read_log(self, name: str) -> Iterator[bytes]:
        try:
            state = self._read_state(name)
            with self._engine.stream("GET", f"/containers/{name}/logs", stdout=1, stderr=1, timestamps=1) as stream:
                yield from demultiplex(stream.chunks())
        except NotFound:
            return
        if phase_of(state) == Phase.EXITED and state.get("Error"):
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            yield f"{stamp} carrel: {state['Error']}\n".encode()

    def stop(self, name: str) -> None:
        """Kill the container and wait for its end."""
        with contextlib.suppress(NotFound, Conflict):  # gone, or not running
            self._engine.post(f"/containers/{name}/kill", signal="KILL")
            if not self.wait([name], STOP_SECONDS):
                raise RuntimeUnavailable(f"The container {name} was killed but does not end.")

    def remove(self, name: str) -> None:
        """Remove the container and its volumes, whether it runs or not."""
        deadline = time.monotonic() + REMOVE_SECONDS
        with contextlib.suppress(NotFound):
            while True:
                try:
                    self._engine.delete(f"/containers/{name}", force=True, v=True)
                    break
                except Conflict:  # somebody else is removing it: it is gone when the engine says so
                    if time.monotonic() > deadline:
                        raise
                    self.wait([name], 1.0)
        self._locks.pop(name, None)

    def usage(self, name: str) -> Usage | None:
        """See `Executor.usage`: of its control group where that can be read, else of the engine."""
        try:
            record = self._engine.get(f"/containers/{name}/json")
            if phase_of(record["State"]) != Phase.RUNNING:
                return None
            group = cgroups.group_of(record["State"]["Pid"])
            own = {controller: folder for controller, folder in group.items() if record["Id"] in str(folder)}
            return cgroups.usage(own) or self._usage_of_engine(name)
        except NotFound:
            return None

    def _usage_of_engine(self, name: str) -> Usage:
        """Where the engine's cgroup files cannot be seen (an agent that is a container itself)."""
        stats = self._engine.get(f"/containers/{name}/stats", stream=False, **{"one-shot": True})
        memory, details = stats.get("memory_stats", {}), stats.get("memory_stats", {}).get("stats", {})
        cache = details.get("total_inactive_file", details.get("inactive_file", 0))
        return Usage(
            cpu_seconds=stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0) / 1e9,
            memory=max(0, memory.get("usage", 0) - cache),
            memory_peak=memory.get("max_usage"),
        )

    def list(self) -> list[str]:
        """Names of the containers that have this owner's label."""
        filters = json.dumps({"label": [f"{OWNER_LABEL}={self._defaults.owner}"]})
        containers = self._engine.get("/containers/json", all=True, filters=filters)
        return sorted(container["Names"][0].removeprefix("/") for container in containers)


def capabilities(flavour: str, info: Mapping[str, Any]) -> Capabilities:
    """What the engine says it can hold; `RuntimeUnavailable` when it runs containers without a seccomp profile."""
    profiles = [option for option in _security(info).split() if option.startswith("seccomp")]
    if not profiles or "unconfined" in profiles[0]:
        raise RuntimeUnavailable(
            f"The {flavour} engine runs containers without its default seccomp profile, so jobs would be less isolated "
            "than they must be. Remove `seccomp-profile: unconfined` from its configuration."
        )
    enforcement = {True: "cgroup", False: "none"}
    return Capabilities(
        name=flavour,
        images=True,
        memory_limit=enforcement[bool(info.get("MemoryLimit"))],
        cpu_limit=enforcement[bool(info.get("CpuCfsQuota"))],
        pids_limit=enforcement[bool(info.get("PidsLimit", True))],
        database_network=True,
    )


def _security(info: Mapping[str, Any]) -> str:
    """`["name=seccomp,profile=default", "name=rootless"]` -> "seccomp,profile=default rootless"."""
    return " ".join(option.removeprefix("name=") for option in info.get("SecurityOptions") or ())
