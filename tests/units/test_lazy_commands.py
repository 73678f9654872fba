"""Groups of commands that are imported when they are used."""

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from carrel.units.lazy_commands import LazyGroup

ENTRIES = {
    "greet": ("lazy_example:greet", "Say hello."),
    "broken": ("lazy_broken:command", "Needs a library."),
    "absent": ("lazy_absent:command", "Is not installed."),
    "below": ("lazy_absent.below:command", "Is not installed either."),
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_example.py").write_text("import click\n@click.command()\ndef greet(): click.echo('hello')\n")
    (tmp_path / "lazy_broken.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lazy_example", raising=False)


def run(group: click.Group, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(group, words)
    return result.exit_code, result.output


def test_help_lists_what_is_installed_and_imports_nothing():
    code, output = run(LazyGroup("example", entries=ENTRIES), "--help")
    assert code == 0
    assert "Say hello." in output
    assert "absent" not in output
    assert "below" not in output
    assert "lazy_example" not in sys.modules


def test_a_command_is_imported_when_it_is_used():
    assert run(LazyGroup("example", entries=ENTRIES), "greet") == (0, "hello\n")
    assert "lazy_example" in sys.modules


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("gret", "No such command 'gret'. Did you mean 'greet'?"),
        ("xyz", "No such command 'xyz'.\n"),
        ("absent", "No such"),
    ],
)
def test_a_command_that_is_not_there_is_wrong_usage(word: str, said: str):
    code, output = run(LazyGroup("example", entries=ENTRIES), word)
    assert code == 2
    assert said in output


def test_a_missing_library_is_explained():
    group = LazyGroup("example", entries=ENTRIES, explain=lambda error: f"install {error.name}")
    assert run(group, "broken") == (1, "Error: install no_such_library\n")
    result = CliRunner().invoke(LazyGroup("example", entries=ENTRIES), ["broken"])
    assert isinstance(result.exception, ModuleNotFoundError)
