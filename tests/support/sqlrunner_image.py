"""The sqlrunner image for tests: the test image with this Python's DuckDB, Arrow and Delta, and the Carrel under test.

`deploy/images/Dockerfile` makes the real one, from a registry and a package index; this one needs neither.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.docker import docker

import carrel

SQLRUNNER_IMAGE = "carrel-test/sqlrunner:v1"
MODULES = ("_duckdb", "duckdb", "pyarrow", "deltalake", "arro3", "deprecated", "wrapt", "typing_extensions")
PACKAGES = ("duckdb", "pyarrow", "deltalake")
INSIDE = "/opt/carrel"


def build_sqlrunner(base: str) -> str:
    """Make the image from `base`; its name. The packages are copied once, Carrel each time."""
    _check_python(base)
    with_packages = _layer(base, f"carrel-test/sqlrunner-base:{_version()}", _packages())
    made = _layer(with_packages, f"{SQLRUNNER_IMAGE}-{os.getpid()}", [Path(carrel.__file__).parent], always=True)
    old = docker("image", "ls", "--quiet", SQLRUNNER_IMAGE)
    docker("tag", made, SQLRUNNER_IMAGE)
    docker("rmi", made)
    with suppress(subprocess.CalledProcessError):  # another session's containers may still use it
        docker("rmi", *old.split())
    return SQLRUNNER_IMAGE


def _version() -> str:
    return "-".join(metadata.version(name) for name in PACKAGES)


def _packages() -> list[Path]:
    """The modules, and what says their versions (DuckDB asks for its own)."""
    sites = [Path(str(metadata.distribution(name).locate_file(""))) for name in PACKAGES]
    notes = [next(site.glob(f"{name}-*.dist-info")) for site, name in zip(sites, PACKAGES, strict=True)]
    return [*(_place_of(name) for name in MODULES), *notes]


def _check_python(base: str) -> None:
    asked = docker("run", "--rm", "--network", "none", base, "python3", "--version").split()[1]
    ours = ".".join(map(str, sys.version_info[:2]))
    if asked.rpartition(".")[0] != ours:
        pytest.skip(f"this Python's compiled packages are for {ours}, and the test image has Python {asked}")


def _place_of(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None, name
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    assert spec.origin is not None, name
    return Path(spec.origin)


def _layer(base: str, name: str, sources: list[Path], *, always: bool = False) -> str:
    if not always and name in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
        return name
    container = docker("create", "--network", "none", base, "true")
    try:
        with tempfile.TemporaryFile() as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                for source in sources:
                    tar.add(source, f"{INSIDE.lstrip('/')}/{source.name}")
            archive.seek(0)
            docker("cp", "-", f"{container}:/", stdin=archive)
        entrypoint = 'ENTRYPOINT ["python3", "-P", "-m", "carrel.sqlrunner"]'
        docker("commit", "--change", f"ENV PYTHONPATH={INSIDE}", "--change", entrypoint, container, name)
    finally:
        docker("rm", "--force", container)
    return name
