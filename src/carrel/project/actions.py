"""Reads one action: its keys, their types, its outputs and its commands (spec: project-yaml.md sections 1.3 to 1.5)."""

from __future__ import annotations

import re
from typing import Any

from carrel.project.backends import action_run_on, is_backend_name
from carrel.project.commands import RunCommand
from carrel.project.constants import RUN_ALL_COMMAND
from carrel.project.findings import DICTIONARY, Findings, check_keys
from carrel.project.generators import check_generator
from carrel.project.models import Action, Outputs, Resources
from carrel.project.outputs import read_outputs
from carrel.project.resources import KEYS, is_amount, parse_resources
from carrel.project.versions import Features
from carrel.units.commands import fault_of_command
from carrel.units.limits import MAX_ACTION_NAME, MAX_BACKENDS, MAX_NEEDS
from carrel.units.yaml_documents import Path

ACTION_KEYS = frozenset({"run", "outputs", "needs", "config", "dummy_data_file", "run_on", "resources"})
_name = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*").fullmatch
_version = re.compile(r"(?:v[0-9.]+(?:-pre)?|dev|latest)$").match

_NONE = type(None)
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "outputs": ((dict,), DICTIONARY),
    "run": ((str, dict), "a string"),
    "needs": ((list, _NONE), "a list"),
    "config": ((dict, _NONE), DICTIONARY),
    "dummy_data_file": ((str, _NONE), "a string"),
    "resources": ((dict, _NONE), DICTIONARY),
}
"""In the contract's order."""


