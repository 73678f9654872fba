"""Real processes at the price of a fork: one that imported everything, and forks a child for each call.

`python -m tests.support.forked` reads calls as JSON, one a line, and answers each with the exit code of its child
(negative: the signal that killed it).
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carrel.telemetry import faults

ROOT = Path(__file__).parents[2]


class Forker:
    """Calls functions of a module, each in a process of its own; a context, because it is a process itself."""

    def __init__(self, module: str):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        command = [sys.executable, "-m", "tests.support.forked", module]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True
        )

    def call(
        self,
        name: str,
        *args: str,
        kill_at: str | None = None,
        kill_after: int = 0,
        points: Path | None = None,
        **named: Any,
    ) -> int:
        """The exit code. `kill_at`: as CARREL_FAULT; `kill_after`: so many fault points of whatever name (0: never);
        `points`: a file that gets those passed, one a line."""
        assert self.process.stdin
        assert self.process.stdout
        call = {"name": name, "args": args, "named": named, "kill_at": kill_at, "kill_after": kill_after}
        call["points"] = str(points or "")
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def __enter__(self) -> "Forker":
        return self

    def __exit__(self, *details: object) -> None:
        with self.process:
            assert self.process.stdin
            self.process.stdin.close()
            self.process.wait(timeout=60)


def _child(module: Any, call: Mapping[str, Any]) -> None:
    os.dup2(2, 1)
    if call["kill_at"]:
        os.environ["CARREL_FAULT"] = call["kill_at"]
    passed: list[str] = []

    def note(step: str) -> None:
        passed.append(step)
        if len(passed) == call["kill_after"]:
            os.kill(os.getpid(), signal.SIGKILL)

    faults.on_point(note)
    getattr(module, call["name"])(*call["args"], **call["named"])
    if call["points"]:
        Path(call["points"]).write_text("\n".join(passed))


def main(name: str) -> None:
    module = importlib.import_module(name)
    # A child has only the thread that forked it: the locks of others would stay locked for ever. The allocator's own
    # threads know that.
    threads = {(each / "comm").read_text().strip() for each in Path("/proc/self/task").iterdir()}
    assert {name for name in threads if not name.startswith("jemalloc")} == {
        (Path("/proc/self/comm")).read_text().strip()
    }
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 1
            try:
                _child(module, json.loads(line))
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
