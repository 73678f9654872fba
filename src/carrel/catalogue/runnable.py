"""On which backends the actions of a study can run, by what their SQL reads and what is there.

Pure: a study's pipeline, its SQL files and the backends' catalogues in, one `DataCheck` for each action and backend
out. The run page, `carrel check` and the API all ask here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import NoReturn

from carrel.catalogue.reading import Missing, SqlReading, index_of
from carrel.messages.catalogue import DEFAULT_DATABASE, Catalogue, CatalogueDatabase
from carrel.project import Action, Pipeline, RunCommand
from carrel.units.limits import MAX_STUDY_SQL_BYTES

SqlOf = Callable[[str], str | None]
"""The text of a file of the study, by its path; None where there is no such file, or it is no text."""

LATE = "there was no time for it yet"

SQLRUNNER_OPTIONS = ("--output", "--dummy-data-file", "--dsn", "--log-file")
"""Options of sqlrunner's command, each with a value; a test holds them to its own parser."""


class DataState(StrEnum):
    """Whether an action finds its data on a backend. Only `MISSING` and `BLOCKED` are reasons not to run it."""

    OK = "ok"
    MISSING = "missing"
    """Its own SQL names what is not there."""
    BLOCKED = "blocked"
    """It needs an action of which that is so."""
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck:
    """Whether one action can run on one backend, as far as its data goes."""

    state: DataState
    missing: tuple[Missing, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why it was not checked, or not all of it."""
    needs: str = ""
    """The action that it needs, at whatever distance, and that is missing or was not checked."""
    permissions: tuple[str, ...] = ()
    """What a project must be given beside the backend, for the tables that it reads."""

    @property
    def is_late(self) -> bool:
        """Whether asking again will tell more."""
        return self.reasons == (LATE,)

    @property
    def can_run(self) -> bool:
        return self.state not in (DataState.MISSING, DataState.BLOCKED)

    def sentence(self, backend: str) -> str:
        """Say it in one line: `south has no `sgss_status` in `tests``; nothing where all is there."""
        match self.state:
            case DataState.MISSING:
                more = f", and {len(self.missing) - 1} more" if len(self.missing) > 1 else ""
                return self.missing[0].sentence(backend) + more
            case DataState.BLOCKED:
                return f"needs `{self.needs}`, which cannot run on {backend}"
            case DataState.NOT_CHECKED if self.needs:
                return f"not checked: needs `{self.needs}`, which was not checked"
            case DataState.NOT_CHECKED:
                return f"not checked: {'; '.join(self.reasons)}"
        return ""


OK = DataCheck(state=DataState.OK)
Placement = tuple[str, str]
"""An action and a backend."""


def runnable(
    pipeline: Pipeline,
    sql_of: SqlOf,
    catalogues: Mapping[str, Catalogue | None],
    *,
    database: str = DEFAULT_DATABASE,
    is_late: Callable[[], bool] = lambda: False,
) -> dict[Placement, DataCheck]:
    """Check each action on each of these backends where the study has it run. None: the backend has no catalogue.

    Once `is_late` says so, the rest is not checked: asked again, a page goes on from what is remembered.
    """
    checks: dict[Placement, DataCheck] = {}
    texts = _Texts(sql_of, is_late)
    for backend, catalogue in catalogues.items():
        if pipeline.backend is None and not pipeline.runs_on(backend):
            continue
        actions = {name: action for name, action in pipeline.actions.items() if action.runs_on(backend)}
        checker = _BackendChecker(catalogue, database, texts)
        own = {name: checker.check(action.for_backend(backend).run) for name, action in actions.items()}
        checks |= {(name, backend): check for name, check in with_needs(actions, own).items()}
    return checks


def with_needs(actions: Mapping[str, Action], own: Mapping[str, DataCheck]) -> dict[str, DataCheck]:
    """Tell also those actions that need, at whatever distance, one that is missing something or was not checked."""
    checks = dict(own)
    dependents: dict[str, list[str]] = {}
    for name, action in actions.items():
        for need in action.needs:
            dependents.setdefault(need, []).append(name)
    for cause, effect, beats in (
        (DataState.MISSING, DataState.BLOCKED, (DataState.OK, DataState.NOT_CHECKED)),
        (DataState.NOT_CHECKED, DataState.NOT_CHECKED, (DataState.OK,)),
    ):
        for root in [name for name, check in own.items() if check.state is cause]:
            pending = list(dependents.get(root, ()))
            while pending:
                name = pending.pop()
                if checks[name].state in beats:
                    checks[name] = DataCheck(state=effect, needs=root, permissions=checks[name].permissions)
                    pending += dependents.get(name, ())
    return checks


class _Texts:
    """The SQL files of a study, each read once; in all no more than `MAX_STUDY_SQL_BYTES`."""

    def __init__(self, sql_of: SqlOf, is_late: Callable[[], bool]) -> None:
        self.sql_of, self.is_late = sql_of, is_late
        self.texts: dict[str, str | None] = {}
        self.size = 0

    def text(self, path: str) -> str:
        """Return a file's text; ValueError says why there is none."""
        if self.is_late():
            raise ValueError(LATE)
        if path not in self.texts:
            text = self.texts[path] = self.sql_of(path)
            self.size += len(text or "")
        text = self.texts[path]
        if text is None:
            raise ValueError(f"{path} is no text file of the study")
        if self.size > MAX_STUDY_SQL_BYTES:
            raise ValueError(f"the study has more than {MAX_STUDY_SQL_BYTES // 2**20} MiB of SQL")
        return text


class _BackendChecker:
    """Checks commands on one backend."""

    def __init__(self, catalogue: Catalogue | None, database: str, texts: _Texts) -> None:
        self.texts = texts
        self.reason = ""
        self.database: CatalogueDatabase | None = None
        if catalogue is None:
            self.reason = "the backend has no catalogue"
        else:
            self.database = catalogue.database(database)
            self.reason = "" if self.database else f"the backend's catalogue tells nothing of the database {database}"
        self.index = index_of(self.database) if self.database else None

    def check(self, command: RunCommand) -> DataCheck:
        """Check one command, without regard to what it needs."""
        if not command.is_database_action:
            return OK
        try:
            reading = self.reading(command)
        except ValueError as error:
            return DataCheck(state=DataState.NOT_CHECKED, reasons=(str(error),))
        state = DataState.NOT_CHECKED if reading.unchecked else DataState.OK
        state = DataState.MISSING if reading.missing else state
        return DataCheck(
            state=state, missing=reading.missing, reasons=reading.unchecked, permissions=reading.permissions
        )

    def reading(self, command: RunCommand) -> SqlReading:
        """Return what the command reads here; ValueError says why that cannot be told."""
        path = sql_file_of(command)
        if self.index is None:
            raise ValueError(self.reason)
        return self.index.read(self.texts.text(path))


class _SqlrunnerArguments(argparse.ArgumentParser):
    """Parses the command line as sqlrunner does, but raises ValueError where that ends the process."""

    def __init__(self) -> None:
        super().__init__(prog="sqlrunner", add_help=False)
        self.add_argument("query")
        for option in SQLRUNNER_OPTIONS:
            self.add_argument(option)

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"the command is none that sqlrunner takes: {message}")


_SQLRUNNER = _SqlrunnerArguments()


def sql_file_of(command: RunCommand) -> str:
    """Return the path of the SQL file that a database action runs; ValueError where it runs none that is known."""
    if command.name != "sqlrunner":
        raise ValueError(f"what {command.name} reads is not looked into")
    options = _SQLRUNNER.parse_args(command.parts[1:])
    if options.dsn is not None:
        raise ValueError("it names a database of its own (--dsn)")
    path = PurePosixPath(options.query)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{options.query} is not in the study")
    return str(path)
