"""`load_pipeline`: from text to a checked `Pipeline`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from carrel.project import document as yaml_document
from carrel.project.actions import ActionReader
from carrel.project.backends import BackendNames, SideFile, read_run_on, resolve_run_on
from carrel.project.constants import DEFAULT_BACKENDS
from carrel.project.document import Document
from carrel.project.findings import DICTIONARY, Findings, check_keys
from carrel.project.levels import level_findings
from carrel.project.models import EVERYWHERE, Action
from carrel.project.pipeline import Pipeline
from carrel.project.problems import Problem, ProjectValidationError, YAMLError, listed
from carrel.project.projection import backend_findings
from carrel.project.tree import image_findings, need_findings
from carrel.project.versions import Features, read_expectations, read_version
from carrel.units.limits import MAX_ACTIONS

Source = yaml_document.Source | Path
PROJECT_KEYS = frozenset({"version", "actions", "expectations", "run_on"})
PROJECT_FILE, SIDE_FILE = "project.yaml", "backends.yaml"


def load_pipeline(
    source: Source,
    filename: str | None = None,
    *,
    side_file: str | bytes | None = None,
    known_backends: Collection[str] | None = None,
    default_backends: Collection[str] = DEFAULT_BACKENDS,
) -> Pipeline:
    """Read a project file.

    `source` is the text itself (or bytes, an open file, a Path); `side_file` the text of `backends.yaml`;
    `known_backends` the installation's list (None: a laptop, unknown names only warn); `default_backends` where a
    study runs that does not say. Raises ProjectValidationError with every problem found. Warnings are on the result.
    """
    try:
        document = _document(source, filename)
        side = None if side_file is None else _document(side_file, SIDE_FILE)
    except YAMLError as error:
        raise ProjectValidationError(str(error), [error.problem]) from error
    loading = _Loading(document, side, filename)
    return loading.pipeline(known_backends, tuple(default_backends))


def get_all_output_patterns_from_project_file(source: Source) -> list[str]:
    """Every output pattern of the file, once each, in no particular order."""
    actions = load_pipeline(source).actions.values()
    return list({pattern for action in actions for pattern in action.outputs.flat()})


def action_names(source: Source) -> list[str] | None:
    """Names of the actions in a project file, sorted, whether it is valid or not; None where none can be read."""
    try:
        value = _document(source, None).value
    except YAMLError:
        return None
    bodies = value.get("actions") if isinstance(value, dict) else None
    return sorted(map(str, bodies)) if isinstance(bodies, dict) else None


def _document(source: Source, filename: str | None) -> Document:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _document(file, filename or source.name)
    return Document.of(source, filename or PROJECT_FILE)


class _Loading:
    """One file on its way from a document to a pipeline."""

    def __init__(self, document: Document, side: Document | None, filename: str | None) -> None:
        self.document, self.side, self.filename = document, side, filename
        self.findings = Findings(document, side)

    def pipeline(self, backends: Collection[str] | None, default: Collection[str]) -> Pipeline:
        project = self._project()
        version = read_version(project, self.findings)
        check_keys(project, PROJECT_KEYS, "project", (), self.findings)
        where = read_run_on(project.get("run_on"), ("run_on",), self.findings, "the project")
        run_on = resolve_run_on(where, backends, default)
        features = Features.of(version)
        actions = self._actions(project, features)
        self.findings.items += image_findings(actions, features)
        self.findings.items += backend_findings(actions, features, run_on, by_default=where == EVERYWHERE)
        # Names that YAML reads as numbers or the like: in the contract no `needs` finds them.
        bodies = project.get("actions")
        names_not_text = {str(key) for key in bodies if not isinstance(key, str)} if isinstance(bodies, dict) else set()
        self.findings.items += need_findings(actions, names_not_text)
        expectations = read_expectations(project, version, features, self.findings)
        BackendNames(backends, default, self.findings).check_all(where, run_on, actions)
        if self._problems():
            raise self._error()
        self.findings.items += level_findings(actions)
        return Pipeline(
            version=version or 0.0,
            actions=actions,
            expectations=expectations,
            warnings=tuple(self.findings.warnings()),
            run_on=run_on,
            where=where,
            filename=self.filename,
            text=self.document.text,
        )

    def _project(self) -> dict[Any, Any]:
        """The document, with the side file's keys in it; only a mapping can be looked at any further."""
        value = self.document.value
        if not isinstance(value, dict):
            kind = "is empty" if value is None else f"must be {DICTIONARY}"
            self.findings.error("document", f"The project file {kind}", (), ours=True)
            raise self._error()
        side = self.side.value if self.side else None
        return SideFile(value, side, self.findings).merged() if self.side else value

    def _actions(self, project: dict[Any, Any], features: Features) -> dict[str, Action]:
        bodies = project.get("actions")
        if "actions" not in project:
            self.findings.error("actions-missing", "Project must include `actions` section", ("actions",))
        elif not isinstance(bodies, dict):
            message = f"`actions` section of the project must be {DICTIONARY}"
            self.findings.error("actions-type", message, ("actions",))
        elif len(bodies) > MAX_ACTIONS:
            message = f"The project has {len(bodies)} actions, more than {MAX_ACTIONS}"
            self.findings.error("actions-many", message, ("actions",), key=True, ours=True)
            return {}
        reader = ActionReader(features, self.findings)
        actions: dict[str, Action] = {}
        for key, body in bodies.items() if isinstance(bodies, dict) else ():
            action = reader.read(key, body)
            if action.action_id in actions:
                message = f"Action {key} is there twice (once as a number or word of YAML)"
                self.findings.error("action-twice", message, ("actions", key), key=True, ours=True)
            actions[action.action_id] = action
        return actions

    def _unread(self) -> list[Problem]:
        return [*self.document.problems, *(self.side.problems if self.side else ())]

    def _problems(self) -> list[Problem]:
        return [*self._unread(), *self.findings.errors()]

    def _error(self) -> ProjectValidationError:
        """The contract's prefix is for rules only, not for what YAML itself refuses."""
        problems = self._problems()
        if self._unread():
            return ProjectValidationError(listed(problems), problems)
        return ProjectValidationError.of(problems, self.filename)
