"""What serving processes make is their owner's alone, whatever umask they were started with."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agents import PROJECT, Site, make_repo
from tests.support.controller_server import environ_of, sweeper, web
from tests.support.task_server import serving

CARREL = str(Path(sys.executable).with_name("carrel"))
UMASKS = pytest.mark.parametrize("umask", [0o022, 0o000])


@pytest.fixture
def with_umask(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    yield
    os.umask(before)


def open_to_others(root: Path) -> list[str]:
    """What others could reach and use, from `root` down."""
    found, folders = [], [root]
    while folders:
        path = folders.pop()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        if mode & 0o006:
            found.append(f"{path.relative_to(root.parent)} {stat.S_IMODE(mode):o}")
        if stat.S_ISDIR(mode) and mode & 0o001:
            folders += path.iterdir()
    return found


@UMASKS
@pytest.mark.usefixtures("with_umask")
def test_an_agent(tmp_path: Path) -> None:
    repo = tmp_path / "study"
    repo.mkdir()
    commit = make_repo(repo, {"project.yaml": PROJECT, "code/make.sh": "mkdir -p output; echo 1 > output/x.csv\n"})
    with serving() as server:
        site = Site(tmp_path / "site", server, repo, commit)
        site.root.mkdir()
        site.high.mkdir()  # one that was there, and open
        site.start()
        server.add(site.task(output_spec={"output/*.csv": "moderately_sensitive"}))
        server.final("job1-001")
        assert site.stop() == 0
        assert (site.medium / "workspaces/wspace/output/x.csv").exists()
        for folder in ("work", "high", "medium"):
            assert open_to_others(site.root / folder) == []


@UMASKS
@pytest.mark.usefixtures("with_umask")
def test_a_controller(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    environ = environ_of(f"sqlite:///{work}/db.sqlite", work)
    subprocess.run([CARREL, "manage", "migrate_controller"], env=environ, check=True, cwd=tmp_path)
    work.chmod(0o755)
    (work / "db.sqlite").chmod(0o644)
    with web(environ) as served, sweeper(environ):
        with served.client() as client:
            assert client.get("/readyz").status_code == 200
            client.get("/test/tasks/")
        work.chmod(0o755)  # to see what lies inside
        assert [line for line in open_to_others(work) if not line.startswith("work ")] == []


def test_a_work_folder_that_is_everybodys_is_refused_in_a_sentence(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    environ = environ_of(f"sqlite:///{work}/db.sqlite", work)
    subprocess.run([CARREL, "manage", "migrate_controller"], env=environ, check=True, cwd=tmp_path)
    work.chmod(0o1777)
    for process in (["web", "--port", "0"], ["controller"]):
        done = subprocess.run([CARREL, *process], env=environ, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1
        assert "is everybody's" in done.stderr
        assert "Traceback" not in done.stderr
