"""The bar on a terminal: on the standard error, and only there."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from carrel.ingest.cli import ingest
from carrel.ingest.commands.shared import progress_bar
from carrel.ingest.run.coordinator import no_progress

PROGRAM = Path(sys.executable).parent / "carrel"


@pytest.fixture
def site(tmp_path):
    for words in (
        ["generate", str(tmp_path / "study"), "--records", "4", "--hz", "2"],
        ["schemas", "add", str(tmp_path / "study" / "schemas"), "--schemas", str(tmp_path / "schemas")],
    ):
        assert CliRunner().invoke(ingest, words).exit_code == 0
    return tmp_path


def test_a_terminal_shows_how_many_are_done(site):
    ours, theirs = pty.openpty()
    words = ["run", "study/archives", "--warehouse", "warehouse", "--mapping", "study/mapping.yaml", "--json"]
    process = subprocess.Popen(
        [PROGRAM, "ingest", *words, "--workers", "0"],
        cwd=site,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    out, _ = process.communicate(timeout=120)
    shown = _all_of(ours)
    assert json.loads(out)["dispositions"] == {"ingested": 4}
    assert "Archives" in shown
    assert "4/4" in shown


def _all_of(terminal):
    found = b""
    try:
        while more := os.read(terminal, 65_536):
            found += more
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(terminal)
    return found.decode()


def test_nothing_is_drawn_where_there_is_no_terminal(capfd):
    with progress_bar() as progress:
        assert progress is no_progress
        progress(1, 2)
    assert capfd.readouterr() == ("", "")
