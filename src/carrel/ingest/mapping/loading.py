"""From YAML to a checked `Mapping`: every problem at once, each with its line."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from carrel.ingest.mapping.model import Mapping


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a mapping file. `where`: keys joined by dots; `line` from 1."""

    line: int
    where: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.where}: {self.message}" if self.where else f"line {self.line}: {self.message}"


class MappingInvalid(ValueError):
    """The mapping file cannot be used; `problems` are all that is wrong with it."""

    def __init__(self, name: str, problems: Iterable[Problem]):
        self.problems = tuple(sorted(problems, key=lambda each: (each.line, each.where)))
        super().__init__("\n".join(f"{name}: {each}" for each in self.problems))


def load(path: Path | None = None) -> Mapping:
    """The mapping in the file, laid over the shipped one; None: the shipped one alone. Raises MappingInvalid."""
    raise NotImplementedError


def loads(text: str, name: str = "mapping.yaml", base: Mapping | None = None) -> Mapping:
    """The mapping in `text`, laid over `base` (default: the shipped one). Raises MappingInvalid."""
    raise NotImplementedError
