"""Bubblewrap passes the conformance suite, and what is its own: the supervisor, its records, cgroups and rlimits."""

import contextlib
import json
import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.executors.conformance import (
    WAIT,
    Bench,
    Contained,
    Images,
    Isolated,
    Lifecycle,
    Limited,
    Startable,
    Talkative,
    agent_that_dies,
    processes_with,
)
from tests.executors.conformance import bench as make_bench
from tests.support.disks import small_disk
from tests.support.docker import missing
from tests.support.waiting import until

from carrel.executors import cgroups
from carrel.executors.base import (
    ExecutorError,
    Mount,
    NotSupported,
    Phase,
    ResourceLimits,
    RuntimeUnavailable,
    Usage,
)
from carrel.executors.bubblewrap import BubblewrapExecutor
from carrel.executors.choice import ExecutorSettings

pytestmark = pytest.mark.bubblewrap


@pytest.fixture
def bench(tmp_path: Path, toolchains_dir: Path) -> Iterator[Bench]:
    if shutil.which("bwrap") is None:
        missing("bwrap")
    settings = ExecutorSettings(
        executor="bubblewrap", state_dir=tmp_path / "state", toolchains_dir=toolchains_dir, tmp_bytes=32 << 20
    )
    with make_bench(settings, "registry.invalid/x/python:v2", tmp_path / "work") as made:
        yield made


class TestLifecycle(Lifecycle):
    pass


class TestStartable(Startable):
    pass


class TestTalkative(Talkative):
    pass


class TestContained(Contained):
    pass


class TestLimited(Limited):
    pass


class TestImages(Images):
    pass


class TestIsolated(Isolated):
    pass


def _supervisor(bench: Bench, name: str) -> int:
    return int((bench.settings.state_dir / name / "pid").read_text())


def test_a_killed_supervisor_is_lost_and_takes_the_job_with_it(bench: Bench) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    name = bench.start(bench.python("import os, time; os.fork(); os.write(1, b'ready\\n'); time.sleep(1000)", marker))
    until(lambda: b"ready" in bench.log(name), "the program itself")
    os.kill(_supervisor(bench, name), signal.SIGKILL)
    end = bench.ended(name)
    assert (end.phase, end.exit_code, end.lost) == (Phase.EXITED, None, True)
    until(lambda: not processes_with(marker), "the end of the job")
    bench.executor.remove(name)
    assert not [place for place in _groups(name) if place.exists()]


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"exit_code 0\n", b"exit_code 0\nfailed 0\n"])
def test_a_torn_exit_record_is_lost_not_a_success(bench: Bench, content: bytes) -> None:
    name = bench.start(bench.spec("true"))
    bench.ended(name)
    (bench.settings.state_dir / name / "exit").write_bytes(content)
    end = bench.executor.inspect(name)
    assert (end.phase, end.exit_code, end.lost) == (Phase.EXITED, None, True)


def test_after_a_reboot_what_ran_is_lost(bench: Bench) -> None:
    """A reboot leaves the folder with a pid that is somebody else's by now, and no lock."""
    name = bench.start(bench.spec("sleep", "1000"))
    until((bench.settings.state_dir / name / "log.head").exists, "its start")
    copy = bench.name()
    shutil.copytree(bench.settings.state_dir / name, bench.settings.state_dir / copy)
    record = json.loads((bench.settings.state_dir / copy / "record.json").read_text())
    (bench.settings.state_dir / copy / "record.json").write_text(json.dumps({**record, "cgroups": {}}))
    (bench.settings.state_dir / copy / "pid").write_text(str(os.getpid()))
    end = bench.executor.inspect(copy)
    assert (end.phase, end.exit_code, end.lost) == (Phase.EXITED, None, True)
    assert bench.executor.wait([copy], WAIT) == {copy}
    bench.executor.stop(copy)  # and must not kill the process that has the pid now


@pytest.mark.parametrize("point", ["executors.bubblewrap.created", "executors.bubblewrap.started"])
def test_the_agent_killed_while_it_starts_a_job(bench: Bench, point: str) -> None:
    spec = bench.spec("sh", "-c", "echo ran >> runs.txt; exit 3")
    agent_that_dies(bench, spec, fault=point)
    end = bench.ended(spec.name)
    if point.endswith("created"):
        assert end.lost
        bench.executor.remove(spec.name)
        end = bench.run(spec)
    assert end.exit_code == 3
    assert (spec.workspace / "runs.txt").read_text() == "ran\n"


def test_left_overs_of_a_killed_agent_are_collected(bench: Bench) -> None:
    for name in (".new-a-1-1", ".old-b-1-1"):
        folder = bench.settings.state_dir / name
        folder.mkdir()
        (folder / "lock").write_text("")
    bench.another()
    assert not [place for place in bench.settings.state_dir.iterdir() if place.name.startswith((".new", ".old"))]


def _groups(name: str) -> list[Path]:
    hierarchy = cgroups.detect()
    parents = set(hierarchy.parents.values()) if hierarchy else set()
    return [place for parent in parents for place in parent.glob(f"{name}-*")]


def test_cgroups_are_removed(bench: Bench) -> None:
    if cgroups.detect() is None:
        pytest.skip("this user may make no cgroup here")
    name = bench.start(bench.spec("sleep", "1000"))
    assert _groups(name)
    bench.executor.remove(name)
    assert not _groups(name)


