"""What is around runs: one program of an image on a folder, what there is on this machine, and cleaning up."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carrel.executors.base import JOB_TMP, Executor, ResourceLimits, RunSpec
from carrel.executors.select import ENGINES
from carrel.local.errors import LocalError
from carrel.local.report import without_timestamp
from carrel.local.settings import LocalSettings
from carrel.local.study import NO_BACKEND

if TYPE_CHECKING:
    from carrel.local.images import Images

EXEC_PREFIX = "carrel-exec-"


@dataclass(frozen=True, slots=True)
class Execution:
    """`carrel exec`: `image` as in an action (`python:v2`), `user` as Docker's `-u` ("none": the image's own)."""

    image: str
    args: tuple[str, ...]
    env: dict[str, str]
    user: str | None = None
    entrypoint: str | None = None
    memory: int | None = None
    cpus: float | None = None


def execute(asked: Execution, settings: LocalSettings) -> int:
    """Run it on the present folder, shown at /workspace, and return its exit code (128+N when signal N ended it)."""
    with _scratch() as folder:
        executor = _executor(settings, folder, asked.image)
        if executor.capabilities.name in ENGINES and shutil.which(executor.capabilities.name):
            return _in_foreground(asked, settings, executor)
        if asked.user is not None:
            raise LocalError("--user needs a container engine; under bubblewrap programs run as you.")
        return _detached(asked, settings, executor, folder.name)


def _executor(settings: LocalSettings, folder: Path, image: str | None = None) -> Executor:
    images = [settings.image_named(image)] if image else []
    return settings.executor_in(folder, EXEC_PREFIX + str(os.getuid()), images=images)


def _environment(asked: Execution) -> dict[str, str]:
    return {"HOME": JOB_TMP, "OPENSAFELY_BACKEND": NO_BACKEND, **asked.env}


def _in_foreground(asked: Execution, settings: LocalSettings, executor: Executor) -> int:
    """With the engine's own client, so that a shell or a debugger has the terminal."""
    import subprocess

    image = settings.image_named(asked.image)
    executor.prepare_image(image, None)
    env = _environment(asked)
    command = [executor.capabilities.name, "run", "--rm", "--init", "--interactive", "--network=none"]
    command += ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    command += [f"--volume={Path.cwd()}:/workspace", "--workdir=/workspace"]
    command += [f"--env={name}" for name in env]
    command += _optional("--user", _user(asked.user)) + _optional("--entrypoint", asked.entrypoint)
    command += _optional("--memory", asked.memory) + _optional("--cpus", asked.cpus)
    return subprocess.run([*command, image, *asked.args], env={**os.environ, **env}, check=False).returncode


def _user(asked: str | None) -> str | None:
    return None if asked == "none" else asked or f"{os.getuid()}:{os.getgid()}"


def _optional(option: str, value: object) -> list[str]:
    return [] if value is None else [f"{option}={value}"]


def _detached(asked: Execution, settings: LocalSettings, executor: Executor, name: str) -> int:
    image = settings.image_named(asked.image)
    executor.prepare_image(image, None)
    args = (*((asked.entrypoint,) if asked.entrypoint else ()), *asked.args)
    limits = ResourceLimits(cpus=asked.cpus, memory=asked.memory)
    try:
        executor.start(
            RunSpec(name=name, image=image, args=args, workspace=Path.cwd(), env=_environment(asked), limits=limits)
        )
        tail = Tail(executor, name, lambda text: print(text, end="", flush=True))
        while not executor.wait([name], 0.5):
            tail.show()
        tail.show()
        code = executor.inspect(name).exit_code
        return 1 if code is None else code
    finally:
        executor.stop(name)
        executor.remove(name)


class Tail:
    """Shows the lines of a growing log as they come."""

    def __init__(self, executor: Executor, name: str, write: Callable[[str], object]) -> None:
        self.executor, self.name, self.write = executor, name, write
        self.shown = 0

    def show(self) -> None:
        chunks: list[bytes] = []
        self.executor.logs(self.name, chunks.append)
        log = b"".join(chunks)
        end = log.rfind(b"\n") + 1
        for line in log[self.shown : end].decode("utf-8", "replace").splitlines():
            self.write(without_timestamp(line) + "\n")
        self.shown = max(self.shown, end)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for the executor's state, whose name holds our process id."""
    folder = Path(tempfile.mkdtemp(prefix=f"{EXEC_PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clean_executions(settings: LocalSettings) -> list[str]:
    """Stop and remove what killed `carrel exec` calls left; the names of their folders."""
    left = [folder for folder in Path(tempfile.gettempdir()).glob(f"{EXEC_PREFIX}*-*") if _is_orphan(folder)]
    for folder in left:
        executor = _executor(settings, folder)
        for name in executor.list():
            if name == folder.name:
                executor.stop(name)
                executor.remove(name)
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in left]


def _is_orphan(folder: Path) -> bool:
    pid = folder.name.removeprefix(EXEC_PREFIX).partition("-")[0]
    with suppress(FileNotFoundError):
        return pid.isdigit() and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists()
    return False


def information(settings: LocalSettings) -> Iterator[str]:
    """Lines about this machine: versions, runtime, images or toolchains. `ExecutorError` when nothing can run here."""
    import platform

    from carrel import __version__

    yield f"carrel version: {__version__}"
    yield f"python version: {platform.python_version()}"
    with _scratch() as folder:
        executor = _executor(settings, folder)
        known = executor.capabilities
        yield f"runtime: {known.name}"
        yield f"limits held by: memory {known.memory_limit}, cpu {known.cpu_limit}, processes {known.pids_limit}"
        yield from _images(settings) if known.images else _toolchains(settings)


def _toolchains(settings: LocalSettings) -> Iterator[str]:
    from carrel.executors.toolchains import existing

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield f"machine memory: {memory / 1024**3:.1f}G"
    yield f"machine cpu: {os.cpu_count()}"
    yield f"toolchains in {settings.toolchains_dir}:"
    for each in existing(settings.toolchains_dir):
        yield f"  {each.name}:{each.version}  {each.id[:19]}"


def _images(settings: LocalSettings) -> Iterator[str]:
    with open_images(settings) as images:
        engine = images.engine.get("/info")
        yield f"{images.engine.flavour} memory: {engine['MemTotal'] / 1024**3:.1f}G"
        yield f"{images.engine.flavour} cpu: {engine['NCPU']}"
        yield f"images of {settings.docker_registry}:"
        yield from (f"  {line}" for line in images.shown())


@contextmanager
def open_images(settings: LocalSettings) -> "Iterator[Images]":
    """Images of the engine in force; `RuntimeUnavailable` when there is none."""
    from carrel.executors.engine import Engine
    from carrel.local.images import Images

    engine = Engine(settings.executor if settings.executor in ENGINES else "docker")
    try:
        yield Images(engine, settings)
    finally:
        engine.close()
