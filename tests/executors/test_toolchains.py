"""Toolchains: found by image, built once and whole, and of use inside the sandbox."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.support.docker import missing

from carrel.executors import toolchains
from carrel.executors.base import RunSpec
from carrel.executors.bubblewrap import BubblewrapExecutor
from carrel.executors.toolchains import (
    ToolchainBroken,
    ToolchainBuildFailed,
    ToolchainMissing,
    build,
    existing,
    resolve,
    split_image,
)

SYSTEM_PYTHON = Path("/usr/bin/python3")


def make_wheel(folder: Path, version: str = "1.0") -> Path:
    """A wheel with the module `tinypackage`, made by hand (PEP 427)."""
    info = f"tinypackage-{version}.dist-info"
    files = {
        "tinypackage.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tinypackage\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_record_hash(text)},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    wheel = folder / f"tinypackage-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def _record_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def requirements_of(wheel: Path, digest: str | None = None) -> Path:
    digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
    place = wheel.with_suffix(".txt")
    place.write_text(f"tinypackage @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    return place


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("python:v2", ("python", "v2")),
        ("ghcr.io/opensafely-core/python:v2", ("python", "v2")),
        ("localhost:5000/x/sqlrunner:v1@sha256:abc", ("sqlrunner", "v1")),
        ("r", ("r", "latest")),
    ],
)
def test_image_names(image: str, parts: tuple[str, str]) -> None:
    assert split_image(image) == parts


@pytest.mark.parametrize("image", ["python:v9", "../../etc:v1", "x/..:v1", "python:../v2", ".built:x", ":v1"])
def test_missing_says_what_there_is_and_how_to_add_it(tmp_path: Path, image: str) -> None:
    with pytest.raises(ToolchainMissing, match=r"There are: sqlrunner:v1\. To add it"):
        resolve(image, tmp_path)


def test_missing_python_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ToolchainMissing, match="carrel toolchain build python:v3 -r"):
        resolve("ghcr.io/x/python:v3", tmp_path)


@pytest.mark.bubblewrap
@pytest.mark.parametrize("python", [Path(sys.executable), SYSTEM_PYTHON], ids=["this", "system"])
def test_built_once_and_usable_inside(tmp_path: Path, python: Path) -> None:
    if not python.exists() or shutil.which("bwrap") is None:
        missing(f"{python} or bwrap")
    requirements = requirements_of(make_wheel(tmp_path))
    folder = tmp_path / "toolchains"
    made = build("python", "v2", requirements, folder, python)
    assert (folder / "python-v2").resolve() == made.folder
    stamp = (made.folder / "toolchain.json").stat().st_mtime_ns
    assert build("python", "v2", requirements, folder, python) == made == resolve("x/python:v2", folder)
    assert (made.folder / "toolchain.json").stat().st_mtime_ns == stamp
    code = "import tinypackage, sys, ssl, sqlite3, json; print(tinypackage.version)"
    assert _run_inside(tmp_path, folder, "python", "-c", code) == "1.0"
    assert _run_inside(tmp_path, folder, "python3", "-c", code) == "1.0"


def _run_inside(tmp_path: Path, folder: Path, *args: str, image: str = "python:v2") -> str:
    executor = BubblewrapExecutor(tmp_path / "state", folder)
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    pieces: list[bytes] = []
    executor.start(RunSpec(name="os-job-inside", image=image, args=args, workspace=workspace))
    executor.wait(["os-job-inside"], 60)
    executor.logs("os-job-inside", pieces.append)
    executor.remove("os-job-inside")
    return b"".join(pieces).decode().partition(" ")[2].rstrip("\n")


def test_one_that_an_older_carrel_built_gets_the_new_environment_and_stays_itself(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    before = build("python", "v2", requirements, tmp_path)
    manifest = tmp_path / "python-v2" / "toolchain.json"
    written = json.loads(manifest.read_text())
    assert written["env"]["PYTHONUNBUFFERED"] == "1"
    manifest.write_text(json.dumps({**written, "env": {"LANG": "C.UTF-8"}}))
    after = build("python", "v2", requirements, tmp_path)
    assert (after.id, after.folder.resolve()) == (before.id, before.folder.resolve())
    assert after.env == written["env"]
    assert json.loads(manifest.read_text()) == written


def test_other_requirements_switch_the_name_and_leave_the_old_one_to_running_jobs(tmp_path: Path) -> None:
    one = build("python", "v2", requirements_of(make_wheel(tmp_path, "1.0")), tmp_path)
    two = build("python", "v2", requirements_of(make_wheel(tmp_path, "2.0")), tmp_path)
    assert one.id != two.id
    assert one.folder.is_dir()
    assert resolve("python:v2", tmp_path) == two


def test_a_wrong_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ToolchainBuildFailed, match=r"(?is)could not be installed.*hash"):
        build("python", "v2", requirements_of(make_wheel(tmp_path), "0" * 64), tmp_path / "toolchains")
    with pytest.raises(ToolchainMissing):
        resolve("python:v2", tmp_path / "toolchains")


def test_requirements_without_hashes_are_refused(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"tinypackage @ {make_wheel(tmp_path).as_uri()}\n")
    with pytest.raises(ToolchainBuildFailed, match=r"(?i)hash"):
        build("python", "v2", requirements, tmp_path / "toolchains")


def test_requirements_that_are_a_pipe_are_refused(tmp_path: Path) -> None:
    """A pipe was read to its end before the installer got it: the toolchain was empty, and said to be ready."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ToolchainBuildFailed, match="is a pipe"):
        build("python", "v9", tmp_path / "pipe", tmp_path / "toolchains")


