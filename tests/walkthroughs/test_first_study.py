"""The tutorial of a study, word by word in one shell, then the README's commands in the same clone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.docker import missing
from tests.support.shell import Done, commands_of, run_script

from .conftest import Newcomer

pytestmark = [pytest.mark.slow, pytest.mark.bubblewrap, pytest.mark.timeout(1500)]
BROKEN = "carrel run visits_by_plan --backend north"
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def steps(newcomer: Newcomer) -> list[Done]:
    if shutil.which("bwrap") is None:
        missing("bwrap")
    commands = [
        command.replace("REPOSITORY", str(newcomer.repository)) for command in commands_of("tutorial/first-study.md")
    ]
    assert "git clone" in commands[0]
    return run_script(commands, newcomer.folder, newcomer.environment)


def step(steps: list[Done], start: str) -> Done:
    return next(done for done in steps if done.command.startswith(start))


def test_every_command_works_but_the_one_that_is_to_fail(steps: list[Done]) -> None:
    failed = [done for done in steps if done.code]
    assert [done.command for done in failed] == [BROKEN], "\n".join(done.printed for done in failed)
    assert len(steps) > 15


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("carrel check", "north"),
        ("carrel run run_all", "output/visits_by_plan.csv  - moderately_sensitive"),
        (BROKEN, "KeyError: 'visit'"),
        ("carrel logs", "KeyError: 'visit'"),
        ("carrel status", "no: code changed"),
        ("carrel plan", "normalise"),
        ("carrel check-outputs", "nothing found"),
        ("./just demo", "Everything is under"),
    ],
)
def test_what_the_page_says_is_what_is_seen(steps: list[Done], start: str, said: str) -> None:
    assert said in step(steps, start).printed


def test_the_demo_uses_the_toolchain_of_the_tutorial(steps: list[Done], newcomer: Newcomer) -> None:
    store = Path(newcomer.environment["HOME"]) / ".local/share/carrel/toolchains"
    assert len(list((store / ".built").glob("*.lock"))) == 1
    assert (newcomer.folder / "carrel/.carrel/demo/toolchains").resolve() == store.resolve()


def status(clone: Path) -> str:
    command = ["git", "-C", str(clone), "status", "--porcelain"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_clone_is_as_clean_as_before(steps: list[Done], newcomer: Newcomer) -> None:
    assert status(newcomer.folder / "carrel") == ""


def test_the_readmes_commands(steps: list[Done], newcomer: Newcomer) -> None:
    """All but the two that want a backend's own database, and stay up."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks[1:] if "carrel up" not in block for line in block.splitlines()]
    assert len(commands) > 8
    clone = newcomer.folder / "carrel"
    done = run_script(commands, clone, newcomer.environment)
    assert [each for each in done if each.code] == []
    assert "walk-and-balance" in done[-1].printed
    assert status(clone) == ""
