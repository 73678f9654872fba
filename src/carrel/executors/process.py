"""Plain processes with no isolation at all: for tests of the agent itself, never for a study.

The agent refuses `EXECUTOR=process` where a database is configured. Everything but the start is bubblewrap's executor:
the same supervisor, state folders, logs and exit records.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from carrel.executors import attempts, sandbox
from carrel.executors.attempts import MemoryFiles
from carrel.executors.base import (
    JOB_ENV,
    WORKSPACE,
    Capabilities,
    Mount,
    NotSupported,
    RunSpec,
    refuse_impossible,
)
from carrel.executors.bubblewrap import DEFAULT_LOG_BYTES, BubblewrapExecutor
from carrel.telemetry import faults

IMAGE_ID = "process"

# Stands where bwrap stands, is called as bwrap is called, and says of the exit what bwrap says.
_LAUNCHER = """
import os, sys
status, args = int(sys.argv[2]), int(sys.argv[4])
words = os.fdopen(args, "rb").read().decode().split(chr(0))[:-1]
folder, env = words[0], dict(word.split("=", 1) for word in words[1:])
pid = os.fork()
if pid == 0:
    os.chdir(folder)
    os.execve("/usr/bin/setpriv", ["setpriv", "--pdeathsig", "KILL", "--", *sys.argv[6:]], env)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
os.write(status, b'{"exit-code": %d}' % code)
os._exit(128 - code if code < 0 else code)
"""


class ProcessExecutor(BubblewrapExecutor):
    """Processes of this user, with their state in `state_dir`."""

    def __init__(self, state_dir: Path, *, log_bytes: int = DEFAULT_LOG_BYTES) -> None:
        self._state = state_dir.absolute()
        self._log_bytes = log_bytes
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        attempts.collect(self._state)
        self._supervisor = attempts.compiled_supervisor(self._state)
        self._launcher = _write_launcher(self._state / ".launcher")
        self.capabilities = Capabilities("process", False, "none", "none", "none", database_network=False)

    def prepare_image(self, image: str, image_sha: str | None) -> str:
        return IMAGE_ID

    def start(self, spec: RunSpec) -> None:
        attempt = self._attempt(spec.name)
        if attempt.exists:
            return
        if spec.network.mode != "none":
            raise NotSupported("Plain processes get no database")
        refuse_impossible(spec)
        _copy_mounts(spec.mounts, spec.workspace)
        record = {"image": spec.image, "image_id": IMAGE_ID, "labels": {}, "metadata": {"Name": spec.name}}
        lock = attempts.create(self._state, spec.name, record)
        if lock is None:
            return
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", **JOB_ENV, **spec.env}
        options = [str(spec.workspace), *(f"{key}={value}" for key, value in env.items())]
        try:
            faults.point("executors.process.created")
            words = [str(self._log_bytes), "0", "", str(self._launcher), *sandbox.LAUNCH]
            files = MemoryFiles(options, sandbox.launch_script(spec.args))
            attempts.spawn(self._supervisor, attempt.folder, lock, files, words)
        except BaseException:
            os.close(lock)
            attempt.remove()
            raise
        os.close(lock)


def _write_launcher(path: Path) -> Path:
    attempts.keep_file(path, f"#!{sys.executable} -IS\n{_LAUNCHER}", 0o700)
    return path


def _copy_mounts(mounts: Iterable[Mount], workspace: Path) -> None:
    for mount in mounts:
        if not mount.target.startswith(f"{WORKSPACE}/"):
            raise NotSupported("Plain processes get mounts below /workspace only")
        target = workspace / mount.target.removeprefix(f"{WORKSPACE}/")
        target.unlink(missing_ok=True)
        shutil.copyfile(mount.source, target)
