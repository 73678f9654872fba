"""Toolchains: what stands for an image where there is no container engine.

`python:v2` (whatever registry and path stand before it) is the folder `TOOLCHAINS_DIR/python-v2/` with the programs
and a `toolchain.json` that says how to start them:

    {"format": 1, "name": "r", "version": "v2",
     "path": ["bin"],                     folders with programs, relative to the toolchain's own
     "entrypoint": [],                    put before the job's arguments; empty: the first of them is the program
     "env": {"R_HOME": "..."},            for every job
     "binds": ["/opt/r"],                 host folders it needs besides /usr, shown read-only
     "id": "sha256:...",                  optional; without it, the hash of this file
     "labels": {"org.opencontainers.image.version": "..."}}

A site makes such a folder by hand for R or Stata; `build` makes them for Python from a requirements file with hashes.
What `build` makes lies in `TOOLCHAINS_DIR/.built/<hash>/` and the name is a symlink to it, switched in one step: a job
that runs keeps the one that it was started with.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import carrel
from carrel.executors.base import ImageUnavailable
from carrel.telemetry import faults
from carrel.units.files import write_atomically
from carrel.units.ignored import make_ignored
from carrel.units.locks import locked

MANIFEST = "toolchain.json"
BUILT = ".built"
FORMAT = 1
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
SQLRUNNER = ("sqlrunner", "v1")
ERROR_LINES = 20
PYTHON_ENV = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}
"""Of a toolchain that `build` makes. Unbuffered, or a job that is killed takes along what it had printed."""
DESCRIBE = (
    "import json, platform, sys; print(json.dumps([sys.base_prefix, platform.python_implementation(), sys.version]))"
)


class ToolchainMissing(ImageUnavailable):
    """No toolchain of that name; the message lists those there are and how to make one."""

    kind = "toolchain_missing"


class ToolchainBroken(ImageUnavailable):
    """There is a folder of that name, but its manifest is missing or says what cannot be."""

    kind = "toolchain_missing"


class ToolchainBuildFailed(Exception):
    """The requirements could not be installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """One toolchain, ready to run. Paths are of the host, and are seen under the same path inside."""

    name: str
    version: str
    folder: Path
    id: str
    """`sha256:...` of what it was made from: stands for the image's digest."""
    entrypoint: tuple[str, ...] = ()
    """Put before the job's args; empty: args[0] is the program, found on `path`."""
    path: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Path, ...] = ()
    """Host folders needed besides /usr, shown read-only."""
    labels: Mapping[str, str] = field(default_factory=dict)


def split_image(image: str) -> tuple[str, str]:
    """`ghcr.io/x/python:v2@sha256:..` -> ("python", "v2"); no tag: "latest"."""
    last = image.partition("@")[0].rpartition("/")[2]
    name, _, version = last.partition(":")
    return name, version or "latest"


# --- finding -----------------------------------------------------------------------------------------------------


def resolve(image: str, toolchains_dir: Path) -> Toolchain:
    """The toolchain for `image`; `ToolchainMissing` when there is none."""
    name, version = split_image(image)
    folder = toolchains_dir / f"{name}-{version}"
    if NAME.fullmatch(name) and VERSION.fullmatch(version):
        if folder.is_dir():
            return _load(name, version, folder)
        if (name, version) == SQLRUNNER:
            return _sqlrunner()
    raise ToolchainMissing(_missing_message(name, version, toolchains_dir))


def _missing_message(name: str, version: str, toolchains_dir: Path) -> str:
    available = ", ".join(f"{toolchain.name}:{toolchain.version}" for toolchain in existing(toolchains_dir))
    advice = (
        f"make it with `carrel toolchain build {name}:{version} -r REQUIREMENTS.txt`"
        if name == "python"
        else f"make a folder {name}-{version} with a {MANIFEST} (see docs/how-to/toolchains.md)"
    )
    return f"There is no toolchain {name}:{version} in {toolchains_dir}. There are: {available}. To add it, {advice}."


