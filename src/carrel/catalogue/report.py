"""What `carrel check` says of where actions can run: problems with their lines, and a row for each action. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from carrel.catalogue.runnable import DataCheck, DataState, Placement
from carrel.messages.catalogue import Catalogue
from carrel.project import Document, Pipeline, Problem


@dataclass(frozen=True, slots=True)
class WhereActionRuns:
    """On which backends one action can run, and why not on the others."""

    action: str
    runs: tuple[str, ...]
    """Backends where it finds all that it reads."""
    unchecked: Mapping[str, str]
    """Backends where that could not be told, each with why."""
    lacking: Mapping[str, str]
    """Backends where it cannot run, each with why."""

    @property
    def runs_nowhere(self) -> bool:
        return bool(self.lacking) and not self.runs and not self.unchecked

    def as_json(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "runs_on": list(self.runs),
            "not_checked": dict(self.unchecked),
            "cannot_run": dict(self.lacking),
        }

    def line(self) -> str:
        """`extract: north; not south (south has no `a` in `t`)`."""
        where = [*([", ".join(self.runs)] if self.runs else [])]
        where += [f"perhaps {backend} ({reason})" for backend, reason in self.unchecked.items()]
        where += [f"not {backend} ({reason})" for backend, reason in self.lacking.items()]
        return f"{self.action}: {'; '.join(where)}"


def backends_to_check(pipeline: Pipeline, catalogues: Mapping[str, Catalogue]) -> dict[str, Catalogue | None]:
    """Return the backends that have catalogues, and those that the study itself names, which may have none."""
    named = pipeline.where.only or ()
    commands = (backend for action in pipeline.actions.values() for backend in action.commands)
    return {**dict.fromkeys([*named, *commands]), **catalogues}


def where_actions_run(checks: Mapping[Placement, DataCheck]) -> list[WhereActionRuns]:
    """Return a row for each action, in the study's order."""
    by_action: dict[str, dict[str, DataCheck]] = {}
    for (action, backend), check in checks.items():
        by_action.setdefault(action, {})[backend] = check
    return [
        WhereActionRuns(
            action,
            tuple(backend for backend, check in placed.items() if check.state is DataState.OK),
            _sentences(placed, (DataState.NOT_CHECKED,)),
            _sentences(placed, (DataState.MISSING, DataState.BLOCKED)),
        )
        for action, placed in by_action.items()
    ]


def _sentences(placed: Mapping[str, DataCheck], states: Iterable[DataState]) -> dict[str, str]:
    return {backend: check.sentence(backend) for backend, check in placed.items() if check.state in states}


def data_problems(pipeline: Pipeline, checks: Mapping[Placement, DataCheck]) -> Iterator[Problem]:
    """Yield a warning for each backend that lacks what an action reads; an error for an action that can run nowhere."""
    document = Document(pipeline.text, pipeline.filename or "project.yaml")
    nowhere = {row.action for row in where_actions_run(checks) if row.runs_nowhere}
    said: set[str] = set()
    for (action, backend), check in checks.items():
        is_told = action in said and action in nowhere  # the first backend is enough to say it
        if check.can_run or is_told or (check.state is DataState.BLOCKED and action not in nowhere):
            continue
        said.add(action)
        commands = pipeline.actions[action].commands
        line, column = document.locate(("actions", action, "run", *([backend] if backend in commands else [])))
        where = "can run nowhere" if action in nowhere else f"cannot run on {backend}"
        yield Problem(
            message=f"Action {action} {where}: {check.sentence(backend)}",
            line=line,
            column=column,
            severity="error" if action in nowhere else "warning",
            filename=document.filename,
            rule="data-missing",
        )
