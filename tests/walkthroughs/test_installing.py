"""Carrel as a program of one's own: by `uv tool` from a wheel, and by pip, as pipx does it, from a checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.docker import missing
from tests.support.shell import Done, run_script
from uv import find_uv_bin

from .conftest import Newcomer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SMALL_STUDY = """\
carrel ingest generate synthetic --records 4 --hz 2
carrel ingest schemas add synthetic/schemas --schemas schemas
carrel ingest run synthetic/archives --schemas schemas --mapping synthetic/mapping.yaml --warehouse warehouse
""".splitlines()


@pytest.fixture(scope="module")
def checkout(newcomer: Newcomer) -> Path:
    folder = newcomer.folder / "checkout"
    subprocess.run(["git", "clone", "--quiet", newcomer.repository, folder], check=True)
    return folder


def all_done(steps: list[Done]) -> str:
    """What the last command printed; all must have succeeded."""
    assert [done for done in steps if done.code] == []
    return steps[-1].printed


@pytest.mark.bubblewrap
def test_a_wheel_as_a_tool_of_uv(newcomer: Newcomer, checkout: Path) -> None:
    if shutil.which("bwrap") is None:
        missing("bwrap")
    place = newcomer.folder / "tool"
    place.mkdir()
    bin_folder = newcomer.folder / "bin"
    path = f"{bin_folder}:{Path(find_uv_bin()).parent}:{newcomer.environment['PATH']}"
    environment = {**newcomer.environment, "UV_TOOL_DIR": str(place / "tools"), "UV_TOOL_BIN_DIR": str(bin_folder)}
    # Of all that lies beside this uv, its carrel comes second.
    commands = [
        f"uv build --quiet --wheel --out-dir {place} {checkout}",
        f'uv tool install --quiet --python /usr/bin/python3 "$(echo {place}/carrel-*.whl)[ingest]"',
        "[ $(command -v carrel) = $UV_TOOL_BIN_DIR/carrel ] && carrel --version",
        *SMALL_STUDY,
        "carrel demo --executor bubblewrap",
    ]
    printed = all_done(run_script(commands, place, {**environment, "PATH": path}))
    assert "Everything is under" in printed
    assert f"{place}/tools/carrel" in printed


def test_a_checkout_in_an_environment_of_its_own(newcomer: Newcomer, checkout: Path) -> None:
    place = newcomer.folder / "own"
    place.mkdir()
    environment = {**newcomer.environment, "PATH": f"{place}/venv/bin:{newcomer.environment['PATH']}"}
    commands = [
        f"{sys.executable} -m venv venv",
        f"pip install --quiet '{checkout}[ingest]'",
        "carrel --version",
        *SMALL_STUDY,
        f"cd {checkout}/examples/mobile-assessments && carrel check",
    ]
    all_done(run_script(commands, place, environment))