def existing(toolchains_dir: Path) -> list[Toolchain]:
    """All usable toolchains, by name and version; `sqlrunner:v1`, which needs no folder, is among them."""
    toolchains = {SQLRUNNER: _sqlrunner()}
    for folder in sorted(toolchains_dir.glob("*-*")):
        name, _, version = folder.name.partition("-")
        with contextlib.suppress(ToolchainBroken):
            toolchains[name, version] = _load(name, version, folder)
    return [toolchains[key] for key in sorted(toolchains)]


def _load(name: str, version: str, folder: Path) -> Toolchain:
    real = folder.resolve()
    try:
        text = (real / MANIFEST).read_text()
        manifest = json.loads(text)
        return _from_manifest(name, version, real, manifest, text)
    except FileNotFoundError as error:
        raise ToolchainBroken(f"The toolchain folder {folder} has no {MANIFEST}.") from error
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ToolchainBroken(f"{folder / MANIFEST} cannot be used: {error}.") from error


def _from_manifest(name: str, version: str, folder: Path, manifest: dict[str, Any], text: str) -> Toolchain:
    if manifest.get("format", FORMAT) != FORMAT:
        raise ValueError(f"its format is {manifest['format']}, this Carrel knows {FORMAT}")
    binds = tuple(Path(bind) for bind in manifest.get("binds", ()))
    if not all(bind.is_absolute() and bind.exists() for bind in binds):
        raise ValueError("a folder in `binds` does not exist or is not absolute")
    return Toolchain(
        name=name,
        version=version,
        folder=folder,
        id=manifest.get("id") or "sha256:" + hashlib.sha256(text.encode()).hexdigest(),
        entrypoint=tuple(manifest.get("entrypoint", ())),
        path=tuple(str(folder / name) for name in manifest.get("path", ("bin",))),
        env=dict(manifest.get("env", {})),
        binds=binds,
        labels=dict(manifest.get("labels", {})),
    )


def _sqlrunner() -> Toolchain:
    """Carrel's own database action: the Carrel that runs this is the program."""
    package = Path(carrel.__path__[0])
    prefix = Path(sys.prefix)
    digest = hashlib.sha256(f"sqlrunner {carrel.__version__} {sys.version}".encode()).hexdigest()
    return Toolchain(
        name=SQLRUNNER[0],
        version=SQLRUNNER[1],
        folder=package,
        id=f"sha256:{digest}",
        # -P: a file of the study must not stand in for a module of ours.
        entrypoint=(sys.executable, "-P", "-m", "carrel.sqlrunner"),
        path=(str(prefix / "bin"),),
        binds=(*_interpreter_binds(prefix), *_interpreter_binds(Path(sys.base_prefix)), prefix / "pyvenv.cfg")
        if (prefix / "pyvenv.cfg").exists()
        else _interpreter_binds(prefix),
        labels={"org.opencontainers.image.version": carrel.__version__},
    )


def _interpreter_binds(prefix: Path) -> tuple[Path, ...]:
    """The programs and libraries of an interpreter, and nothing else that may lie beside them; none when under /usr."""
    if Path("/usr") in (prefix, *prefix.parents):
        return ()
    return tuple(folder for name in ("bin", "lib", "lib64") if (folder := prefix / name).exists())


# --- building ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python to build for: its program, the prefix it comes from, and what tells it from others."""

    program: Path
    prefix: Path
    description: str


