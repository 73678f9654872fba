"""Rules over all actions of one tree: what one backend runs, or the whole file where backends make no difference."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from carrel.project.commands import RunCommand
from carrel.project.findings import ProjectFinding
from carrel.project.models import Action
from carrel.project.problems import MAX_HINTS, did_you_mean
from carrel.project.versions import Features

MAX_CYCLES = 20
"""A tangle has more round trips than anyone reads."""

MAX_OTHERS = 5
"""Actions with the same command that a message names."""

Actions = dict[str, Action]
"""Actions by id, in the file's order."""


def image_findings(actions: Actions, features: Features) -> Iterator[ProjectFinding]:
    """Images that a version forbids: cohortextractor's (of all actions first), then any `latest`."""
    for name, command, path in _commands(actions):
        if features.no_cohortextractor and command.name == "cohortextractor":
            message = f"Action {name} uses cohortextractor actions, which are not supported in this version."
            yield ProjectFinding(rule="cohortextractor", message=message, path=path)
    for name, command, path in _commands(actions):
        if features.no_latest and command.version == "latest":
            message = (
                f"Action {name} uses `{command.parts[0]}`, which is not supported. Provide a version e.g. `:v2` instead"
            )
            yield ProjectFinding(rule="latest", message=message, path=path)


def _commands(actions: Actions) -> Iterator[tuple[str, RunCommand, tuple[str, ...]]]:
    for name, action in actions.items():
        if action.command is not None:
            yield name, action.command, ("actions", name, "run")
        for backend, command in action.commands.items():
            yield name, command, ("actions", name, "run", backend)


def tree_findings(actions: Actions, features: Features, backend: str | None = None) -> list[ProjectFinding]:
    """Everything wrong with a tree in which each action has one command; `backend` None: the whole file."""
    findings = [*_same_commands(actions, backend)]
    if features.unique_outputs:
        findings += _same_outputs(actions)
    findings += islice(_cycles(actions), MAX_CYCLES)
    return findings


def _same_commands(actions: Actions, backend: str | None) -> Iterator[ProjectFinding]:
    users: dict[str, list[str]] = {}
    for name, action in actions.items():
        command = action.command or action.commands.get(backend or "")
        if command is None:
            continue
        others = users.setdefault(command.raw, [])
        if others:
            message = f"Action {name} has the same 'run' command as other actions: {', '.join(others[:MAX_OTHERS])}"
            path = ("actions", name, "run") if action.command else ("actions", name, "run", backend)
            yield ProjectFinding(rule="same-run", message=message, path=path)
        others.append(name)


def _same_outputs(actions: Actions) -> Iterator[ProjectFinding]:
    seen: set[str] = set()
    for name, action in actions.items():
        for level, patterns in action.outputs.dict().items():
            for key, pattern in patterns.items():
                if pattern in seen:
                    path = ("actions", name, "outputs", level, key)
                    yield ProjectFinding(rule="same-output", message=f"Output path {pattern} is not unique", path=path)
                seen.add(pattern)


def need_findings(actions: Actions, not_text: Collection[str] = ()) -> Iterator[ProjectFinding]:
    """Needs of an action that is nowhere in the file; `not_text` are names that only quotes would make names."""
    unknown = (
        (name, need)
        for name, action in actions.items()
        for need in action.needs
        if need not in actions or need in not_text
    )
    for count, (name, need) in enumerate(unknown):
        quotes = f" (write {need}: in quotes)" if need in not_text else ""
        hint = did_you_mean(need, actions) if count < MAX_HINTS and not quotes else quotes
        message = f"Action `{name}` references an unknown action in its `needs` list: {need}{hint}"
        yield ProjectFinding(rule="unknown-need", message=message, path=("actions", name, "needs", need))


def absent_findings(actions: Actions, tree: Actions, backend: str) -> Iterator[ProjectFinding]:
    """Needs of an action that is in the file, but not on this backend."""
    for name, action in tree.items():
        for need in action.needs:
            if need in actions and need not in tree:
                message = f"Action `{name}` runs on {backend}, but needs `{need}`, which does not run on {backend}"
                yield ProjectFinding(
                    rule="absent-need", message=message, path=("actions", name, "needs", need), ours=True
                )


def _cycles(actions: Actions) -> Iterator[ProjectFinding]:
    """Round trips, found where the walk through the file closes them. No recursion: chains may be long."""
    done: set[str] = set()
    for start in actions:
        if start not in done:
            yield from _cycles_from(start, actions, done)


def _cycles_from(start: str, actions: Actions, done: set[str]) -> Iterator[ProjectFinding]:
    trail: dict[str, Iterator[str]] = {start: iter(actions[start].needs)}
    while trail:
        name = next(reversed(trail))
        need = next(trail[name], None)
        if need is None:
            done.add(name)
            del trail[name]
        elif need in trail:
            members = [*trail]
            yield _cycle(members[members.index(need) :], name)
        elif need in actions and need not in done:
            trail[need] = iter(actions[need].needs)


def _cycle(members: list[str], closer: str) -> ProjectFinding:
    path = ("actions", closer, "needs", members[0])
    if len(members) == 1:
        return ProjectFinding(rule="self-need", message=f"Action `{closer}` needs itself", path=path, ours=True)
    way = " -> ".join([*members, members[0]])
    return ProjectFinding(
        rule="cycle", message=f"Actions need each other in a circle, so none can start: {way}", path=path, ours=True
    )
