"""Toolchains: what stands for an image where there is no container engine.

`python:v2` (whatever registry and path stand before it) is the folder `TOOLCHAINS_DIR/python-v2/` with the programs
and a `toolchain.json` that says how to start them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carrel.agent.executors.base import ImageUnavailable


class ToolchainMissing(ImageUnavailable):
    """No toolchain of that name; the message lists those there are and how to make one."""


@dataclass(frozen=True, slots=True)
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


def split_image(image: str) -> tuple[str, str]:
    """`ghcr.io/x/python:v2@sha256:..` -> ("python", "v2"); no tag: "latest"."""
    raise NotImplementedError


def resolve(image: str, toolchains_dir: Path) -> Toolchain:
    """The toolchain for `image`; `ToolchainMissing` when there is none."""
    raise NotImplementedError


def build(name: str, version: str, requirements: Path, toolchains_dir: Path, python: Path | None = None) -> Toolchain:
    """Make the Python toolchain `name:version` from a hashed requirements file; at once when it is there already.

    Atomic: a killed build leaves nothing that `resolve` would take. `python`: the interpreter to build for (None:
    the one running this). Raises `ToolchainBuildFailed` with the installer's last lines.
    """
    raise NotImplementedError


def existing(toolchains_dir: Path) -> list[Toolchain]:
    """All usable toolchains, by name and version; `sqlrunner:v1`, which needs no folder, is among them."""
    raise NotImplementedError


class ToolchainBuildFailed(Exception):
    """The requirements could not be installed."""
