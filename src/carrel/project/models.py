"""The checked project: frozen values that planning, the agent and the command line work on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from carrel.project.commands import RunCommand
from carrel.project.constants import LEVELS

# Outputs has a method named dict, which hides the type inside of its class.
Patterns = dict[str, str]
Levels = dict[str, Patterns]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Output patterns by level: `{name: pattern}`, or None where a level is not written."""

    highly_sensitive: Patterns | None = None
    moderately_sensitive: Patterns | None = None
    minimally_sensitive: Patterns | None = None

    def dict(self) -> Levels:
        """`{level: {name: pattern}}`, without the levels that are not written."""
        return dict(self._levels())

    def flat(self) -> Patterns:
        """`{pattern: level}` by level, then as in the file; a pattern written twice has its last level."""
        return {pattern: level for level, patterns in self._levels() for pattern in patterns.values()}

    def _levels(self) -> Iterator[tuple[str, Patterns]]:
        for level in LEVELS:
            patterns = getattr(self, level)
            if patterns is not None:
                yield level, patterns

    def __len__(self) -> int:
        return sum(1 for _ in self._levels())


@dataclass(frozen=True, slots=True)
class Resources:
    """What an action asks for; the backend's limits cap it. None: the backend's default."""

    cpus: float | None = None
    memory: int | None = None
    """Bytes."""
    timeout: float | None = None
    """Seconds."""
    memory_text: str | None = None
    """As written (`8G`), for container engines and messages."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """Dummy population of versions 1 to 3."""

    population_size: int


@dataclass(frozen=True, slots=True)
class RunOn:
    """Where something runs: only on `only`, or everywhere (None); never on `exclude`."""

    only: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def allows(self, backend: str) -> bool:
        return (self.only is None or backend in self.only) and backend not in self.exclude


EVERYWHERE = RunOn()
_NO_WISHES = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action. `run` is its command; before `for_backend`, an action may have one for each backend instead."""

    action_id: str
    outputs: Outputs
    command: RunCommand | None = None
    """The one command, or None where `commands` has one for each backend."""
    needs: list[str] = field(default_factory=list)
    config: dict[str, Any] | None = None
    dummy_data_file: str | None = None
    commands: dict[str, RunCommand] = field(default_factory=dict)
    """Command by backend, where `run` is written so; empty otherwise and once projected."""
    run_on: RunOn = EVERYWHERE
    resources: Resources = _NO_WISHES

    @property
    def run(self) -> RunCommand:
        """The command; LookupError for an action with one for each backend that was not projected onto one."""
        if self.command is None:
            raise LookupError(f"Action {self.action_id} has a command for each backend: use Pipeline.for_backend first")
        return self.command

    @property
    def all_commands(self) -> list[RunCommand]:
        return [self.command] if self.command is not None else list(self.commands.values())

    @property
    def is_database_action(self) -> bool:
        """Whether the command (any of them, before `for_backend`) may reach the database."""
        return any(command.is_database_action for command in self.all_commands)

    @property
    def run_command(self) -> str:
        """The command to run: `run.raw`, with `--config <JSON>` behind it where there is a config.

        Source: project-yaml.md section 1.4. Single quotes become `\\u0027`, so that no shell trips over them.
        """
        return shlex.join([*self.run.parts, *self.config_words]) if self.config else self.run.raw

    @property
    def config_words(self) -> list[str]:
        """What is put behind the command, as words."""
        return ["--config", json.dumps(self.config).replace("'", r"\u0027")] if self.config else []

    def runs_on(self, backend: str) -> bool:
        return self.run_on.allows(backend) and (not self.commands or backend in self.commands)

    def for_backend(self, backend: str) -> Action:
        """This action as one backend sees it: one command."""
        if not self.commands:
            return self
        return replace(self, command=self.commands[backend], commands={})


__all__ = ["Action", "Expectations", "Outputs", "Resources", "RunOn"]
