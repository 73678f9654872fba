"""The image of ingest on AWS, built from `deploy/aws/Dockerfile` itself, on a base that this machine can make.

The base is the test image with this Python's pip and a folder of the pinned wheels, fetched the way this machine
fetches packages; it is kept for as long as the pins stay. So the build needs no network, and checks every hash.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

import pytest
from tests.support.docker import docker

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "deploy/aws/Dockerfile"
PINS = (REPOSITORY / "requirements/base.txt", REPOSITORY / "deploy/aws/image-requirements.txt")
BASE = "carrel-test/ingest-base"
OFFLINE = "--no-index --find-links /wheels"


def base_for_ingest(python_image: str) -> str:
    """The name of an image with Python, pip and `/wheels`; made once for each set of pins."""
    pins = hashlib.sha256(b"".join(path.read_bytes() for path in PINS)).hexdigest()[:12]
    name = f"{BASE}:{pins}-{metadata.version('pip')}"
    if not docker("image", "ls", "--quiet", name):
        _make_base(python_image, name)
    return name


def _make_base(python_image: str, name: str) -> None:
    asked = (
        docker("run", "--rm", "--network", "none", python_image, "python3", "--version").split()[1].rpartition(".")[0]
    )
    ours = ".".join(map(str, sys.version_info[:2]))
    if asked != ours:
        pytest.skip(f"this Python fetches wheels for {ours}, and the test image has Python {asked}")
    container = docker("create", "--network", "none", python_image, "true")
    try:
        with tempfile.TemporaryDirectory() as folder:
            _fetch(Path(folder) / "wheels")
            with tempfile.TemporaryFile() as archive:
                _pack(archive, Path(folder) / "wheels", f"usr/local/lib/python{ours}/dist-packages")
                docker("cp", "-", f"{container}:/", stdin=archive)
        docker("commit", container, name)
    finally:
        docker("rm", "--force", container)


def _fetch(wheels: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    pins = [word for path in PINS for word in ("-r", str(path))]
    done = subprocess.run(
        [*command, "--require-hashes", "--dest", str(wheels), *pins], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the image's packages cannot be fetched here: {done.stderr.strip().splitlines()[-1]}")


def _pack(archive, wheels: Path, packages: str) -> None:
    """pip itself, as packages that Python finds, and the wheels."""
    pip = metadata.distribution("pip")
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(wheels, "wheels")
        for file in pip.files or ():
            if not file.as_posix().startswith("..") and "__pycache__" not in file.parts:
                tar.add(str(pip.locate_file(file)), f"{packages}/{file.as_posix()}")
    archive.seek(0)


def build_ingest(base: str) -> str:
    """Build the image as the deployment does, but for its base; its name. The stage with the packages is kept."""
    name = f"carrel-test/ingest:{os.getpid()}"
    given = ["--build-arg", f"BASE={base}", "--build-arg", f"PIP_OPTIONS={OFFLINE}", "--network", "none"]
    build = ["build", "--quiet", *given, "--file", str(DOCKERFILE)]
    docker(*build, "--target", "packages", "--tag", base.replace(BASE, f"{BASE}-packages"), str(REPOSITORY))
    docker(*build, "--tag", name, str(REPOSITORY))
    return name
