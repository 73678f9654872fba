"""The command line as a whole: names, help, exit codes, and that the page about it leaves nothing out."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from carrel import __version__
from carrel.cli.main import COMMANDS, carrel
from carrel.cli.reference import commands

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
PROGRAM = Path(sys.executable).parent / "carrel"
ALL = list(commands())


def run(*args):
    return CliRunner().invoke(carrel, args)


def program(*args, cwd=None):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


def test_no_command_prints_help():
    result = run()
    assert result.exit_code == 0
    assert "Usage: carrel [OPTIONS] [COMMAND]" in result.output


def test_version():
    assert run("--version").output == f"carrel {__version__}\n"


def test_an_unknown_command_is_exit_code_2_with_the_nearest_name():
    result = run("chekc")
    assert result.exit_code == 2
    assert "No such command 'chekc'. Did you mean 'check'?" in result.output
    assert run("--nonsense").exit_code == 2


def test_help_imports_no_command():
    code = "import sys; from carrel.cli.main import carrel; carrel.main(['--help'], standalone_mode=False);"
    code += "print(*sorted(name for name in sys.modules if name.startswith('carrel')), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    groups = {"carrel.units", "carrel.units.lazy_commands", "carrel.catalogue", "carrel.ingest"}
    assert set(done.stderr.split()) <= {"carrel", "carrel.cli", "carrel.cli.main", *groups}


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_and_option_is_documented(path: str, command: click.Command):
    page = PAGE.read_text()
    assert f"\n## {path}\n" in page, (
        f"{path} is not in {PAGE.name}: python -m carrel.cli.reference > docs/reference/commands.md"
    )
    section = page.split(f"\n## {path}\n")[1].split("\n## ")[0]
    options = [name for each in command.params if isinstance(each, click.Option) for name in each.opts]
    missing = [name for name in options if not re.search(rf"[`, ]{re.escape(name)}\b", section)]
    assert not missing, f"{path}: {missing} not documented: python -m carrel.cli.reference > docs/reference/commands.md"


def test_every_command_has_help_and_every_option_says_what_it_does():
    for path, command in ALL:
        assert command.help, path
        for each in command.params:
            assert not isinstance(each, click.Option) or each.help, f"{path} {each.name}"


@pytest.mark.parametrize(
    "name", [name for name, (place, _) in COMMANDS.items() if not place.startswith("carrel.ingest")]
)
def test_the_help_listed_stands_for_a_command_that_is_there(name: str):
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name


def test_an_exception_is_a_sentence_and_exit_code_1(tmp_path):
    done = program("unzip", "nothing-here", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "nothing-here does not exist\n")


def test_debug_shows_the_traceback(tmp_path):
    done = program("--debug", "unzip", "nothing-here", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
