"""Which executor a setting gives."""

import shutil
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.docker import engine_answers, missing

from carrel.executors.base import Executor, ImageUnavailable, RuntimeUnavailable
from carrel.executors.choice import CHOICES, ExecutorSettings, choose_executor, engine_passed_over
from carrel.site.up import runtime_of


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


def test_podman_without_its_socket_says_how_to_start_it(settings: ExecutorSettings, tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"systemctl --user start podman\.socket"):
        choose_executor(replace(settings, executor="podman", docker_host=f"unix://{tmp_path}/none.sock"))


def test_a_choice_that_is_none(settings: ExecutorSettings) -> None:
    with pytest.raises(ValueError, match=", ".join(CHOICES)):
        choose_executor(replace(settings, executor="dcoker"))


ELSEWHERE = "registry.invalid/x"


@pytest.mark.docker
@pytest.mark.bubblewrap
class TestPassedOver:
    """`auto` beside an engine that has not the images, while toolchains are there."""

    @pytest.fixture
    def settings(self, settings: ExecutorSettings, toolchains_dir: Path, docker_image: str) -> ExecutorSettings:
        if shutil.which("bwrap") is None:
            missing("bwrap")
        return replace(settings, toolchains_dir=toolchains_dir)

    def test_an_engine_without_the_image(self, settings: ExecutorSettings) -> None:
        assert engine_passed_over(settings, [f"{ELSEWHERE}/python:v2"], ELSEWHERE) == "docker"
        assert engine_passed_over(settings, [f"{ELSEWHERE}/python:v2", f"{ELSEWHERE}/sqlrunner:v1"], "") == "docker"

    def test_an_engine_with_no_image_of_the_registry(self, settings: ExecutorSettings) -> None:
        assert engine_passed_over(settings, [], ELSEWHERE) == "docker"

    def test_an_engine_with_the_image(self, settings: ExecutorSettings, docker_image: str) -> None:
        assert engine_passed_over(settings, [docker_image], ELSEWHERE) == ""
        assert engine_passed_over(settings, [], docker_image.rpartition("/")[0]) == ""

    def test_one_image_of_two(self, settings: ExecutorSettings, docker_image: str) -> None:
        assert engine_passed_over(settings, [docker_image, f"{ELSEWHERE}/sqlrunner:v1"], "") == "docker"

    def test_without_a_toolchain_the_engine_fetches_the_image(self, settings: ExecutorSettings, tmp_path: Path) -> None:
        assert engine_passed_over(settings, [f"{ELSEWHERE}/r:v2"], ELSEWHERE) == ""
        assert engine_passed_over(replace(settings, toolchains_dir=tmp_path / "none"), [], ELSEWHERE) == ""

    def test_who_names_an_executor_gets_it(self, settings: ExecutorSettings) -> None:
        for name in ("docker", "bubblewrap"):
            assert engine_passed_over(replace(settings, executor=name), [f"{ELSEWHERE}/python:v2"], ELSEWHERE) == ""

    def test_without_an_engine_none_is_passed_over(
        self, settings: ExecutorSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/no-podman.sock")
        alone = replace(settings, docker_host=f"unix://{tmp_path}/none.sock")
        assert engine_passed_over(alone, [], ELSEWHERE) == ""

    def test_without_bubblewrap_the_engine_is_taken(
        self, settings: ExecutorSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.which", lambda name, path=None: None)
        assert engine_passed_over(settings, [f"{ELSEWHERE}/python:v2"], ELSEWHERE) == ""

    def test_the_message_of_a_missing_image_names_the_toolchain(self, settings: ExecutorSettings) -> None:
        with closing(choose_executor(replace(settings, executor="docker", pull=False))) as executor:
            with pytest.raises(ImageUnavailable, match=r"toolchain python:v2 .* `--executor bubblewrap`"):
                executor.prepare_image(f"{ELSEWHERE}/python:v2", None)
            with pytest.raises(ImageUnavailable) as caught:
                executor.prepare_image(f"{ELSEWHERE}/r:v2", None)
        assert "toolchain" not in str(caught.value)

    def test_a_site_takes_what_is_there(self, settings: ExecutorSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_REGISTRY", ELSEWHERE)
        assert runtime_of("auto", settings.toolchains_dir) == "bubblewrap"
        assert runtime_of("docker", settings.toolchains_dir) == "docker"

    def test_a_site_with_images_takes_the_engine(
        self, settings: ExecutorSettings, docker_image: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_REGISTRY", docker_image.rpartition("/")[0])
        assert runtime_of("auto", settings.toolchains_dir) == "docker"