def test_a_killed_build_is_done_again(tmp_path: Path) -> None:
    requirements, folder = requirements_of(make_wheel(tmp_path)), tmp_path / "toolchains"
    code = (
        "import sys, pathlib; from carrel.executors.toolchains import build; "
        "build('python', 'v2', pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )
    env = {**os.environ, "CARREL_FAULT": "toolchains.installed"}
    killed = subprocess.run([sys.executable, "-c", code, str(requirements), str(folder)], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(ToolchainMissing):
        resolve("python:v2", folder)
    assert build("python", "v2", requirements, folder) == resolve("python:v2", folder)


@pytest.mark.parametrize(("name", "version"), [("Python", "v2"), ("a/b", "v1"), ("python", "../x"), ("", "v1")])
def test_names_that_are_none(tmp_path: Path, name: str, version: str) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    with pytest.raises(ToolchainBuildFailed, match="name and a version"):
        build(name, version, requirements, tmp_path)


def site_made(folder: Path, **manifest: object) -> Path:
    place = folder / "shout-v1"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "shout").write_text('#!/bin/sh\necho "$GREETING $1!"\n')
    (place / "bin" / "shout").chmod(0o755)
    (place / "toolchain.json").write_text(json.dumps(manifest))
    return place


@pytest.mark.bubblewrap
def test_a_toolchain_that_a_site_made(tmp_path: Path) -> None:
    folder = tmp_path / "toolchains"
    site_made(folder, env={"GREETING": "hello"}, labels={"org.opencontainers.image.version": "v1"})
    found = resolve("ghcr.io/x/shout:v1", folder)
    assert found.id.startswith("sha256:")
    assert _run_inside(tmp_path, folder, "shout", "world", image="shout:v1") == "hello world!"


@pytest.mark.bubblewrap
def test_an_entrypoint_takes_the_arguments(tmp_path: Path) -> None:
    folder = tmp_path / "toolchains"
    site_made(folder, env={"GREETING": "hello"}, entrypoint=["shout"])
    assert _run_inside(tmp_path, folder, "world", image="shout:v1") == "hello world!"


@pytest.mark.parametrize(
    "manifest", ["{", "[]", '{"format": 2}', '{"binds": ["MISSING"]}', '{"binds": ["relative"]}', '{"path": 1}']
)
def test_a_broken_manifest_is_named(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "r-v2").mkdir()
    (tmp_path / "r-v2" / "toolchain.json").write_text(manifest.replace("MISSING", str(tmp_path / "missing")))
    with pytest.raises(ToolchainBroken, match=r"toolchain\.json"):
        resolve("r:v2", tmp_path)
    assert [each.name for each in existing(tmp_path)] == ["sqlrunner"]


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "r-v2").mkdir()
    with pytest.raises(ToolchainBroken, match=r"has no toolchain\.json"):
        resolve("r:v2", tmp_path)


def test_a_folder_made_by_hand_is_never_replaced(tmp_path: Path) -> None:
    site_made(tmp_path).rename(tmp_path / "python-v2")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    with pytest.raises(ToolchainBuildFailed, match="left alone"):
        build("python", "v2", requirements, tmp_path)


def test_existing_lists_them_all(tmp_path: Path) -> None:
    site_made(tmp_path)
    build("python", "v2", requirements_of(make_wheel(tmp_path)), tmp_path)
    names = [f"{each.name}:{each.version}" for each in existing(tmp_path)]
    assert names == ["python:v2", "shout:v1", "sqlrunner:v1"]


@pytest.mark.bubblewrap
def test_sqlrunner_is_carrel_itself_and_needs_no_folder(tmp_path: Path) -> None:
    found = resolve("registry/sqlrunner:v1", tmp_path)
    assert found.entrypoint[-1] == "carrel.sqlrunner"
    assert (found.name, found.version) == toolchains.SQLRUNNER
    # What it needs is visible inside: carrel itself and the packages that the runner imports.
    executor = BubblewrapExecutor(tmp_path / "state", tmp_path)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "duckdb.py").write_text("raise SystemExit('a file of the study was taken for the library')\n")
    executor.start(RunSpec(name="os-job-sql", image="sqlrunner:v1", args=("--help",), workspace=workspace))
    executor.wait(["os-job-sql"], 60)
    pieces: list[bytes] = []
    executor.logs("os-job-sql", pieces.append)
    executor.remove("os-job-sql")
    assert "usage" in b"".join(pieces).decode().lower()
