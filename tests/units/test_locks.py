"""Locks on files: held by one at a time, by nobody who has died."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carrel.units.locks import LockHeld, is_locked, lock, locked


def test_one_holder_at_a_time_and_none_after_it(tmp_path: Path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    with locked(path, timeout=0, note=b"the first"):
        assert is_locked(path)
        with pytest.raises(LockHeld) as caught, locked(path, timeout=0, note=b"the second"):
            pass
        assert caught.value.note == b"the first"
        assert str(path) in str(caught.value)
    assert not is_locked(path)
    with locked(path, timeout=0, note=b"next"):
        assert path.read_bytes() == b"next"


def test_waiting_ends_at_the_timeout(tmp_path: Path):
    path = tmp_path / "lock"
    with locked(path):
        began = time.monotonic()
        with pytest.raises(LockHeld), locked(path, timeout=0.1):
            pass
        assert 0.1 <= time.monotonic() - began < 5


def test_who_waits_is_asked_how_long_and_may_give_up(tmp_path: Path):
    path, left = tmp_path / "lock", iter([0.001, 0.001, 0.0])
    with locked(path):
        with pytest.raises(LockHeld), locked(path, timeout=lambda: next(left)):
            pass
        assert not list(left)
        with pytest.raises(ZeroDivisionError), locked(path, timeout=lambda: 1 / 0):
            pass
    with locked(path, timeout=lambda: 1 / 0):
        assert is_locked(path)


def test_waiting_without_end_gets_the_lock(tmp_path: Path):
    path = tmp_path / "lock"
    code = f"from carrel.units.locks import lock; lock(__import__('pathlib').Path({str(path)!r}))\n"
    code += "import time; print('held', flush=True); time.sleep(0.2)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(path)
        with locked(path):
            assert holder.wait(10) == 0


def test_a_child_that_inherits_goes_on_holding(tmp_path: Path):
    path = tmp_path / "lock"
    descriptor = lock(path, mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor]) as child:
        os.close(descriptor)
        assert is_locked(path)
        child.communicate()
    assert not is_locked(path)


def test_a_full_disk_costs_the_note_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_arguments: object) -> int:
        raise OSError("full")

    monkeypatch.setattr(os, "pwrite", refuse)
    with locked(tmp_path / "lock", note=b"me"):
        assert is_locked(tmp_path / "lock")


def test_no_file_is_made_where_none_is_to_be(tmp_path: Path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "lock", create=False):
        pass
    assert not list(tmp_path.iterdir())
