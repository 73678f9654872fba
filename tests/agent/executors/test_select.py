"""Which executor a setting gives."""

import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.docker import engine_answers, missing

from carrel.agent.executors.base import Executor, ExecutorError, RuntimeUnavailable
from carrel.agent.executors.select import CHOICES, ExecutorSettings, choose_executor


@pytest.fixture
def settings(tmp_path: Path) -> ExecutorSettings:
    return ExecutorSettings(
        state_dir=tmp_path / "state", toolchains_dir=tmp_path / "toolchains", owner=f"test-{uuid.uuid4().hex}"
    )


def chosen(settings: ExecutorSettings) -> str:
    executor = choose_executor(settings)
    try:
        assert isinstance(executor, Executor)
        return executor.capabilities.name
    finally:
        executor.close()


@pytest.mark.docker
def test_auto_takes_the_engine_that_answers(settings: ExecutorSettings) -> None:
    if not engine_answers():
        missing("a Docker engine that answers")
    assert chosen(settings) == "docker"


@pytest.mark.bubblewrap
def test_auto_without_an_engine_takes_bubblewrap(
    settings: ExecutorSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("bwrap") is None:
        missing("bwrap")
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/no-podman.sock")
    assert chosen(replace(settings, docker_host=f"unix://{tmp_path}/none.sock")) == "bubblewrap"


def test_auto_with_nothing_says_what_to_install_and_never_runs_unprotected(
    settings: ExecutorSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(RuntimeUnavailable) as caught:
        choose_executor(replace(settings, docker_host=f"unix://{tmp_path}/none.sock"))
    words = str(caught.value)
    assert all(word in words for word in ("docker:", "podman:", "bubblewrap:", "apt install bubblewrap", "no fallback"))


def test_slurm_is_not_there_yet(settings: ExecutorSettings) -> None:
    with pytest.raises(ExecutorError, match="not part of this version"):
        choose_executor(replace(settings, executor="slurm"))


def test_podman_without_its_socket_says_how_to_start_it(settings: ExecutorSettings, tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"systemctl --user start podman\.socket"):
        choose_executor(replace(settings, executor="podman", docker_host=f"unix://{tmp_path}/none.sock"))


def test_a_choice_that_is_none(settings: ExecutorSettings) -> None:
    with pytest.raises(ValueError, match=", ".join(CHOICES)):
        choose_executor(replace(settings, executor="dcoker"))