def build(name: str, version: str, requirements: Path, toolchains_dir: Path, python: Path | None = None) -> Toolchain:
    """Make the Python toolchain `name:version` from a hashed requirements file; at once when it is there already.

    Atomic: a killed build leaves nothing that `resolve` would take. `python`: the interpreter to build for (None:
    the one running this). Raises `ToolchainBuildFailed` with the installer's last lines.
    """
    if not (NAME.fullmatch(name) and VERSION.fullmatch(version)):
        raise ToolchainBuildFailed(f"{name}:{version} is not a name and a version such as python:v2.")
    if requirements.is_fifo():
        raise ToolchainBuildFailed(f"{requirements} is a pipe, which cannot be read twice: write a file.")
    program = python or Path(sys.executable)
    described = _run([str(program), "-I", "-c", DESCRIBE], f"{program} is not a Python that works")
    prefix, implementation, python_version = json.loads(described)
    interpreter = Interpreter(program, Path(prefix), f"{implementation} {python_version} {prefix}")
    text = requirements.read_text()
    # The folder's place is part of it: a virtual environment knows its own path.
    parts = [str(FORMAT), str(toolchains_dir.resolve()), text, interpreter.description, platform.platform()]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    folder = toolchains_dir.resolve() / BUILT / digest[:32]
    make_ignored(folder.parent.parent)
    folder.parent.mkdir(exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if (folder / MANIFEST).exists():
            _renew_environment(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder, requirements, interpreter)
            faults.point("toolchains.installed")
            _write_manifest(folder, name, version, f"sha256:{digest}", interpreter)
    _point(toolchains_dir / f"{name}-{version}", folder)
    return resolve(f"{name}:{version}", toolchains_dir)


def _install(folder: Path, requirements: Path, interpreter: Interpreter) -> None:
    """A virtual environment with real copies of everything but the interpreter, which is bound from its own place."""
    _run([str(interpreter.program), "-m", "venv", "--symlinks", "--without-pip", str(folder)], "No virtual environment")
    python = str(folder / "bin" / "python")
    options = ["--require-hashes", "--no-deps", "-r", str(requirements)]
    uv = _find_uv()
    if uv:
        command = [uv, "pip", "install", "--python", python, "--link-mode", "copy", "--compile-bytecode", *options]
    else:
        command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-input", *options]
    if requirements.read_text().strip():
        by = "" if uv else " by this Python's pip (uv does it without one, where it is on the PATH)"
        _run(command, f"The requirements of {requirements} could not be installed{by}")


def _find_uv() -> str | None:
    if importlib.util.find_spec("uv") is None:
        return shutil.which("uv")
    from uv import find_uv_bin

    return str(find_uv_bin())


def _run(command: list[str], failure: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise ToolchainBuildFailed(f"{failure}: {error.strerror}.") from error
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-ERROR_LINES:])
        raise ToolchainBuildFailed(f"{failure}:\n{last}")
    return done.stdout


def _write_manifest(folder: Path, name: str, version: str, identity: str, interpreter: Interpreter) -> None:
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "id": identity,
        "path": ["bin"],
        "env": dict(PYTHON_ENV),
        "binds": [str(bind) for bind in _interpreter_binds(interpreter.prefix)],
        "labels": {
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.revision": identity.removeprefix("sha256:")[:40],
            "org.opencontainers.image.created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    _replace_manifest(folder, manifest)


def _renew_environment(folder: Path) -> None:
    """Of a toolchain that an older Carrel built: what is installed stays, and with it the toolchain's id."""
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["env"] != PYTHON_ENV:
        _replace_manifest(folder, {**manifest, "env": dict(PYTHON_ENV)})


def _replace_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    text = json.dumps(manifest, indent=2) + "\n"
    write_atomically(folder / MANIFEST, text.encode(), synced="file")


def _point(link: Path, folder: Path) -> None:
    """Make `link` lead to `folder`, in one step; a folder made by hand is never replaced."""
    if link.is_dir() and not link.is_symlink():
        raise ToolchainBuildFailed(
            f"{link} was not made by `carrel toolchain build`, so it is left alone. Remove it first."
        )
    part = link.with_name(f".{link.name}.{os.getpid()}.{time.monotonic_ns()}")
    part.symlink_to(folder.relative_to(link.parent.resolve()))
    part.rename(link)
