"""`carrel exec`: one program of an image on the present folder; and what is left where it was killed."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from carrel.executors.base import JOB_TMP, Executor, ResourceLimits, RunSpec
from carrel.executors.choice import ENGINES
from carrel.local.errors import LocalError
from carrel.local.report import without_timestamp
from carrel.local.settings import LocalSettings
from carrel.local.study import NO_BACKEND

EXEC_PREFIX = "carrel-exec-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """`carrel exec`: `image` as in an action (`python:v2`), `user` as Docker's `-u` ("none": the image's own)."""

    image: str
    args: tuple[str, ...]
    env: dict[str, str]
    user: str | None = None
    entrypoint: str | None = None
    memory: int | None = None
    cpus: float | None = None


def execute(execution: Execution, settings: LocalSettings) -> int:
    """Run it on the present folder, shown at /workspace, and return its exit code (128+N when signal N ended it)."""
    with scratch_folder() as folder:
        executor = scratch_executor(settings, folder, execution.image)
        if executor.capabilities.name in ENGINES and shutil.which(executor.capabilities.name):
            return _run_in_foreground(execution, settings, executor)
        if execution.user is not None:
            raise LocalError("--user needs a container engine; under bubblewrap programs run as you.")
        return _run_detached(execution, settings, executor, folder.name)


def scratch_executor(settings: LocalSettings, folder: Path, image: str | None = None) -> Executor:
    images = [settings.image_named(image)] if image else []
    return settings.executor_in(folder, EXEC_PREFIX + str(os.getuid()), images=images)


def _environment(execution: Execution) -> dict[str, str]:
    return {"HOME": JOB_TMP, "OPENSAFELY_BACKEND": NO_BACKEND, **execution.env}


def _run_in_foreground(execution: Execution, settings: LocalSettings, executor: Executor) -> int:
    """Run it with the engine's own client, so that a shell or a debugger has the terminal."""
    import subprocess

    image = settings.image_named(execution.image)
    executor.prepare_image(image, None)
    env = _environment(execution)
    command = [executor.capabilities.name, "run", "--rm", "--init", "--interactive", "--network=none"]
    command += ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    command += [f"--volume={Path.cwd()}:/workspace", "--workdir=/workspace"]
    command += [f"--env={name}" for name in env]
    user = None if execution.user == "none" else execution.user or f"{os.getuid()}:{os.getgid()}"
    command += _optional("--user", user) + _optional("--entrypoint", execution.entrypoint)
    command += _optional("--memory", execution.memory) + _optional("--cpus", execution.cpus)
    return subprocess.run([*command, image, *execution.args], env={**os.environ, **env}, check=False).returncode


def _optional(option: str, value: object) -> list[str]:
    return [] if value is None else [f"{option}={value}"]


def _run_detached(execution: Execution, settings: LocalSettings, executor: Executor, name: str) -> int:
    image = settings.image_named(execution.image)
    executor.prepare_image(image, None)
    args = (*((execution.entrypoint,) if execution.entrypoint else ()), *execution.args)
    limits = ResourceLimits(cpus=execution.cpus, memory=execution.memory)
    try:
        executor.start(
            RunSpec(name=name, image=image, args=args, workspace=Path.cwd(), env=_environment(execution), limits=limits)
        )
        tail = LogTail(executor, name, lambda text: print(text, end="", flush=True))
        while not executor.wait([name], 0.5):
            tail.show()
        tail.show()
        code = executor.inspect(name).exit_code
        return 1 if code is None else code
    finally:
        executor.stop(name)
        executor.remove(name)


class LogTail:
    """Shows the lines of a growing log as they come."""

    def __init__(self, executor: Executor, name: str, write: Callable[[str], object]) -> None:
        self.executor, self.name, self.write = executor, name, write
        self.shown = 0

    def show(self) -> None:
        """Write what has come since the last call, in whole lines."""
        chunks: list[bytes] = []
        self.executor.logs(self.name, chunks.append)
        log = b"".join(chunks)
        end = log.rfind(b"\n") + 1
        for line in log[self.shown : end].decode("utf-8", "replace").splitlines():
            self.write(without_timestamp(line) + "\n")
        self.shown = max(self.shown, end)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the executor's state, whose name holds our process id."""
    folder = Path(tempfile.mkdtemp(prefix=f"{EXEC_PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clean_executions(settings: LocalSettings) -> list[str]:
    """Stop and remove what killed `carrel exec` calls left; the names of their folders."""
    orphans = [folder for folder in Path(tempfile.gettempdir()).glob(f"{EXEC_PREFIX}*-*") if _is_orphan(folder)]
    for folder in orphans:
        executor = scratch_executor(settings, folder)
        for name in executor.list():
            if name == folder.name:
                executor.stop(name)
                executor.remove(name)
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in orphans]


def _is_orphan(folder: Path) -> bool:
    pid = folder.name.removeprefix(EXEC_PREFIX).partition("-")[0]
    with suppress(FileNotFoundError):
        return pid.isdigit() and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists()
    return False
