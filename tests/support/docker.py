"""A real Docker engine, the image that tests run, and a real registry. Import the fixtures in a room's conftest.

The image is made once on a machine (Debian and its python3, by debootstrap) and kept; that takes about a minute.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.waiting import free_port, wait_for_port

from carrel.executors.base import ExecutorError
from carrel.executors.engine import Engine

TEST_IMAGE = "carrel-test/python:v2"
LABELS = {
    "org.opencontainers.image.version": "v2",
    "org.opencontainers.image.revision": "0" * 40,
    "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
}
SUITE = "bookworm"


def missing(what: str) -> None:
    """Skip for the want of `what`."""
    pytest.skip(f"{what} is missing on this machine")


def engine_answers() -> bool:
    try:
        engine = Engine("docker")
    except ExecutorError:
        return False
    try:
        engine.request("GET", "/_ping")
    except ExecutorError:
        return False
    finally:
        engine.close()
    return True


def docker(*words: str, **options: object) -> str:
    """Docker's command line, for what tests set up; its output."""
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, **options).stdout.strip()


def remove(containers: Sequence[str]) -> None:
    """Away with them; one that the engine is removing already goes by itself."""
    subprocess.run(["docker", "rm", "--force", *containers], check=False, capture_output=True)


def _image_is_there() -> bool:
    done = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", TEST_IMAGE],
        capture_output=True,
        text=True,
    )
    return done.returncode == 0 and LABELS["org.opencontainers.image.revision"] in done.stdout


def build_image() -> None:
    """Debian and python3 (also as `python`), by debootstrap and `docker import`."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        mirror = os.environ.get("CARREL_TEST_DEBIAN_MIRROR")
        command = ["debootstrap", "--variant=minbase", "--include=python3", SUITE, str(root)]
        subprocess.run([*command, mirror] if mirror else command, check=True, capture_output=True)
        (root / "usr/bin/python").symlink_to("python3")
        (root / "workspace").mkdir()
        changes = [word for key, value in LABELS.items() for word in ("--change", f"LABEL {key}={value}")]
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            docker("import", *changes, "-", TEST_IMAGE, stdin=tar.stdout)


def _complete_image() -> None:
    """An image of that name that somebody made without labels and `python`: add them, which takes a second."""
    name = f"carrel-test-build-{os.getpid()}"
    changes = [word for key, value in LABELS.items() for word in ("--change", f"LABEL {key}={value}")]
    link = "test -e /usr/bin/python || ln -s python3 /usr/bin/python; mkdir -p /workspace"
    docker("run", "--name", name, "--network", "none", TEST_IMAGE, "sh", "-c", link)
    try:
        docker("commit", "--change", "CMD []", *changes, name, TEST_IMAGE)
    finally:
        docker("rm", "--force", name)


@pytest.fixture(scope="session")
def docker_engine() -> None:
    if not engine_answers():
        missing("a Docker engine that answers")


@pytest.fixture(scope="session")
def docker_image(docker_engine: None) -> str:
    """The name of a local image with Debian and Python, whose registry digest nobody knows."""
    if _image_is_there():
        return TEST_IMAGE
    if subprocess.run(["docker", "image", "inspect", TEST_IMAGE], capture_output=True).returncode == 0:
        _complete_image()
    elif shutil.which("debootstrap") is None or os.getuid() != 0:
        missing(f"the image {TEST_IMAGE}, or debootstrap and root to make it,")
    else:
        build_image()
    return TEST_IMAGE


@dataclass(frozen=True)
class Registry:
    """A registry at `host` (without authentication) that holds `image` with `digest`; `log` names each request."""

    host: str
    image: str
    digest: str
    log: Path

    def requests(self, words: str) -> int:
        """How many requests had `words` in their line of the access log."""
        return sum(words in line for line in self.log.read_text().splitlines())


@pytest.fixture(scope="session")
def local_registry(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry on a free port with the test image pushed to it; the engine has no copy under that name any more."""
    if shutil.which("docker-registry") is None:
        missing("docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    host = f"127.0.0.1:{free_port()}"
    storage = f"storage:\n  filesystem:\n    rootdirectory: {folder / 'data'}\n"
    (folder / "config.yml").write_text(f"version: 0.1\n{storage}http:\n  addr: {host}\n")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        wait_for_port(host)
        image = f"{host}/carrel-test/python:v2"
        docker("tag", docker_image, image)
        docker("push", image)
        digest = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", image).rpartition("@")[2]
        docker("rmi", image)
        yield Registry(host, image, digest, folder / "log")
    finally:
        server.terminate()
        server.wait()
