"""Warnings about levels: files that two patterns call differently, and rows that are called moderately sensitive."""

from __future__ import annotations

from collections.abc import Iterator

from carrel.project.findings import ProjectFinding
from carrel.project.generators import writes_rows
from carrel.project.models import Action
from carrel.project.patterns import overlap
from carrel.project.tree import Actions
from carrel.units.limits import MAX_OVERLAP_STEPS

_MODERATELY = "moderately_sensitive"


def level_findings(actions: Actions) -> Iterator[ProjectFinding]:
    """Outputs that may come to output checkers although they are data of patients: each a warning."""
    yield from _rows(actions)
    yield from _overlaps(actions)


def _rows(actions: Actions) -> Iterator[ProjectFinding]:
    for name, action in actions.items():
        if action.outputs.moderately_sensitive and any(map(writes_rows, action.all_commands)):
            message = (
                f"Action {name} writes what it reads from the database, row by row, as moderately_sensitive: "
                "output checkers see it. Declare rows of patients highly_sensitive"
            )
            yield _warning("rows-moderately", message, ("actions", name, "outputs", _MODERATELY))


def _overlaps(actions: Actions) -> Iterator[ProjectFinding]:
    steps = 0
    for name, action in actions.items():
        for key, pattern in (action.outputs.moderately_sensitive or {}).items():
            path = ("actions", name, "outputs", _MODERATELY, key)
            for maker, higher, level in _higher(name, action, actions):
                if _starts_apart(pattern, higher) or (maker == name and "*" in higher):
                    continue
                steps += len(pattern) * len(higher)
                if steps > MAX_OVERLAP_STEPS:
                    message = "Not checked: whether all files have one level (there are too many patterns to compare)"
                    yield _warning("levels-not-checked", message, path)
                    return
                if overlap(pattern, higher):
                    yield _warning("levels-overlap", _words(name, pattern, maker, higher, level), path)


def _higher(name: str, action: Action, actions: Actions) -> Iterator[tuple[str, str, str]]:
    """The patterns that files of higher levels in the action's folder match: (maker, pattern, level)."""
    for maker in dict.fromkeys((name, *action.needs)):
        if maker in actions:
            for pattern, level in actions[maker].outputs.flat().items():
                if level != _MODERATELY:
                    yield maker, pattern, level


def _starts_apart(one: str, other: str) -> bool:
    """Whether the patterns differ before the first star of either: quick to see, and true of nearly all."""
    length = min(len(one.partition("*")[0]), len(other.partition("*")[0]))
    return one[:length] != other[:length]


def _words(name: str, pattern: str, maker: str, higher: str, level: str) -> str:
    whose = "itself" if maker == name else f"`{maker}`, which it needs,"
    return (
        f"Action {name} calls files that match {pattern} moderately_sensitive, but {whose} calls those that match "
        f"{higher} {level}: write a pattern that matches none of them"
    )


def _warning(rule: str, message: str, path: tuple[str, ...]) -> ProjectFinding:
    return ProjectFinding(rule=rule, message=message, path=path, severity="warning")
