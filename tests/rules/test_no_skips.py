"""The rule about skips can fail: it is tried on a test that skips."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = 'import pytest\n\n\ndef test_it():\n    pytest.skip("no engine answers")\n'


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_skip_fails_in_ci_and_only_there(tmp_path: Path, ci: str, code: int) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.no_skips", "-p", "no:django", "-rA", str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(tmp_path)], env={**os.environ, "CI": ci, "PYTHONPATH": str(root)},
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "no engine answers" in done.stdout
