"""Pages of the documentation, done as they say: each command is run, and what it prints is held to the page."""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from click.testing import CliRunner

from carrel.ingest.cli import ingest

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_BOXES = str.maketrans(dict.fromkeys("│┌┐└┘├┤┬┴┼─", " "))


@dataclass(frozen=True)
class Page:
    """A page's blocks, in order: (language, text)."""

    blocks: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, name: str) -> "Page":
        text = (DOCS / name).read_text()
        return cls(tuple((found["language"], found["text"]) for found in _FENCE.finditer(text)))

    def in_language(self, language: str) -> list[str]:
        return [text for each, text in self.blocks if each == language]

    def steps(self) -> list[tuple[str, str]]:
        """(command, what the page shows that it prints), in order."""
        return [step for language, text in self.blocks if not language for step in _steps(text)]


def _steps(block: str) -> Iterator[tuple[str, str]]:
    """Of one block; what stands before its first command is no command's."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown.rstrip("\n")


@dataclass
class Reader:
    """Somebody in a folder who types what a page says. `instead`: command -> what to do in its place."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    code: int = 0

    def __post_init__(self) -> None:
        unset = [name for name in os.environ if name.startswith("CARREL")]
        self.environment = {**dict.fromkeys(unset), "HOME": str(self.folder), "PWD": str(self.folder)}

    def does(self, command: str, shown: str = "") -> str:
        """What the command printed; AssertionError when that is not what is shown."""
        printed = self._printed(command)
        assert not shown or matches(shown, printed), f"$ {command}\nshown:\n{shown}\n\nprinted:\n{printed}"
        return printed

    def _printed(self, command: str) -> str:
        words = shlex.split(Template(command).safe_substitute(self.environment))
        match words:
            case ["echo", "?" | "$?"]:
                return f"{self.code}\n"
            case ["export", setting]:
                name, _, value = setting.partition("=")
                self.environment[name] = value
                return ""
            case ["ls", place]:
                return "".join(f"{path.name}\n" for path in sorted((self.folder / place).glob("[!.]*")))
            case ["carrel", "ingest", *rest]:
                return self._carrel(rest)
        raise AssertionError(f"nobody knows how to do: {command}")

    def _carrel(self, words: list[str]) -> str:
        with chdir(self.folder):
            done = CliRunner().invoke(ingest, words, env=self.environment, input="y\n")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        self.code = done.exit_code
        assert self.code in (0, 3), done.output
        return done.output


def matches(shown: str, printed: str) -> bool:
    """`...` on a line of its own stands for any lines, within a line for anything; runs of blanks are one."""
    pattern = "".join(_pattern(line) for line in _lines(shown))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def _pattern(line: str) -> str:
    return "(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + "\n"


def _lines(text: str) -> list[str]:
    squeezed = (" ".join(line.translate(_BOXES).split()) for line in text.splitlines())
    return [line for line in squeezed if line]
