"""Rules over all actions of one tree: what one backend runs, or the whole file where backends make no difference."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from carrel.project.commands import Command
from carrel.project.findings import Finding
from carrel.project.models import Action
from carrel.project.problems import MAX_HINTS, did_you_mean
from carrel.project.versions import Features

MAX_CYCLES = 20
"""A tangle has more round trips than anyone reads."""

MAX_OTHERS = 5
"""Actions with the same command that a message names."""

Actions = dict[str, Action]
"""Actions by id, in the file's order."""


def image_findings(actions: Actions, features: Features) -> Iterator[Finding]:
    """Images that a version forbids: cohortextractor's (of all actions first), then any `latest`."""
    for name, command, path in _commands(actions):
        if features.no_cohortextractor and command.name == "cohortextractor":
            message = f"Action {name} uses cohortextractor actions, which are not supported in this version."
            yield Finding("cohortextractor", message, path)
    for name, command, path in _commands(actions):
        if features.no_latest and command.version == "latest":
            message = (
                f"Action {name} uses `{command.parts[0]}`, which is not supported. Provide a version e.g. `:v2` instead"
            )
            yield Finding("latest", message, path)


def _commands(actions: Actions) -> Iterator[tuple[str, Command, tuple[str, ...]]]:
    for name, action in actions.items():
        if action.command is not None:
            yield name, action.command, ("actions", name, "run")
        for backend, command in action.commands.items():
            yield name, command, ("actions", name, "run", backend)


def tree_findings(actions: Actions, features: Features, backend: str | None = None) -> list[Finding]:
    """Everything wrong with a tree in which each action has one command; `backend` None: the whole file."""
    found = [*_same_commands(actions, backend)]
    if features.unique_outputs:
        found += _same_outputs(actions)
    found += islice(_cycles(actions), MAX_CYCLES)
    return found


def _same_commands(actions: Actions, backend: str | None) -> Iterator[Finding]:
    users: dict[str, list[str]] = {}
    for name, action in actions.items():
        command = action.command or action.commands.get(backend or "")
        if command is None:
            continue
        others = users.setdefault(command.raw, [])
        if others:
            message = f"Action {name} has the same 'run' command as other actions: {', '.join(others[:MAX_OTHERS])}"
            path = ("actions", name, "run") if action.command else ("actions", name, "run", backend)
            yield Finding("same-run", message, path)
        others.append(name)


def _same_outputs(actions: Actions) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, action in actions.items():
        for level, patterns in action.outputs.dict().items():
            for key, pattern in patterns.items():
                if pattern in seen:
                    path = ("actions", name, "outputs", level, key)
                    yield Finding("same-output", f"Output path {pattern} is not unique", path)
                seen.add(pattern)


def need_findings(actions: Actions, not_text: Collection[str] = ()) -> Iterator[Finding]:
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
        yield Finding("unknown-need", message, ("actions", name, "needs", need))


def absent_findings(actions: Actions, tree: Actions, backend: str) -> Iterator[Finding]:
    """Needs of an action that is in the file, but not on this backend."""
    for name, action in tree.items():
        for need in action.needs:
            if need in actions and need not in tree:
                message = f"Action `{name}` runs on {backend}, but needs `{need}`, which does not run on {backend}"
                yield Finding("absent-need", message, ("actions", name, "needs", need), ours=True)


def _cycles(actions: Actions) -> Iterator[Finding]:
    """Round trips, found where the walk through the file closes them. No recursion: chains may be long."""
    done: set[str] = set()
    for start in actions:
        if start not in done:
            yield from _cycles_from(start, actions, done)


def _cycles_from(start: str, actions: Actions, done: set[str]) -> Iterator[Finding]:
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


def _cycle(members: list[str], closer: str) -> Finding:
    path = ("actions", closer, "needs", members[0])
    if len(members) == 1:
        return Finding("self-need", f"Action `{closer}` needs itself", path, ours=True)
    way = " -> ".join([*members, members[0]])
    return Finding("cycle", f"Actions need each other in a circle, so none can start: {way}", path, ours=True)
