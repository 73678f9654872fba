"""The checked project file as a whole, and one backend's view of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from carrel.project.constants import RUN_ALL_COMMAND
from carrel.project.document import Document
from carrel.project.findings import Findings
from carrel.project.models import EVERYWHERE, Action, Expectations, RunOn
from carrel.project.problems import Problem, ProjectValidationError, UnknownActionError, did_you_mean
from carrel.project.projection import backend_findings, tree_on
from carrel.project.versions import Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A checked project file. `actions` keeps the file's order."""

    version: float
    actions: dict[str, Action]
    expectations: Expectations | None = None
    warnings: tuple[Problem, ...] = ()
    run_on: tuple[str, ...] = ()
    """Backends the study runs on; the installation's default where the file does not say."""
    where: RunOn = EVERYWHERE
    """What the file says of backends; a file that says nothing may run on any that is asked for."""
    backend: str | None = None
    """The backend this was projected onto, if it was."""
    filename: str | None = None
    text: str = field(default="", repr=False, compare=False)
    """What it was read from: to find the line of what a later projection has to say."""

    @property
    def all_actions(self) -> list[str]:
        """Names in the file's order, without a user-defined `run_all`."""
        return [name for name in self.actions if name != RUN_ALL_COMMAND]

    @property
    def action_images(self) -> set[str]:
        """`image:version` of every command, with `latest` written as `v1`."""
        commands = (command for action in self.actions.values() for command in action.all_commands)
        return {f"{command.name}:{'v1' if command.version == 'latest' else command.version}" for command in commands}

    def action(self, name: str) -> Action:
        """The action of that name; raises UnknownActionError."""
        try:
            return self.actions[name]
        except KeyError:
            hint = did_you_mean(name, self.actions)
            raise UnknownActionError(f"Action '{name}' not found in project.yaml{hint}") from None

    def runs_on(self, backend: str) -> bool:
        """Whether `for_backend(backend)` may be asked for."""
        return self.where.allows(backend)

    def for_backend(self, backend: str) -> Pipeline:
        """The plain single tree that one backend runs; raises ProjectValidationError where it does not hold.

        Backends in `run_on` were checked when the file was read; others are checked now.
        """
        if self.backend is not None:
            if self.backend == backend:
                return self
            raise ValueError(f"the pipeline was already projected onto {self.backend}")
        if not self.runs_on(backend):
            message = f"The study does not run on backend `{backend}` (its `run_on` gives {', '.join(self.run_on)})"
            raise ProjectValidationError(f"Invalid project: {self.filename or ''}\n{message}")
        if backend not in self.run_on:
            self._check(backend)
        return replace(self, actions=tree_on(self.actions, backend), run_on=(backend,), backend=backend)

    def _check(self, backend: str) -> None:
        items = list(backend_findings(self.actions, Features.of(self.version), [backend]))
        if not items:
            return
        findings = Findings(Document(self.text, self.filename or "project.yaml"))
        findings.items = items
        raise ProjectValidationError.of(findings.errors(), self.filename)
