"""From the setting `EXECUTOR` to an executor that works on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carrel.agent.executors.base import Executor, RuntimeUnavailable

NONE_USABLE = (
    "No way to run jobs in isolation was found on this machine:\n{reasons}\n"
    "Install one of: bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap), podman, or "
    "Docker (https://docs.docker.com/engine/install/), and start it. There is no fallback to an unprotected process."
)
CHOICES = ("auto", "docker", "podman", "bubblewrap", "slurm", "process")


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """What any executor may need; each takes its part. Sizes in bytes."""

    executor: str = "auto"
    """auto, docker, podman, bubblewrap or process."""
    state_dir: Path = Path("executor")
    """Where bubblewrap and process keep what must survive a crash; one per agent, never shared."""
    toolchains_dir: Path = Path("toolchains")
    owner: str = "carrel"
    """Whose processes these are: one agent sees and collects its own only. A backend's name, or a project's path."""
    user: tuple[int, int] | None = None
    """uid, gid of the process in a container; None: those of this process."""
    allow_image: Callable[[str], bool] | None = None
    """Asked before any pull or start; False refuses the image."""
    pull: bool = True
    """False: only images that are already here."""
    pull_seconds: float | None = None
    """How long one pull may take; None: however long."""
    tmp_bytes: int = 1 << 30
    docker_host: str | None = None
    """`unix:///path`; None: DOCKER_HOST, else the usual places."""


def choose_executor(settings: ExecutorSettings) -> Executor:
    """The executor of `settings.executor`; `auto` = docker if an engine answers, else podman, else bubblewrap.

    Raises `RuntimeUnavailable` with what to install when there is none, ValueError when there is no such choice.
    """
    if settings.executor not in CHOICES:
        raise ValueError(f"EXECUTOR={settings.executor} is not one of {', '.join(CHOICES)}.")
    if settings.executor == "auto":
        return _first_usable(settings)
    return BUILDERS[settings.executor](settings)


def _first_usable(settings: ExecutorSettings) -> Executor:
    reasons = []
    for name in ("docker", "podman", "bubblewrap"):
        try:
            return BUILDERS[name](settings)
        except RuntimeUnavailable as error:
            reasons.append(f"  {name}: {error}")
    raise RuntimeUnavailable(NONE_USABLE.format(reasons="\n".join(reasons)))


def _bubblewrap(settings: ExecutorSettings) -> Executor:
    from carrel.agent.executors.bubblewrap import BubblewrapExecutor

    return BubblewrapExecutor(
        settings.state_dir,
        settings.toolchains_dir,
        allow_image=settings.allow_image,
        tmp_bytes=settings.tmp_bytes,
    )


def _container(flavour: str) -> Callable[[ExecutorSettings], Executor]:
    def build(settings: ExecutorSettings) -> Executor:
        from carrel.agent.executors.docker import DockerExecutor

        return DockerExecutor(
            owner=settings.owner,
            flavour=flavour,
            host=settings.docker_host,
            user=settings.user,
            allow_image=settings.allow_image,
            pull=settings.pull,
            pull_seconds=settings.pull_seconds,
            tmp_bytes=settings.tmp_bytes,
        )

    return build


def _process(settings: ExecutorSettings) -> Executor:
    from carrel.agent.executors.process import ProcessExecutor

    executor: Executor = ProcessExecutor(settings.state_dir)
    return executor


def _slurm(settings: ExecutorSettings) -> Executor:
    raise RuntimeUnavailable(
        "EXECUTOR=slurm is not part of this version of Carrel yet; use docker, podman or bubblewrap."
    )


BUILDERS: dict[str, Callable[[ExecutorSettings], Executor]] = {
    "docker": _container("docker"),
    "podman": _container("podman"),
    "bubblewrap": _bubblewrap,
    "slurm": _slurm,
    "process": _process,
}
