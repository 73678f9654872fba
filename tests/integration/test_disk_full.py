"""Real small file systems that fill up: nothing that was there is damaged, and it goes on once there is room again."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.support.admin import end_pauses
from tests.support.disks import small_disk
from tests.support.site import free_port, live_site
from tests.support.waiting import until

from carrel.site.layout import Site, SiteBackend

MEGABYTE = 1_000_000


def any_ones_disk(place: Path, megabytes: int):
    """Jobs write there, as whichever user."""
    return small_disk(place, f"{megabytes}M", "1777")


EXECUTORS = [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap), pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(scope="module", params=EXECUTORS)
def cramped(request, tmp_path_factory, toolchains):
    """Three backends, each short of room elsewhere.

    store: little for outputs, plenty for jobs at work. work: the other way round. all: one small disk for both.
    """
    if request.param == "docker":
        request.getfixturevalue("docker_image")
    root = tmp_path_factory.mktemp(f"cramped-{request.param}")
    extra = {"DOCKER_REGISTRY": "carrel-test", "STATS_POLL_INTERVAL": "2"}
    backends = tuple(SiteBackend(name) for name in ("store", "work", "all"))
    site = Site(
        root / "site",
        backends,
        port=free_port(),
        executor=request.param,
        toolchains=toolchains,
        extra_env=extra,
    )
    with ExitStack() as stack:
        stack.enter_context(any_ones_disk(site.high_privacy("store"), 16))
        stack.enter_context(any_ones_disk(site.high_privacy("store") / "volumes", 64))
        stack.enter_context(any_ones_disk(site.high_privacy("work") / "volumes", 16))
        stack.enter_context(any_ones_disk(site.high_privacy("all"), 16))
        yield stack.enter_context(live_site(site, root / "studies"))


YAML = """
version: '5'
actions:
  make:
    run: python:v2 python make.py
    outputs:
      moderately_sensitive: {out: output/out.csv}
      highly_sensitive: {big: output/big.bin.gz}
"""


def study(script: str) -> dict[str, str]:
    return {"project.yaml": YAML, "make.py": script}


def writes(megabytes: int, table: str) -> dict[str, str]:
    return study(
        f"open('output/out.csv', 'w').write('n\\n{table}\\n')\n"
        f"with open('output/big.bin.gz', 'wb') as big:\n"
        f"    for _ in range({megabytes}): big.write(bytes({MEGABYTE}))\n"
    )


def everything(folder: Path) -> dict[str, bytes]:
    """All outputs, records and logs of a workspace."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def ballast(folder: Path, megabytes: int) -> Iterator[None]:
    """What somebody else has put on the disk."""
    path = folder / "somebody-elses"
    path.write_bytes(bytes(megabytes * MEGABYTE))
    try:
        yield
    finally:
        path.unlink()


def waits_again(attempt: int):
    return lambda jobs: f"Attempt {attempt} of 3" in jobs["make"]["status_message"]


def test_outputs_that_do_not_fit_are_tried_again_and_then_named(cramped):
    backend = "store"
    asked, jobs = cramped.run(writes(1, "1"), backend=backend)
    assert jobs["make"]["status"] == "succeeded", cramped.permanent_logs(backend)
    high, level4 = cramped.high(asked.workspace, backend), cramped.level4(asked.workspace, backend)
    before = everything(high / "output"), everything(level4)
    with ballast(cramped.site.high_privacy(backend), 10):
        rap = cramped.submit(cramped.request(writes(8, "2"), "make", name=asked.workspace), backend)
        job = cramped.wait(rap, until=waits_again(2))["make"]
        assert job["status_code"] == "waiting_on_new_task"
        assert "the disk of the backend is full" in job["status_message"]
        for attempt in (2, 3):
            end_pauses(cramped)
            done = waits_again(3) if attempt == 2 else lambda jobs: jobs["make"]["status"] == "failed"
            job = cramped.wait(rap, until=done)["make"]
        assert job["status_code"] == "job_error"
        assert (
            "It was tried 3 times; the last time the disk of the backend is full (reference " in job["status_message"]
        )
        assert (everything(high / "output"), everything(level4)) == before
    _, jobs = cramped.run(writes(8, "2"), "make", name=asked.workspace, backend=backend)
    assert jobs["make"]["status"] == "succeeded"
    assert (level4 / "output/out.csv").read_text() == "n\n2\n"
    assert (high / "output/big.bin.gz").stat().st_size == 8 * MEGABYTE


