import os
import signal
import subprocess
import sys

import pytest

from carrel.telemetry import faults

STEPS = (
    "from carrel.telemetry.faults import point\nfor n in range(4):\n    point('room.step')\n    print(n, flush=True)"
)


def run(fault):
    environ = {name: value for name, value in os.environ.items() if name != "CARREL_FAULT"}
    return subprocess.run(
        [sys.executable, "-c", STEPS],
        env=environ | ({"CARREL_FAULT": fault} if fault else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("fault", "lines"), [("room.step", 0), ("room.step:1", 0), ("room.step:3", 2)])
def test_the_process_ends_as_by_a_power_cut_at_the_place_asked_for(fault, lines):
    done = run(fault)
    assert done.returncode == -signal.SIGKILL
    assert len(done.stdout.splitlines()) == lines


@pytest.mark.parametrize("fault", ["", "room.other", "room", "room.step:5"])
def test_otherwise_nothing_happens(fault):
    assert (run(fault).returncode, run(fault).stdout) == (0, "0\n1\n2\n3\n")


def test_a_hook_hears_of_each_point(monkeypatch):
    monkeypatch.delenv("CARREL_FAULT", raising=False)
    heard = []
    faults.on_point(heard.append)
    try:
        faults.point("a.one")
        faults.point("a.two")
    finally:
        faults.on_point(None)
    faults.point("a.three")
    assert heard == ["a.one", "a.two"]
