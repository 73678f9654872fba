"""From the setting `EXECUTOR` to an executor that works on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carrel.agent.executors.base import Executor


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
    tmp_bytes: int = 1 << 30
    docker_host: str | None = None
    """`unix:///path`; None: DOCKER_HOST, else the usual places."""


def choose_executor(settings: ExecutorSettings) -> Executor:
    """The executor of `settings.executor`; `auto` = docker if an engine answers, else podman, else bubblewrap.

    Raises `RuntimeUnavailable` with what to install when there is none.
    """
    raise NotImplementedError
