"""The matrix of the run page: actions down, backends across, and for each cell whether it can be ticked. Pure.

Everything of a cell comes from values under its own backend: a status never crosses from one backend to another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from carrel.catalogue.runnable import DataCheck, DataState
from carrel.jobs.statuses import State
from carrel.jobserver.rights.running import RunRefusal
from carrel.jobserver.runs.changes import SinceChange
from carrel.jobserver.runs.states import ActionState, Cell
from carrel.pages.formats import size_text
from carrel.project import Action, Pipeline

NAMED_AT_MOST = 2
"""Backends that "only on ..." names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendColumn:
    """One backend, as the matrix has it. `pipeline`: what the study runs there; None where it does not run."""

    slug: str
    name: str
    pipeline: Pipeline | None
    refusal: RunRefusal | None = None
    """Why nothing at all can be ticked."""
    starts_later: str = ""
    """What a run waits for before it starts at all: "resumed", or "" when it starts at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One action on one backend. `refusal`: why it cannot be ticked; `state`: how its latest job there stands."""

    backend: str
    action: str
    refusal: RunRefusal | None
    state: ActionState | None
    note: str = ""
    """What changed since it succeeded: "code changed", "data changed"."""
    note_title: str = ""

    @property
    def traits(self) -> str:
        """What the links that tick go by: `failed`, `never_ran`, `changed`."""
        if self.state is None:
            return "never_ran"
        failed = "failed" if self.state.outcome == State.FAILED else ""
        return " ".join(filter(None, (failed, "changed" if self.note else "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One action. `traits`: what there is to know of it before anything runs (`database`, `8 GB`)."""

    action: str
    needs: tuple[str, ...]
    traits: tuple[str, ...]
    cells: tuple[MatrixCell, ...]


def matrix(
    pipeline: Pipeline,
    columns: Sequence[BackendColumn],
    states: Mapping[Cell, ActionState],
    actions: Iterable[str] | None = None,
    *,
    checks: Mapping[Cell, DataCheck] | None = None,
    changes: Mapping[Cell, SinceChange] | None = None,
) -> tuple[MatrixRow, ...]:
    """Return a row for each of these actions, or of the whole study in the file's order: a cell for each column."""
    checks, changes = checks or {}, changes or {}
    rows = []
    for name in pipeline.all_actions if actions is None else actions:
        runs_on = tuple(column.name for column in columns if column.pipeline and name in column.pipeline.actions)
        cells = []
        for column in columns:
            key = (column.slug, name)
            change = changes.get(key)
            cells.append(
                MatrixCell(
                    backend=column.slug,
                    action=name,
                    refusal=refusal_of_cell(column, name, checks.get(key), runs_on),
                    state=states.get(key),
                    note=change.words if change else "",
                    note_title=change.title if change else "",
                )
            )
        action = pipeline.actions[name]
        rows.append(
            MatrixRow(
                action=name,
                needs=tuple(dict.fromkeys(action.needs)),
                traits=traits_of(action),
                cells=tuple(cells),
            )
        )
    return tuple(rows)


def refusal_of_cell(
    column: BackendColumn, action: str, check: DataCheck | None = None, runs_on: tuple[str, ...] = ()
) -> RunRefusal | None:
    """Return why an action cannot be ticked on a backend: it is not there, nothing may run there, or its data is not.

    `runs_on`: names of the backends that it does exist on.
    """
    if column.pipeline is not None and action not in column.pipeline.actions:
        where = " and ".join(runs_on)
        short = f"only on {where}" if 0 < len(runs_on) <= NAMED_AT_MOST else f"not on {column.name}"
        says = "project.yaml says so with `run_on`, or with a command for each backend"
        return RunRefusal(short, f"`{action}` runs {f'on {where} only' if where else 'on no backend here'}: {says}.")
    if column.refusal is not None:
        return column.refusal
    if check is None or check.can_run:
        return None
    if check.state is DataState.BLOCKED:
        return RunRefusal(f"needs {check.needs}", f"It {check.sentence(column.name)}.")
    return RunRefusal(f"no {check.missing[0].name}", f"{check.sentence(column.name)}.")


def traits_of(action: Action) -> tuple[str, ...]:
    """Return what a reader would like to know of an action: whether it reads the database, what it asks for."""
    traits = ["database"] if action.is_database_action else []
    if action.resources.memory:
        traits.append(memory_words(action.resources.memory_text or "", action.resources.memory))
    return tuple(traits)


def memory_words(text: str, count: int) -> str:
    """Write an amount of memory as its author did: `8G` is "8 GB"."""
    number, unit = text[:-1], text[-1:].upper()
    return f"{number} {unit}B" if number.isdecimal() and unit in ("K", "M", "G", "T") else size_text(count)
