"""The live table, on a real pseudo-terminal, and the other watchers' values."""

import os
import pty
import signal
import subprocess

import pytest
from tests.support.local import CARREL, Study

from carrel.local.watchers import size


@pytest.mark.bubblewrap
def test_a_terminal_gets_a_live_table_and_then_the_report(study: Study):
    study.writes("first").action(
        "bad", "print('the last words'); 1/0", "highly_sensitive: {a: output/x.csv}", needs="first"
    )
    ours, theirs = pty.openpty()
    env = {**study.env, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    run = subprocess.Popen(
        [CARREL, "run", "bad"], cwd=study.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the terminal's other end is closed: the run is over
        pass
    os.close(ours)
    assert run.wait(timeout=60) == 1
    text = shown.decode()
    assert "waits for" in text
    assert "nonzero exit" in text
    assert "ZeroDivisionError" in text
    assert "=> bad" in text[text.index("=> first") :]


@pytest.mark.bubblewrap
def test_an_interrupt_gives_the_cursor_back(study: Study):
    study.action("slow", "import time; time.sleep(600)", "highly_sensitive: {a: output/x.csv}")
    ours, theirs = pty.openpty()
    env = {**study.env, "TERM": "xterm-256color"}
    run = subprocess.Popen(
        [CARREL, "run", "slow"], cwd=study.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
            if b"executing" in shown and run.poll() is None:
                run.send_signal(signal.SIGINT)
    except OSError:  # the terminal's other end is closed: the run is over
        pass
    os.close(ours)
    assert run.wait(timeout=60) == 130
    assert shown.count(b"\x1b[?25h") == shown.count(b"\x1b[?25l") == 1
    assert study.leftovers() == []


@pytest.mark.parametrize(
    ("count", "text"), [(None, ""), (0, "0B"), (2048, "2K"), (300 * 1024**2, "300M"), (3 * 1024**3, "3.0G")]
)
def test_sizes_for_people(count, text):
    assert size(count) == text
