"""Where a study and its actions run: `run_on`, one command for each backend, and the side file `backends.yaml`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from carrel.project.constants import CONVENTIONAL_BACKENDS
from carrel.project.findings import Findings
from carrel.project.models import EVERYWHERE, Action, RunOn
from carrel.project.resources import parse_resources
from carrel.units.limits import MAX_BACKEND_NAME, MAX_BACKENDS
from carrel.units.yaml_documents import Path

SIDE_KEYS = ("run_on", "actions")
SIDE_ACTION_KEYS = ("run", "run_on", "resources")
BACKEND_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_name = re.compile(BACKEND_NAME).fullmatch
_SHAPE = "must be a list of backends, e.g. [tpp, emis], or {exclude: [emis]}"


def is_backend_name(name: str) -> bool:
    return len(name) <= MAX_BACKEND_NAME and _name(name) is not None


def read_run_on(value: Any, path: Path, findings: Findings, where: str) -> RunOn:
    """`run_on` of the study or of an action (`where` says which); None means everywhere."""
    if value is None:
        return EVERYWHERE
    if isinstance(value, dict) and list(value) == ["exclude"]:
        return RunOn(exclude=_names(value["exclude"], (*path, "exclude"), findings, where))
    if isinstance(value, list):
        return RunOn(only=_names(value, path, findings, where) or None)
    findings.error("run-on-type", f"`run_on` of {where} {_SHAPE}", path, ours=True)
    return EVERYWHERE


def _names(value: Any, path: Path, findings: Findings, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        findings.error("run-on-type", f"`run_on` of {where} {_SHAPE}", path, ours=True)
        return ()
    if len(value) > MAX_BACKENDS:
        message = f"`run_on` of {where} names more than {MAX_BACKENDS} backends"
        findings.error("run-on-type", message, path, ours=True)
        return ()
    for index, name in enumerate(value):
        if not isinstance(name, str) or not is_backend_name(name):
            message = f"`run_on` of {where} has {name!r}, which is not a name of a backend"
            findings.error("backend-name", message, (*path, index), ours=True)
    return tuple(dict.fromkeys(str(name) for name in value))


def action_run_on(name: str, body: dict[Any, Any], path: Path, findings: Findings) -> RunOn:
    """Where an action runs by its own `run_on`; checked against the backends it has a command for."""
    if "run_on" not in body:
        return EVERYWHERE
    own = read_run_on(body["run_on"], (*path, "run_on"), findings, f"action {name}")
    commands = body.get("run")
    if isinstance(commands, dict) and own.only is not None:
        _check_agreement(name, set(own.only), {str(key) for key in commands}, path, findings)
    return own


def _check_agreement(name: str, listed: set[str], commands: set[str], path: Path, findings: Findings) -> None:
    for backend in sorted(listed - commands):
        message = f"Action {name} runs on {backend} by its `run_on`, but its `run` has no command for {backend}"
        findings.error("run-on-disagrees", message, (*path, "run_on"), ours=True)
    for backend in sorted(commands - listed):
        message = f"Action {name} has a command for {backend}, but its `run_on` leaves {backend} out"
        findings.error("run-on-disagrees", message, (*path, "run", backend), key=True, ours=True)


def resolve_run_on(where: RunOn, backends: Collection[str] | None, default: Collection[str]) -> tuple[str, ...]:
    """The study's backends, by name."""
    if where.only is not None:
        return where.only
    everywhere = default if backends is None or not where.exclude else backends
    return tuple(name for name in everywhere if name not in where.exclude)


class BackendNames:
    """Checks every backend named in a file: that it is known (each name once), and that the study runs there."""

    def __init__(self, backends: Collection[str] | None, default: Collection[str], findings: Findings) -> None:
        self.listed = backends is not None
        self.known = tuple(backends) if backends is not None else (*CONVENTIONAL_BACKENDS, *default)
        self.findings = findings
        self.seen: set[str] = set()

    def check_all(self, where: RunOn, run_on: tuple[str, ...], actions: dict[str, Action]) -> None:
        for name, path in _named(where, ("run_on",)):
            self._check_known(name, path)
        if not run_on:
            message = "The study runs nowhere: `run_on` leaves no backend"
            self.findings.error("run-on-empty", message, ("run_on",), ours=True)
        for action in actions.values():
            if action.commands or action.run_on is not EVERYWHERE:
                self._check_action(action, where)
        for backend in run_on if actions else ():
            if not any(action.runs_on(backend) for action in actions.values()):
                message = f"No action runs on backend {backend}, though the study does"
                self.findings.warn("backend-idle", message, ("run_on",))

    def _check_action(self, action: Action, where: RunOn) -> None:
        path: Path = ("actions", action.action_id)
        for name, key_path in _named(action.run_on, (*path, "run_on")):
            self._check_known(name, key_path)
        here = [(name, (*path, "run_on", index)) for index, name in enumerate(action.run_on.only or ())]
        here += [(backend, (*path, "run", backend)) for backend in action.commands]
        for name, key_path in here:
            self._check_known(name, key_path)
            if not where.allows(name):
                message = (
                    f"Action {action.action_id} names backend {name}, where the study does not run by its `run_on`"
                )
                self.findings.warn("backend-elsewhere", message, key_path, key=key_path[-2] == "run")

    def _check_known(self, name: str, path: Path) -> None:
        if name in self.known or name in self.seen:
            return
        self.seen.add(name)
        hint, key = self.findings.did_you_mean(name, self.known), path[-2:-1] == ("run",)
        if self.listed:
            message = f"Backend `{name}` does not exist here{hint}"
            self.findings.error("backend-unknown", message, path, key=key, ours=True)
        else:
            self.findings.warn("backend-unknown", f"Backend `{name}` is not one we have heard of{hint}", path, key=key)


