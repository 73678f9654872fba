"""Plain processes with no isolation at all: for tests of the agent itself, never for a study.

The agent refuses `EXECUTOR=process` where a database is configured. Everything but the start is as with bubblewrap:
the same supervisor, state folders, logs and exit records.
"""

import shutil
import sys
from pathlib import Path

from carrel.executors import sandbox
from carrel.executors.base import (
    JOB_ENV,
    WORKSPACE,
    Capabilities,
    NotSupported,
    RunSpec,
    refuse_impossible,
)
from carrel.executors.state_folders import MemoryFiles, write_if_changed
from carrel.executors.supervised import DEFAULT_LOG_BYTES, SupervisedExecutor
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


class ProcessExecutor(SupervisedExecutor):
    """Processes of this user, with their state in `state_dir`."""

    def __init__(self, state_dir: Path, *, log_bytes: int = DEFAULT_LOG_BYTES) -> None:
        capabilities = Capabilities(
            name="process",
            images=False,
            memory_limit="none",
            cpu_limit="none",
            pids_limit="none",
            database_network=False,
        )
        super().__init__(state_dir, capabilities, log_bytes=log_bytes)
        self._launcher = self._state_dir / ".launcher"
        write_if_changed(self._launcher, f"#!{sys.executable} -IS\n{_LAUNCHER}", 0o700)

    def prepare_image(self, image: str, image_sha: str | None) -> str:
        """The same word for every image: none is looked at."""
        return IMAGE_ID

    def start(self, spec: RunSpec) -> None:
        """Start the job's program as it is, under a supervisor; what it is to see is copied into its folder."""
        if self._process(spec.name).exists:
            return
        if spec.network.mode != "none":
            raise NotSupported("Plain processes get no database")
        refuse_impossible(spec)
        for mount in spec.mounts:
            if not mount.target.startswith(f"{WORKSPACE}/"):
                raise NotSupported("Plain processes get mounts below /workspace only")
            target = spec.workspace / mount.target.removeprefix(f"{WORKSPACE}/")
            target.unlink(missing_ok=True)
            shutil.copyfile(mount.source, target)
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", **JOB_ENV, **spec.env}
        options = [str(spec.workspace), *(f"{key}={value}" for key, value in env.items())]
        record = {"image": spec.image, "image_id": IMAGE_ID, "labels": {}, "metadata": {"Name": spec.name}}
        with self._new_state_folder(spec.name, record) as lock:
            if lock is None:
                return
            faults.point("executors.process.created")
            files = MemoryFiles(options, sandbox.launch_script(spec.args))
            self._spawn_supervisor(spec.name, lock, files, [str(self._launcher), *sandbox.LAUNCH])
