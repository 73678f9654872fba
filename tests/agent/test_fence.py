"""No attempt changes a workspace without the controller's word for it, whoever was dead, frozen or cut off when."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agents import Site, eventually
from tests.support.task_server import serving


@pytest.fixture(params=[False, True], ids=["carrels controller", "opensafelys controller"])
def site(tmp_path: Path, study: tuple[Path, str], request: pytest.FixtureRequest) -> Iterator[Site]:
    with serving(contract=request.param) as server:
        made = Site(tmp_path / "site", server, *study)
        made.root.mkdir()
        yield made
        made.kill()


def _waiting_job(site: Site, tmp_path: Path, job_id: str = "job1") -> dict:
    """Runs until `tmp_path/go` is there, then makes one output."""
    command = (
        f"echo log; while ! test -e {tmp_path}/go; do sleep 0.05; done; mkdir output; echo {job_id} > output/x.csv"
    )
    return site.script(command, job_id=job_id)


def _begin(site: Site, tmp_path: Path) -> None:
    site.start()
    site.server.add(_waiting_job(site, tmp_path))
    site.server.wait_for(lambda: "executing" in site.server.stages("job1-001"))


def _output(site: Site) -> Path:
    return site.high / "workspaces/wspace/output/x.csv"


def _staged(site: Site) -> bool:
    """All is ready but for the word."""
    return any(path.read_bytes() == b"job1\n" for path in (site.high / ".staging/job1-001").glob("0*"))


def _asked(site: Site) -> bool:
    """The agent has asked for the word (and been answered nothing, while the controller is away)."""
    mark = b"finalizing" if site.server.contract else b'"publish":true'
    return any(mark in body for _, _, _, body in list(site.server.requests))


def _record(site: Site) -> dict:
    [path] = site.high.glob("logs/*/os-job-job1/metadata.json")
    return json.loads(path.read_text())


def _ended(tmp_path: Path, site: Site) -> None:
    (tmp_path / "go").touch()
    eventually(lambda: (site.high / "volumes/job1-001/workspace/output/x.csv").exists())


def test_with_the_controller_away_a_finished_attempt_is_staged_and_waits(site: Site, tmp_path: Path) -> None:
    _begin(site, tmp_path)
    site.server.down = True
    (tmp_path / "go").touch()
    eventually(lambda: _staged(site) and _asked(site))
    assert not _output(site).exists()
    assert not list(site.high.glob("logs/*"))
    site.kill()
    site.start()
    site.server.down = False
    assert site.server.final("job1-001")["results"]["exit_code"] == "0"
    assert _output(site).read_text() == "job1\n"


def test_one_cancelled_while_the_controller_was_away_publishes_nothing(site: Site, tmp_path: Path) -> None:
    _begin(site, tmp_path)
    site.server.down = True
    (tmp_path / "go").touch()
    eventually(lambda: _staged(site) and _asked(site))
    cancel = site.server.cancel("job1-001")
    site.server.down = False
    site.server.final(cancel)
    _published_nothing(site)


def test_one_withdrawn_while_the_controller_was_away_leaves_nothing(site: Site, tmp_path: Path) -> None:
    _begin(site, tmp_path)
    site.server.down = True
    (tmp_path / "go").touch()
    eventually(lambda: _staged(site) and _asked(site))
    site.server.withdraw("job1-001")
    site.server.down = False
    eventually(lambda: not (site.high / "volumes/job1-001").exists())
    assert not _output(site).exists()
    assert not list((site.high / ".staging").glob("*"))


def test_one_cancelled_while_the_agent_was_dead_publishes_nothing(site: Site, tmp_path: Path) -> None:
    _begin(site, tmp_path)
    eventually(lambda: '"done": true' in (site.high / "volumes/job1-001/started.json").read_text())
    site.kill()
    cancel = site.server.cancel("job1-001")
    _ended(tmp_path, site)
    site.start()
    site.server.final(cancel)
    _published_nothing(site)
    [log] = site.high.glob("logs/*/os-job-job1/logs.txt")
    assert "log" in log.read_text().splitlines()[0], "what it said is kept"


def test_one_cancelled_while_the_agent_was_frozen_publishes_nothing(site: Site, tmp_path: Path) -> None:
    _begin(site, tmp_path)
    site.process.send_signal(signal.SIGSTOP)
    try:
        cancel = site.server.cancel("job1-001")
        _ended(tmp_path, site)
    finally:
        site.process.send_signal(signal.SIGCONT)
    site.server.final(cancel)
    _published_nothing(site)


def _published_nothing(site: Site) -> None:
    assert not _output(site).exists()
    assert not (site.high / "workspaces/wspace/metadata/make.log").exists()
    assert not (site.medium / "workspaces/wspace/metadata/make.log").exists()
    record = _record(site)
    assert (record["published"], record["cancelled"]) == (False, True)


@pytest.mark.parametrize("place", ["finalise.allowed", "publish.synced", "publish.committed"])
def test_killed_after_the_word_it_publishes_when_it_is_back(site: Site, tmp_path: Path, place: str) -> None:
    (tmp_path / "go").touch()
    faulty = site.start(CARREL_FAULT=place)
    site.server.add(_waiting_job(site, tmp_path))
    assert faulty.wait(30) == -9
    site.start()
    site.server.final("job1-001")
    assert _output(site).read_text() == "job1\n"


def test_the_wire_of_an_opensafely_controller_stays_as_it_is(tmp_path: Path, study: tuple[Path, str]) -> None:
    with serving(contract=True) as server:
        site = Site(tmp_path / "site", server, *study)
        site.root.mkdir()
        (tmp_path / "go").touch()
        site.start()
        server.add(_waiting_job(site, tmp_path))
        server.final("job1-001")
        site.kill()
        assert all(
            set(update) == {"task_id", "stage", "results", "complete", "timestamp_ns"} for update in server.updates
        )
        assert "finalizing" in server.stages("job1-001")
