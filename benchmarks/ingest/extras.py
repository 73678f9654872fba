"""The Python that dlt and PySpark run in: a venv of its own, of the hashed pins in requirements/bench.txt."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.ingest.watching import ROOT

PINS = ROOT / "requirements" / "bench.txt"


class Missing(Exception):
    """Something that a contestant needs is not on this machine."""


def python_for(contestant: str) -> Path:
    """Its interpreter; made when it is first needed. Missing says what to do."""
    if contestant == "pyspark" and not shutil.which("java"):
        raise Missing("PySpark needs Java 17 or later on the PATH")
    digest = hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]
    venv = Path(tempfile.gettempdir()) / f"carrel-bench-venv-{digest}"
    python = venv / "bin" / "python"
    if not (venv / "whole").exists():
        _make(venv, python)
    return python


def _make(venv: Path, python: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    try:
        subprocess.run([uv, "venv", "-q", "--clear", "-p", sys.executable, venv], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--require-hashes", "-p", python, "-r", PINS], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"its packages cannot be installed from {PINS.relative_to(ROOT)}: {error}") from error
    (venv / "whole").touch()
