"""The Pythons that the contestants run in, each a venv of hashed pins: dlt and PySpark of requirements/bench.txt; ours
and the floor of requirements/base.txt, as our users have it. The developers' has pandas for the tests of readers: Arrow
loads it where it finds it, which costs each process a third of a second and 20 MB.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.ingest.watching import ROOT

PINS = ROOT / "requirements"


class Missing(Exception):
    """Something that a contestant needs is not on this machine."""


def python_for(contestant: str) -> Path:
    """Its interpreter; made when it is first needed. Missing says what to do."""
    if contestant == "pyspark" and not shutil.which("java"):
        raise Missing("PySpark needs Java 17 or later on the PATH")
    return _python_of(PINS / "bench.txt")


def python_of_users() -> Path:
    """For ours and for the floor; Carrel itself is on its path by `OURS`."""
    return _python_of(PINS / "base.txt")


OURS = {"PYTHONPATH": str(ROOT / "src")}
"""What the environment of that Python is to have."""


def _python_of(pins: Path) -> Path:
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    venv = Path(tempfile.gettempdir()) / f"carrel-bench-venv-{digest}"
    python = venv / "bin" / "python"
    if not (venv / "whole").exists():
        _make(venv, python, pins)
    return python


def _make(venv: Path, python: Path, pins: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    try:
        subprocess.run([uv, "venv", "-q", "--clear", "-p", sys.executable, venv], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--require-hashes", "-p", python, "-r", pins], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"its packages cannot be installed from {pins.relative_to(ROOT)}: {error}") from error
    (venv / "whole").touch()
