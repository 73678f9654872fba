"""Peak memory of one sqlrunner process, as the kernel counts it."""

import os
import subprocess
import sys
from pathlib import Path


def run_measured(folder: Path, args: list[str]) -> tuple[int, int]:
    """(exit code, peak resident bytes)."""
    process = subprocess.Popen([sys.executable, "-m", "carrel.sqlrunner", *args], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024