def test_a_job_that_fills_its_own_disk_fails_with_its_own_words(cramped):
    backend = "work"
    asked, jobs = cramped.run(writes(1, "1"), backend=backend)
    assert jobs["make"]["status"] == "succeeded", cramped.permanent_logs(backend)
    high, level4 = cramped.high(asked.workspace, backend), cramped.level4(asked.workspace, backend)
    before = everything(high / "output"), (level4 / "metadata/manifest.json").read_bytes()
    _, jobs = cramped.run(writes(40, "2"), "make", name=asked.workspace, backend=backend)
    assert jobs["make"]["status_code"] == "nonzero_exit"
    assert "No space left on device" in cramped.log(asked.workspace, "make", backend)
    assert (everything(high / "output"), (level4 / "metadata/manifest.json").read_bytes()) == before
    _, jobs = cramped.run(writes(2, "3"), "make", name=asked.workspace, backend=backend)
    assert jobs["make"]["status"] == "succeeded"


def test_where_all_is_on_one_disk_a_job_that_fills_it_leaves_no_harm(cramped):
    backend = "all"
    asked, jobs = cramped.run(writes(1, "1"), backend=backend)
    assert jobs["make"]["status"] == "succeeded", cramped.permanent_logs(backend)
    high, level4 = cramped.high(asked.workspace, backend), cramped.level4(asked.workspace, backend)
    before = everything(high / "output"), (level4 / "metadata/manifest.json").read_bytes()
    rap = cramped.submit(cramped.request(writes(40, "2"), "make", name=asked.workspace), backend)

    def ended_or_paused(jobs) -> bool:
        if jobs["make"]["status_code"] == "waiting_on_new_task":
            end_pauses(cramped)
        return jobs["make"]["status"] == "failed"

    job = cramped.wait(rap, until=ended_or_paused)["make"]
    # Whether the agent could still write the log decides whose words they are; both say what to look at.
    assert job["status_code"] in ("nonzero_exit", "job_error")
    assert job["status_code"] == "nonzero_exit" or "the disk of the backend is full" in job["status_message"]
    assert (everything(high / "output"), (level4 / "metadata/manifest.json").read_bytes()) == before
    _, jobs = cramped.run(writes(2, "3"), "make", name=asked.workspace, backend=backend)
    assert jobs["make"]["status"] == "succeeded"


def test_a_job_that_filled_the_disk_can_be_cancelled(cramped):
    backend = "all"
    script = f"""
import time
with open('output/big.bin.gz', 'wb', buffering=0) as big:
    for size in ({MEGABYTE}, 4096, 1):
        try:
            while True:
                big.write(bytes(size))
        except OSError:
            pass
time.sleep(600)
"""
    asked = cramped.request(study(script), "make")
    rap = cramped.submit(asked, backend)
    disk = cramped.site.high_privacy(backend)
    until(lambda: os.statvfs(disk).f_bavail == 0, "a full disk", 60)
    cramped.requests.client.cancel(rap, ["make"])
    job = cramped.wait(rap)["make"]
    assert job["status_code"] == "cancelled_by_user"
    # The process is gone, and with it what it had written.
    until(lambda: os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize > 8 * MEGABYTE, "room on the disk", 60)
    _, jobs = cramped.run(writes(2, "4"), "make", name=asked.workspace, backend=backend)
    assert jobs["make"]["status"] == "succeeded", cramped.permanent_logs(backend)
