"""Fixtures of the executors' tests: the engine, its image, a registry, a toolchain."""

from pathlib import Path

import pytest
from tests.support.docker import docker_engine, docker_image, local_registry

from carrel.executors import toolchains

__all__ = ["docker_engine", "docker_image", "local_registry"]


@pytest.fixture(scope="session")
def toolchains_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toolchain python:v2, made of an empty list of requirements."""
    folder = tmp_path_factory.mktemp("toolchains")
    requirements = folder / "requirements.txt"
    requirements.write_text("")
    toolchains.build("python", "v2", requirements, folder)
    return folder
