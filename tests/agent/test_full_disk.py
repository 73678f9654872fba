"""The agent on a full disk: it starts, says so, can cancel and clean, and goes on when there is room."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agents import Site, eventually
from tests.support.disks import small_disk
from tests.support.task_server import serving

from carrel.executors.toolchains import build


@pytest.fixture(params=["process", pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)])
def site(request: pytest.FixtureRequest, tmp_path: Path, study: tuple[Path, str]) -> Iterator[Site]:
    env = {"EXECUTOR": request.param}
    if request.param == "bubblewrap":
        (tmp_path / "nothing.txt").write_text("")
        build("python", "v2", tmp_path / "nothing.txt", tmp_path / "toolchains")
        env |= {"TOOLCHAINS_DIR": str(tmp_path / "toolchains")}
    with serving() as server, small_disk(tmp_path / "disk", "8m"):
        made = Site(tmp_path / "disk", server, *study, env=env)
        yield made
        made.kill()


def _fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    path = folder / "filler"
    with path.open("wb") as filler:
        for size in (1 << 16, 1):  # large steps first, then the last byte
            with contextlib.suppress(OSError):
                while True:
                    os.write(filler.fileno(), b"x" * size)
    return path


def test_it_starts_reports_cancels_and_goes_on(site: Site) -> None:
    site.start()
    site.server.add(site.script("sleep 1000", job_id="long"))
    site.server.wait_for(lambda: "executing" in site.server.stages("long-001"))
    eventually(lambda: '"done": true' in (site.high / "volumes/long-001/started.json").read_text())
    site.kill()
    filler = _fill(site.root)
    process = site.start()
    site.server.add(site.task())
    assert site.server.final("job1-001")["results"]["error"]["type"] == "disk_full"
    cancel = site.server.cancel("long-001")
    site.server.final(cancel)
    eventually(lambda: not (site.high / "volumes/long-001").exists(), what="the cancelled attempt is not cleaned up")
    assert process.poll() is None
    filler.unlink()
    site.server.add(site.task(attempt=2))
    assert site.server.final("job1-002")["results"]["exit_code"] == "0"
    assert site.stop() == 0


@pytest.mark.parametrize("times", [1, 2])
def test_it_starts_again_and_again(site: Site, times: int) -> None:
    site.start()
    site.server.add(site.task())
    site.server.final("job1-001")
    site.kill()
    for number in range(times):
        _fill(site.root)
        site.start()
        site.server.add(site.task(job_id=f"more{number}"))
        assert site.server.final(f"more{number}-001")["results"]["error"]["type"] == "disk_full"
        site.kill()
