"""From the setting `EXECUTOR` to an executor that works on this machine."""

from collections.abc import Callable, Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carrel.executors.base import Executor, ExecutorError, RuntimeUnavailable

if TYPE_CHECKING:
    from carrel.executors.engine import Engine

NONE_USABLE = (
    "No way to run jobs in isolation was found on this machine:\n{reasons}\n"
    "Install one of: bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap), podman, or "
    "Docker (https://docs.docker.com/engine/install/), and start it. There is no fallback to an unprotected process."
)
ENGINES = ("docker", "podman")
CHOICES = ("auto", "docker", "podman", "bubblewrap", "process")


@dataclass(frozen=True, slots=True, kw_only=True)
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
        return _make_first_usable(settings)
    return _make_executor(settings.executor, settings)


def engine_passed_over(settings: ExecutorSettings, images: Collection[str], registry: str) -> str:
    """The engine that `auto` leaves aside because only toolchains can run these images here; "" when it leaves none.

    An engine is left aside when it answers but has not all of `images` (full references; none known: no image of
    `registry`), while there is a toolchain for each of them (none known: for any) and bubblewrap works.
    """
    if settings.executor != "auto" or not _has_toolchains(images, settings.toolchains_dir):
        return ""
    engine = _find_engine(settings)
    if engine is None:
        return ""
    with closing(engine):
        if _has_images(engine, images, registry):
            return ""
    return engine.flavour if _bubblewrap_works() else ""


def _has_toolchains(images: Collection[str], folder: Path) -> bool:
    from carrel.executors.toolchains import SQLRUNNER, ToolchainBroken, ToolchainMissing, existing, resolve

    if not images:  # Carrel's own is always there, and no sign that somebody means to use toolchains
        return any((toolchain.name, toolchain.version) != SQLRUNNER for toolchain in existing(folder))
    try:
        return all(resolve(image, folder) for image in images)
    except (ToolchainMissing, ToolchainBroken):
        return False


def _find_engine(settings: ExecutorSettings) -> "Engine | None":
    from carrel.executors.engine import Engine

    for flavour in ENGINES:
        with suppress(ExecutorError):
            return Engine(flavour, settings.docker_host)
    return None


def _has_images(engine: "Engine", images: Collection[str], registry: str) -> bool:
    """False also where the engine takes connections and answers nothing useful."""
    try:
        tags = {tag for image in engine.get("/images/json") for tag in image.get("RepoTags") or ()}
    except ExecutorError:
        return False
    return tags.issuperset(images) if images else any(tag.startswith(f"{registry}/") for tag in tags)


def _bubblewrap_works() -> bool:
    from carrel.executors.bubblewrap import find_bwrap, probe

    try:
        probe(find_bwrap())
    except RuntimeUnavailable:
        return False
    return True


def _make_first_usable(settings: ExecutorSettings) -> Executor:
    reasons = []
    for name in (*ENGINES, "bubblewrap"):
        try:
            return _make_executor(name, settings)
        except RuntimeUnavailable as error:
            reasons.append(f"  {name}: {error}")
    raise RuntimeUnavailable(NONE_USABLE.format(reasons="\n".join(reasons)))


def _make_executor(name: str, settings: ExecutorSettings) -> Executor:
    """The executor of that name; what only it needs is imported only now."""
    if name == "process":
        from carrel.executors.process import ProcessExecutor

        return ProcessExecutor(settings.state_dir)
    if name == "bubblewrap":
        from carrel.executors.bubblewrap import BubblewrapExecutor

        return BubblewrapExecutor(
            settings.state_dir,
            settings.toolchains_dir,
            allow_image=settings.allow_image,
            tmp_bytes=settings.tmp_bytes,
        )
    from carrel.executors.docker import DockerExecutor

    return DockerExecutor(
        owner=settings.owner,
        flavour=name,
        host=settings.docker_host,
        user=settings.user,
        allow_image=settings.allow_image,
        pull=settings.pull,
        pull_seconds=settings.pull_seconds,
        tmp_bytes=settings.tmp_bytes,
        toolchains_dir=settings.toolchains_dir,
    )
