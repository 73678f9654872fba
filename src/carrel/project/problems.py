"""What can be wrong with a project file, and the error that carries it all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from carrel.units.limits import MAX_MESSAGE

MAX_SHOWN = 200
"""Problems that the text of an error lists: it goes over wires and onto pages."""

MAX_HINTS = 20
"""Names for which the nearest one is looked for: comparing every name with every other takes long."""

MAX_CANDIDATES, MAX_WORD = 1000, 200

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong (`error`) or doubtful (`warning`), and where. Lines and columns count from 1."""

    message: str
    line: int = 1
    column: int = 1
    severity: Severity = "error"
    filename: str = "project.yaml"
    rule: str = ""
    """Short fixed name of the rule, for programs (`unknown-need`)."""

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}:{self.column}: {self.message}"


_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}


def printable(message: str) -> str:
    """A message that quotes a file, with its control characters spelt out: a file must not steer a terminal."""
    return message.translate(_UNPRINTABLE)


def shortened(message: str) -> str:
    """A message that quotes a file, cut where it quotes too much."""
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + "..."


def listed(problems: Sequence[Problem]) -> str:
    """One line for each problem; of very many, the first ones and how many more there are."""
    lines = [str(problem) for problem in problems[:MAX_SHOWN]]
    more = len(problems) - len(lines)
    return "\n".join([*lines, f"... and {more} more"] if more else lines)


class YAMLError(Exception):
    """The text is not the YAML we read; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class ProjectValidationError(Exception):
    """The project file cannot be used: a user's error, never a fault of ours.

    `problems` holds every error found, the one the contract reports first being first. `str()` is
    `Invalid project: <file name or nothing>` and then one `file:line:column: message` for each.
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, problems: Sequence[Problem], filename: str | None) -> ProjectValidationError:
        """The error for problems of rules, with the contract's prefix."""
        return cls(f"Invalid project: {filename or ''}\n{listed(problems)}", problems)


class UnknownActionError(ProjectValidationError):
    """An action was asked for that the project does not have (on this backend)."""


def nearest(name: object, names: Iterable[object]) -> str | None:
    """The one of these names most like `name`, or None where none is near."""
    import difflib  # only when something is wrong: keeps the start of `carrel check` quick

    candidates = [str(candidate) for candidate in islice(names, MAX_CANDIDATES)]
    matches = difflib.get_close_matches(str(name)[:MAX_WORD], candidates, n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: object, names: Iterable[object]) -> str:
    """` (did you mean `x`?)`, or nothing, to be put behind a message."""
    match = nearest(name, names)
    return f" (did you mean `{match}`?)" if match else ""
