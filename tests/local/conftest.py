import os
import shutil

import pytest
from tests.support.docker import docker_engine, docker_image, local_registry, missing
from tests.support.local import Study, make_toolchain

__all__ = ["docker_engine", "docker_image", "local_registry"]


@pytest.fixture(scope="session")
def toolchains(tmp_path_factory):
    return make_toolchain(tmp_path_factory.mktemp("toolchains"))


@pytest.fixture
def study(tmp_path, toolchains):
    """An empty study, in a folder with a space in its name, that runs under bubblewrap."""
    if shutil.which("bwrap") is None:
        missing("bwrap")
    folder = tmp_path / "my study"
    folder.mkdir()
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH", "TMPDIR") if name in os.environ}
    found = Study(folder, {**keep, "EXECUTOR": "bubblewrap", "TOOLCHAINS_DIR": str(toolchains)})
    yield found
    found.close()