def test_without_cgroups_memory_is_held_by_rlimits_and_the_notes_say_so(bench: Bench) -> None:
    bench.executor.close()
    bench.executor = BubblewrapExecutor(bench.settings.state_dir, bench.settings.toolchains_dir, use_cgroups=False)
    assert bench.executor.capabilities.memory_limit == "rlimit"
    spec = bench.python("x = bytearray(2 << 30)", limits=ResourceLimits(memory=512 << 20))
    end = bench.run(spec)
    assert end.exit_code == 1
    assert "MemoryError" in bench.text(spec.name)
    assert "rlimit" in end.notes[0]
    assert "not held" in end.notes[0]


def test_without_cgroups_usage_is_read_from_the_processes(bench: Bench) -> None:
    bench.executor = BubblewrapExecutor(bench.settings.state_dir, bench.settings.toolchains_dir, use_cgroups=False)
    spec = bench.python("x = bytearray(50 << 20)\nopen('ready', 'w')\nwhile True: pass")
    name = bench.start(spec)
    until((spec.workspace / "ready").exists, "its memory")
    usage = until(lambda: _busy(bench, name), "its use of cpu")
    assert usage.memory > 50 << 20
    bench.executor.stop(name)
    assert bench.executor.usage(name) is None


def _busy(bench: Bench, name: str) -> Usage | None:
    usage = bench.executor.usage(name)
    return usage if usage and usage.cpu_seconds > 0.1 else None


def test_the_log_on_disk_is_limited_too(bench: Bench) -> None:
    bench.executor = BubblewrapExecutor(bench.settings.state_dir, bench.settings.toolchains_dir, log_bytes=1 << 20)
    spec = bench.python("for line in range(200_000): print(f'line {line:06d}', 'x' * 40)")
    bench.run(spec)
    sizes = sum(place.stat().st_size for place in (bench.settings.state_dir / spec.name).glob("log.*"))
    assert sizes < 2 << 20
    log = bench.log(spec.name)
    assert b" line 000000 " in log
    assert b" line 199999 " in log
    numbers = [int(line.split()[2]) for line in log.splitlines() if b" line " in line and len(line.split()) == 4]
    assert numbers == sorted(numbers)
    assert b"are left out here" in log
    missing_bytes = bench.executor.logs(spec.name, lambda piece: None)
    assert len(log) + missing_bytes > 200_000 * 80


def test_a_folder_that_cannot_be_mounted_is_nobodys_fault(bench: Bench, tmp_path: Path) -> None:
    spec = replace(bench.spec("true"), workspace=tmp_path / "gone")
    end = bench.run(spec)
    assert (end.exit_code, end.lost) == (None, True)
    assert "set up" in end.notes[-1]
    assert "gone" in bench.text(spec.name)


def test_more_large_inputs_than_bubblewrap_can_show_are_refused_in_words(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "input.csv").write_text("a\n1\n")
    mounts = [Mount(tmp_path / "input.csv", f"/workspace/input{number}.csv") for number in range(3000)]
    spec = bench.spec("sh", "-c", "cat input1.csv", mounts=tuple(mounts))
    with pytest.raises(NotSupported, match="3000 large inputs"):
        bench.executor.start(spec)
    assert bench.executor.inspect(spec.name).phase == Phase.ABSENT
    fewer = replace(spec, mounts=spec.mounts[:100])
    assert bench.run(fewer).exit_code == 0
    assert bench.text(spec.name) == "a\n1\n"


def test_a_job_that_met_its_limit_of_processes_is_told_so(bench: Bench) -> None:
    if bench.executor.capabilities.pids_limit != "cgroup":
        pytest.skip("no cgroup holds the number of processes here")
    spec = bench.spec("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 0 & done; wait", limits=ResourceLimits(pids=3))
    assert any(note.startswith("Processes: ") for note in bench.run(spec).notes)
    assert not any(note.startswith("Processes: ") for note in bench.run(bench.spec("true")).notes)


def test_the_exit_record_of_an_earlier_supervisor_is_read(bench: Bench) -> None:
    name = bench.start(bench.spec("sh", "-c", "exit 4"))
    bench.ended(name)
    record = bench.settings.state_dir / name / "exit"
    record.write_text("".join(line for line in record.read_text().splitlines(True) if "pids" not in line))
    assert bench.executor.inspect(name).exit_code == 4


def test_secrets_of_the_environment_are_not_on_disk(bench: Bench) -> None:
    secret = f"secret-{uuid.uuid4().hex}"
    name = bench.start(bench.spec("sleep", "1000", env={"DATABASE_URL": secret}))
    files = [place for place in bench.settings.state_dir.rglob("*") if place.is_file()]
    assert any(name in str(place) for place in files)
    for place in files:
        # One that was being written (`started.new`) may have its own name by now.
        with contextlib.suppress(FileNotFoundError):
            assert secret.encode() not in place.read_bytes()


def fill(place: Path) -> None:
    with place.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_named(bench: Bench) -> None:
    """A file system of one megabyte, really full."""
    small = bench.folder / "small"
    with small_disk(small, "256k"):
        executor = BubblewrapExecutor(small / "state", bench.settings.toolchains_dir)
        fill(small / "filler")
        spec = bench.spec("true")
        with pytest.raises(ExecutorError) as caught:
            executor.start(spec)
        assert caught.value.kind == "disk_full"
        assert executor.inspect(spec.name).phase == Phase.ABSENT
        assert executor.list() == []


def test_without_bwrap_the_error_says_what_to_install(
    tmp_path: Path, toolchains_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(RuntimeUnavailable, match="apt install bubblewrap"):
        BubblewrapExecutor(tmp_path / "state", toolchains_dir)
