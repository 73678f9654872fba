"""Control groups: real ones of version 1 and 2 where this machine lets us, and the kernel's files of both."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from carrel.executors import cgroups
from carrel.executors.base import ResourceLimits, Usage
from carrel.executors.cgroups import Hierarchy


@pytest.fixture
def hierarchy() -> Hierarchy:
    found = cgroups.detect()
    if found is None:
        pytest.skip("this user may make no cgroup here")
    return found


def test_a_group_holds_kills_and_goes(hierarchy: Hierarchy) -> None:
    name = f"test-{os.getpid()}"
    group = cgroups.create(hierarchy, name, ResourceLimits(memory=64 << 20, cpus=0.5, pids=10))
    child = subprocess.Popen(["sleep", "1000"])
    try:
        for folder in cgroups.folders(group):
            (folder / "cgroup.procs").write_text(str(child.pid))
        assert set(cgroups.group_of(child.pid).values()) >= set(group.values())
        if hierarchy.has("memory"):
            assert cgroups.usage(group) is not None
    finally:
        cgroups.remove(cgroups.folders(group))
        cgroups.remove(cgroups.folders(group))
    assert child.wait() == -9
    assert not any(folder.exists() for folder in group.values())
    assert cgroups.usage(group) is None


def test_left_overs_of_a_name_are_cleared(hierarchy: Hierarchy) -> None:
    name = f"test-left-{os.getpid()}"
    first = cgroups.create(hierarchy, name, ResourceLimits(memory=64 << 20))
    child = subprocess.Popen(["sleep", "1000"])
    (first["pids"] / "cgroup.procs").write_text(str(child.pid))
    second = cgroups.create(hierarchy, name, ResourceLimits(memory=1 << 30))
    cgroups.remove(cgroups.folders(second))
    assert child.wait() == -9


@pytest.fixture
def version_2() -> Iterator[Path]:
    """A folder of a real version 2 hierarchy, whatever controllers it has."""
    mounts = cgroups._read_mounts()
    if "unified" not in mounts or not os.access(mounts["unified"], os.W_OK):
        pytest.skip("no version 2 hierarchy that may be written to")
    folder = mounts["unified"] / f"carrel-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    cgroups.remove([folder])


def test_version_2_groups_are_killed_and_removed(version_2: Path) -> None:
    group = cgroups.create(Hierarchy(2, {"unified": version_2}), "job", ResourceLimits(memory=1 << 20, cpus=1, pids=5))
    assert cgroups.folders(group) == [version_2 / "job"]
    child = subprocess.Popen(["sleep", "1000"])
    (version_2 / "job" / "cgroup.procs").write_text(str(child.pid))
    cgroups.remove(cgroups.folders(group))
    assert child.wait() == -9
    assert not (version_2 / "job").exists()


def test_version_2_without_memory_and_pids_is_not_taken(version_2: Path) -> None:
    given = (version_2 / "cgroup.controllers").read_text().split()
    assert (cgroups._enable_v2(version_2) != []) == {"memory", "pids"}.issubset(given)


def test_version_2_limits_and_usage_in_the_kernels_format(tmp_path: Path) -> None:
    """Files as in the kernel's cgroup-v2.rst, for machines whose memory controller is in version 1 (as this may be)."""
    job = tmp_path / "job"
    hierarchy = Hierarchy(2, dict.fromkeys(("memory", "pids", "cpu", "io"), tmp_path))
    group = {controller: parent / "job" for controller, parent in hierarchy.parents.items()}
    job.mkdir()
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max"):
        (job / name).write_text("max\n")
    cgroups._limit_memory(group, 4 << 30)
    cgroups._limit_cpus(2, group, 1.5)
    assert (job / "memory.max").read_text() == str(4 << 30)
    assert (job / "memory.swap.max").read_text() == "0"
    assert (job / "cpu.max").read_text() == "150000 100000"
    (job / "memory.current").write_text("3000000\n")
    (job / "memory.peak").write_text("5000000\n")
    (job / "memory.stat").write_text("anon 1000000\nfile 2000000\ninactive_file 500000\n")
    (job / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    (job / "io.stat").write_text("8:0 rbytes=100 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2 rios=1\n")
    assert cgroups.usage(group) == Usage(2.5, 2_500_000, 5_000_000, 101, 22)


def test_version_1_usage_in_the_kernels_format(tmp_path: Path) -> None:
    group = {name: tmp_path / name for name in ("memory", "cpuacct", "blkio")}
    for folder in group.values():
        folder.mkdir()
    (group["memory"] / "memory.usage_in_bytes").write_text("3000000\n")
    (group["memory"] / "memory.max_usage_in_bytes").write_text("5000000\n")
    (group["memory"] / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 500000\n")
    (group["cpuacct"] / "cpuacct.usage").write_text("2500000000\n")
    io = "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\nTotal 120\n"
    (group["blkio"] / "blkio.throttle.io_service_bytes_recursive").write_text(io)
    assert cgroups.usage(group) == Usage(2.5, 2_500_000, 5_000_000, 100, 20)


def test_a_process_that_has_gone_has_no_group() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert cgroups.group_of(child.pid) == {}