class ActionReader:
    """Reads the actions of one project; what it returns is whole only where it found nothing wrong."""

    def __init__(self, features: Features, findings: Findings) -> None:
        self.features, self.findings = features, findings

    def read(self, key: Any, body: Any) -> Action:
        """The action under `key`; one with less in it where something is wrong, so that others may still need it."""
        name, path = str(key), ("actions", key)
        if len(name) > MAX_ACTION_NAME:
            message = f"Action name {name[:40]!r}... is longer than {MAX_ACTION_NAME} characters"
            self.findings.error("action-name-long", message, path, key=True, ours=True)
            return Action(action_id=name, outputs=Outputs())
        self._check_name(name, path)
        if not isinstance(body, dict):
            message = f"Configuration for action {name} must be {DICTIONARY}"
            self.findings.error("action-type", message, path)
            return Action(action_id=name, outputs=Outputs())
        self._check_keys(name, body, path)
        for section, (kind, words) in _TYPES.items():
            if section in body and not isinstance(body[section], kind):
                message = f"`{section}` section for action {name} must be {words}"
                self.findings.error(f"{section}-type", message, (*path, section), ours=section == "resources")
        outputs = read_outputs(name, body.get("outputs"), (*path, "outputs"), self.findings)
        command, commands = self._run(name, body, path)
        needs = self._needs(name, body, path)
        run_on = action_run_on(name, body, path, self.findings)
        resources = self._resources(name, body, path)
        action = Action(
            action_id=name,
            outputs=outputs,
            command=command,
            needs=needs,
            config=_of_type(body, "config", dict),
            dummy_data_file=_of_type(body, "dummy_data_file", str),
            commands=commands,
            run_on=run_on,
            resources=resources,
        )
        check_generator(action, path, self.findings)
        self._check_commands(action, path)
        return action

    def _check_commands(self, action: Action, path: Path) -> None:
        """What no machine could start, with the `config` that is put behind the command."""
        behind = action.config_words
        for backend, command in action.commands.items() or [("", action.command)]:
            fault = fault_of_command([*command.parts[1:], *behind]) if command else None
            if fault:
                place = (*path, "run", backend) if backend else (*path, "run")
                message = f"`run` section for action {action.action_id} cannot be started: {fault}"
                self.findings.error("run-impossible", message, place, ours=True)

    def _check_name(self, name: str, path: Path) -> None:
        if name == RUN_ALL_COMMAND:
            self._check_run_all(path)
        if not _name(name):
            message = (
                f"Action name {name!r} may only have letters (A-Z, a-z), digits, `_`, `-` and `.`, "
                "and may not start with a dot"
            )
            self.findings.error("action-name", message, path, key=True, ours=True)

    def _check_run_all(self, path: Path) -> None:
        if self.features.no_run_all:
            message = "`run_all` is a reserved action name and is not allowed for user-defined actions."
            self.findings.error("run-all-reserved", message, path, key=True)
        else:
            message = "`run_all` is a reserved action name from version 5 on: requesting it runs every action"
            self.findings.warn("run-all-defined", message, path, key=True)

    def _check_keys(self, name: str, body: dict[Any, Any], path: Path) -> None:
        for required in ("run", "outputs"):
            if required not in body:
                message = f"Action {name} must contain a configuration for '{required}'"
                self.findings.error(f"{required}-missing", message, (*path, required))
        check_keys(body, ACTION_KEYS, f"action {name}", path, self.findings)

    def _run(self, name: str, body: dict[Any, Any], path: Path) -> tuple[RunCommand | None, dict[str, RunCommand]]:
        run, path = body.get("run"), (*path, "run")
        if isinstance(run, str):
            return self._command(name, run, path), {}
        commands: dict[str, RunCommand] = {}
        if isinstance(run, dict):
            if not run:
                message = f"run must have a value, {name} has an empty run key"
                self.findings.error("run-empty", message, path, ours=True)
            if len(run) > MAX_BACKENDS:
                message = f"`run` section for action {name} names more than {MAX_BACKENDS} backends"
                self.findings.error("run-backends-many", message, path, key=True, ours=True)
                return None, {}
            for backend, text in run.items():
                command = self._backend_command(name, backend, text, path)
                if command is not None:
                    commands[str(backend)] = command
        return None, commands

    def _backend_command(self, name: str, backend: Any, text: Any, path: Path) -> RunCommand | None:
        path = (*path, backend)
        if not is_backend_name(str(backend)):
            message = f"`run` section for action {name} has {backend!r}, which is not a name of a backend"
            self.findings.error("backend-name", message, path, key=True, ours=True)
        if isinstance(text, str):
            return self._command(name, text, path)
        message = f"`run` section for action {name} must be a string, or a string for each backend"
        self.findings.error("run-backend-type", message, path)
        return None

    def _command(self, name: str, raw: str, path: Path) -> RunCommand | None:
        try:
            command = RunCommand.parse(raw)
        except ValueError as error:
            message = f"`run` section for action {name} cannot be split into words: {str(error).lower()}"
            self.findings.error("run-quotes", message, path, ours=True)
            return None
        if not command.parts:
            message = f"run must have a value, {name} has an empty run key"
            self.findings.error("run-empty", message, path, ours=raw != "")
            return None
        if not _version(command.version):
            image = command.name
            message = f"Action command {image} must have a version specified in the form :vN (e.g. {image}:v2)"
            self.findings.error("run-version", message, path)
        return command

    def _needs(self, name: str, body: dict[Any, Any], path: Path) -> list[str]:
        needs = body.get("needs")
        if not isinstance(needs, list):
            return []
        if len(needs) > MAX_NEEDS:
            message = f"`needs` section for action {name} has {len(needs)} entries, more than {MAX_NEEDS}"
            self.findings.error("needs-many", message, (*path, "needs"), key=True, ours=True)
            return []
        good = []
        for index, need in enumerate(needs):
            if not isinstance(need, str):
                shown = repr(need) if len(repr(need)) <= 40 else repr(need)[:40] + "..."
                message = f"`needs` section for action {name} must be a list of names, but has {shown}"
                self.findings.error("need-type", message, (*path, "needs", index), ours=True)
            elif " " in need:
                message = f"`needs` actions should be separated with commas, but {name} needs `{need}`"
                self.findings.error("need-space", message, (*path, "needs", index))
            else:
                good.append(need)
        return good

    def _resources(self, name: str, body: dict[Any, Any], path: Path) -> Resources:
        section = body.get("resources")
        if not isinstance(section, dict):
            return Resources()
        path = (*path, "resources")
        check_keys(section, KEYS, f"`resources` section for action {name}", path, self.findings, ours=True)
        resources, faults = parse_resources(section)
        for key, fault in faults.items():
            message = f"`{key}` in `resources` section for action {name} {fault}"
            rule = "resources-bound" if is_amount(key, section[key]) else "resources-value"
            self.findings.error(rule, message, (*path, key), ours=True)
        return resources


def _of_type(body: dict[Any, Any], key: str, kind: type) -> Any:
    value = body.get(key)
    return value if isinstance(value, kind) else None
