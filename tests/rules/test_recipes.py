"""Recipes that a newcomer tries in a fresh clone, run as they stand there, in a folder that has nothing."""

import os
import subprocess
import sys
from pathlib import Path

JUST = Path(sys.executable).parent / "just"
JUSTFILE = Path(__file__).parents[2] / "justfile"


def run(folder: Path, *words: str) -> str:
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        [JUST, "--justfile", JUSTFILE, "--working-directory", folder, *words],
        env={**environment, "HOME": str(folder)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_migrate_makes_the_database_and_may_be_run_again(tmp_path: Path) -> None:
    assert "created new db at" in run(tmp_path, "migrate")
    assert "as already applied" in run(tmp_path, "migrate")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    status = ["git", "-C", tmp_path, "status", "--porcelain"]
    assert subprocess.run(status, check=True, capture_output=True, text=True).stdout == ""