def _named(run_on: RunOn, path: Path) -> Iterator[tuple[str, Path]]:
    for index, name in enumerate(run_on.only or ()):
        yield name, (*path, index)
    for index, name in enumerate(run_on.exclude):
        yield name, (*path, "exclude", index)


class SideFile:
    """Lays `backends.yaml` over `project.yaml`: the same three keys, which may not say different things."""

    def __init__(self, project: dict[Any, Any], side: Any, findings: Findings) -> None:
        self.project, self.findings = project, findings
        self.side = side if isinstance(side, dict) else {}
        if side is not None and not isinstance(side, dict):
            findings.aside("side-type", "The file must be a dictionary of key/value pairs", ())

    def merged(self) -> dict[Any, Any]:
        """The project with the side file's keys in it."""
        self._check_keys(self.side, SIDE_KEYS, ())
        project = dict(self.project)
        if "run_on" in self.side:
            if "run_on" in self.project and _set(self.project["run_on"]) != _set(self.side["run_on"]):
                message = "`run_on` says something else than in project.yaml: say it in one file"
                self.findings.aside("side-disagrees", message, ("run_on",))
            project["run_on"] = self.side["run_on"]
            self.findings.moved.add(("run_on",))
        actions = self.side.get("actions")
        if isinstance(actions, dict) and isinstance(project.get("actions"), dict):
            project["actions"] = self._merged_actions(project["actions"], actions)
        elif actions is not None and not isinstance(actions, dict):
            self.findings.aside("side-type", "`actions` must be a dictionary of key/value pairs", ("actions",))
        return project

    def _merged_actions(self, actions: dict[Any, Any], side: dict[Any, Any]) -> dict[Any, Any]:
        merged = dict(actions)
        for name, extra in side.items():
            path = ("actions", name)
            if name not in actions:
                hint = self.findings.did_you_mean(name, actions)
                message = f"Action `{name}` is not in project.yaml{hint}"
                self.findings.aside("side-action", message, path, key=True)
            elif not isinstance(extra, dict):
                message = f"Configuration for action {name} must be a dictionary of key/value pairs"
                self.findings.aside("side-type", message, path)
            elif isinstance(actions[name], dict):
                merged[name] = self._merged_action(name, actions[name], extra)
        return merged

    def _merged_action(self, name: Any, body: dict[Any, Any], extra: dict[Any, Any]) -> dict[Any, Any]:
        path = ("actions", name)
        self._check_keys(extra, SIDE_ACTION_KEYS, path)
        taken = {key: extra[key] for key in SIDE_ACTION_KEYS if key in extra}
        for key, value in taken.items():
            if key in body and not _agree(key, body[key], value):
                advice = "name the backend which that command is for, too" if key == "run" else "say it in one file"
                message = f"`{key}` of action {name} says something else than in project.yaml: {advice}"
                self.findings.aside("side-disagrees", message, (*path, key))
            self.findings.moved.add(("actions", str(name), key))
        return {**body, **taken}

    def _check_keys(self, section: dict[Any, Any], allowed: tuple[str, ...], path: Path) -> None:
        for key in section:
            if key not in allowed:
                match = self.findings.nearest(key, allowed)
                hint = f" (did you mean `{match}`?)" if match else ""
                message = f"`{key}` may not stand in this file, only {', '.join(allowed)}{hint}"
                self.findings.aside("side-key", message, (*path, key), key=True)


def _agree(key: str, plain: Any, side: Any) -> bool:
    """Whether both files say the same. A single command agrees with a table of commands that it is one of."""
    if key == "run" and isinstance(plain, str) and isinstance(side, dict):
        return bool(plain in side.values())
    if key == "run_on":
        return bool(_set(plain) == _set(side))
    if key == "resources" and isinstance(plain, dict) and isinstance(side, dict):
        return bool(_amounts(plain) == _amounts(side))
    return bool(plain == side)


def _amounts(section: dict[Any, Any]) -> Any:
    resources, faults = parse_resources(section)
    return (replace(resources, memory_text=None), faults)


def _set(run_on: Any) -> Any:
    """The value without its order, where it has one."""
    if isinstance(run_on, dict):
        return {key: _set(value) for key, value in run_on.items()}
    return sorted(map(str, run_on)) if isinstance(run_on, list) else run_on
