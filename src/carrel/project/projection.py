"""One backend's view of a project, and whether every rule holds in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from carrel.project.findings import ProjectFinding
from carrel.project.tree import Actions, absent_findings, tree_findings
from carrel.project.versions import Features

_SAY_WHERE = " (the study runs there because it has no `run_on` of its own: say where it runs)"


def tree_on(actions: Actions, backend: str) -> Actions:
    """The actions that run on a backend, each with one command."""
    return {name: action.for_backend(backend) for name, action in actions.items() if action.runs_on(backend)}


def says_nothing_of_backends(actions: Actions) -> bool:
    """Whether every backend sees the same tree."""
    return not any(action.commands or action.run_on.only or action.run_on.exclude for action in actions.values())


def backend_findings(
    actions: Actions, features: Features, backends: Collection[str], *, by_default: bool = False
) -> Iterator[ProjectFinding]:
    """What is wrong on some of `backends`; what is wrong on all of them is said once, without naming them.

    `by_default`: the file itself says nothing of where it runs, which is then the likely mistake.
    """
    if says_nothing_of_backends(actions):
        yield from tree_findings(actions, features)
        return
    backends_of: dict[ProjectFinding, list[str]] = {}
    for backend in backends:
        # As `tree_on`, but commands stay under their backend, so that a finding knows where its text stands.
        tree = {name: action for name, action in actions.items() if action.runs_on(backend)}
        for finding in absent_findings(actions, tree, backend):
            yield replace(finding, message=finding.message + _SAY_WHERE) if by_default else finding
        for finding in tree_findings(tree, features, backend):
            backends_of.setdefault(finding, []).append(backend)
    for finding, where in backends_of.items():
        partly = len(where) < len(backends)
        yield replace(finding, message=f"{finding.message} (on {', '.join(where)})") if partly else finding
