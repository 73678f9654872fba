"""What the documentation names is there: pages that links lead to, commands and their options, recipes, modules."""

import os
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(page for folder in ("docs", "deploy", "examples") for page in sorted((ROOT / folder).rglob("*.md"))),
]
FENCE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^]\n]*\]\(([^)\s]+)\)")
PROMPT = re.compile(r"^\s*(?:\$ |sudo (?:-u \S+ )?)?(?:[A-Z_]+=\S+ )*")
PLACEHOLDER = re.compile(r"[A-Z\[<.…]|$")
"""A word that stands for others: `ACTION`, `[OPTIONS]`, `<command>`, `...`."""


def prose(text: str) -> str:
    return FENCE.sub("", text)


def snippets(text: str) -> Iterator[str]:
    """Each line of the code blocks, continued lines joined, and each piece of code in a line."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield PROMPT.sub("", line)
    yield from INLINE.findall(prose(text))


def calls(text: str, program: str) -> list[list[str]]:
    """The words behind `program` wherever it is called."""
    found = []
    for snippet in snippets(text):
        for part in re.split(r"&&|\|\s", snippet):
            if part.strip().startswith(f"{program} "):
                found.append(words_of(part.strip().removeprefix(program)))
    return found


def words_of(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a quotation that goes on in the next line
        return text.split()


# --- links


def anchors(page: Path) -> set[str]:
    """The anchors that headings get: small letters, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> Iterator[str]:
    for target in LINK.findall(INLINE.sub("", prose(page.read_text()))):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        found = (page.parent / place) if place else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](gone.md) [b](#one-thing) [c](#another) [d](https://x.example) `[e](code.md)`\n")
    assert list(broken(page)) == ["gone.md", "#another"]


# --- commands


@cache
def carrel() -> click.Group:
    from carrel.cli.main import carrel as group

    return group


def mistakes(words: list[str]) -> Iterator[str]:
    """What is wrong with the words behind `carrel`."""
    command: click.Command = carrel()
    options = option_names(command)
    for place, word in enumerate(words):
        if word in ("&", ">", "2>", "|"):
            return
        if word == "manage" and command is carrel():
            yield from managed(words[place + 1 :])
            return
        if word.startswith("[-"):
            word = word.strip("[]")
        if re.match(r"--?[a-z]", word):
            if word.partition("=")[0].rstrip("]") not in options:
                yield f"{word} is no option of {command.name}"
        elif isinstance(command, click.Group) and not PLACEHOLDER.match(word):
            inner = command.get_command(click.Context(command), word)
            if inner is None:
                yield f"{word} is no command of {command.name}"
                return
            command, options = inner, option_names(inner)
            if isinstance(command, click.Command) and command.context_settings.get("ignore_unknown_options"):
                return


def option_names(command: click.Command) -> set[str]:
    names = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return names | {"--help", "-h"}


def managed(words: list[str]) -> Iterator[str]:
    """The same for `carrel manage`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carrel.web.settings")
    import django
    from django.core.management import get_commands, load_command_class

    django.setup()
    words = words[2:] if words[:1] == ["--site"] else words
    if not words or PLACEHOLDER.match(words[0]) or words[0] == "help":
        return
    if words[0] not in get_commands():
        yield f"{words[0]} is no command of manage"
        return
    parser = load_command_class(get_commands()[words[0]], words[0]).create_parser("manage", words[0])
    help_text = parser.format_help() + "".join(
        each.format_help()
        for action in parser._actions
        for each in (action.choices.values() if isinstance(action.choices, dict) else ())
    )
    for word in words[1:]:
        if re.match(r"\[?--?[a-z]", word) and not re.search(
            rf"(?<![\w-]){re.escape(word.strip('[]').partition('=')[0])}(?![\w-])", help_text
        ):
            yield f"{word} is no option of manage {words[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_real(page: Path) -> None:
    wrong = {" ".join(words): found for words in calls(page.read_text(), "carrel") if (found := list(mistakes(words)))}
    assert wrong == {}


def test_commands_are_found_at_all() -> None:
    assert sum(len(calls(page.read_text(), "carrel")) for page in PAGES) > 100


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`carrel run ACTION... --backend north`", []),
        ("`carrel rum ACTION`", ["rum is no command of carrel"]),
        ("```\n$ carrel run all --banana\n```", ["--banana is no option of run"]),
        ("`carrel ingest tables --warehouse W`", []),
        ("`carrel ingest tablets`", ["tablets is no command of ingest"]),
        ("`carrel manage pause on|off BACKEND`", []),
        ("`carrel manage paws`", ["paws is no command of manage"]),
        ("`carrel manage purge --older-than 365d [--dry-run]`", []),
        ("`carrel manage purge --banana`", ["--banana is no option of manage purge"]),
    ],
)
def test_wrong_commands_are_found(text: str, wrong: list[str]) -> None:
    (words,) = calls(text, "carrel")
    assert list(mistakes(words)) == wrong


def test_every_room_is_on_the_map() -> None:
    """The tables of docs/architecture.md have each package of Carrel, those within ingest and jobserver too."""
    rows = re.findall(r"^\| `([\w/]+)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    source = ROOT / "src/carrel"
    rooms = {
        str(init.parent.relative_to(source))
        for folder in ("", "ingest/", "jobserver/")
        for init in source.glob(f"{folder}*/__init__.py")
    }
    assert {"units", "ingest/run", "jobserver/rights"} <= rooms
    assert sorted(rows) == sorted(rooms)


def test_every_recipe_and_module_is_real() -> None:
    recipes = set(re.findall(r"^([a-z][\w-]*)(?: [^\n:]*)?:(?!=)", (ROOT / "justfile").read_text(), re.MULTILINE))
    named = {words[0] for page in PAGES for words in calls(page.read_text(), "./just") if words}
    assert {"demo", "test"} <= named
    assert {name for name in named if not PLACEHOLDER.match(name)} - recipes == set()
    modules = {words[0] for page in PAGES for words in calls(page.read_text(), "python -m")}
    assert modules
    assert [name for name in sorted(modules) if name.partition(".")[0] == "carrel" and find_spec(name) is None] == []
