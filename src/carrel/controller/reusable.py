"""Reusable actions: an image that is no runtime is a repository of ready-made code (project-yaml.md section 1.6)."""

import re
import shlex
from dataclasses import dataclass

from carrel.project import Document, YAMLError, is_database_action
from carrel.repos import (
    CommitNotFound,
    Deadline,
    FileIsLink,
    FileNotInRepo,
    GitError,
    Mirrors,
    RepoInfrastructureError,
    RepoNotFound,
    TagNotFound,
)
from carrel.units.commands import fault_of_command

RUNTIMES = frozenset({"ehrql", "stata-mp", "r", "jupyter", "python", "sqlrunner"})
"""Images that run as they are; every other name is a reusable action."""
APPROVED_BRANCH = "main"
LIST_OF_ACTIONS = "https://actions.opensafely.org"

_NAME = re.compile(r"[A-Za-z0-9_-]+")


class ReusableActionError(Exception):
    """The action cannot be used; the message starts with which one (user error)."""


@dataclass(frozen=True, slots=True)
class ReusableAction:
    """One action at one tag. `run` is its argv: what replaces the first word of the study's command."""

    image: str
    repo_url: str
    commit: str
    run: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A command ready to run. The repository and commit are None when the study's own code is what runs."""

    run_command: str
    repo_url: str | None = None
    commit: str | None = None
    reusable_action: str = ""


class ActionResolver:
    """Resolves the commands of one request; each (image, tag) is looked up once."""

    def __init__(self, mirrors: Mirrors, org_url: str, deadline: Deadline | None = None) -> None:
        self._mirrors = mirrors
        self._org_url = org_url.rstrip("/")
        self._deadline = deadline
        self._actions: dict[str, ReusableAction] = {}

    def resolve(self, action: str, run_command: str) -> Resolved:
        """What to run for a command of the study; raises ReusableActionError, RepoInfrastructureError."""
        image, *arguments = shlex.split(run_command)
        name, _, tag = image.partition(":")
        if name in RUNTIMES:
            return Resolved(run_command)
        try:
            if image not in self._actions:
                self._actions[image] = self._read(name, tag)
        except ReusableActionError as error:
            raise ReusableActionError(f"in '{action}: {image}' {error}") from error
        reusable = self._actions[image]
        command = [*reusable.run, *arguments]
        if fault := fault_of_command(command[1:]):
            raise ReusableActionError(f"in '{action}: {image}' {fault}")
        return Resolved(shlex.join(command), reusable.repo_url, reusable.commit, image)

    def _read(self, name: str, tag: str) -> ReusableAction:
        if not _NAME.fullmatch(name):
            raise ReusableActionError(f"'{name}' contains invalid characters")
        url = f"{self._org_url}/{name}"
        commit = self._commit_of(name, url, tag)
        self._check_approved(url, commit, tag)
        text = self._action_file(url, commit, tag)
        try:
            run = parse_action_file(text)
        except ReusableActionError as error:
            raise ReusableActionError(
                f"invalid action, please open an issue on {url}/issues\n\n  ReusableActionError: {error}"
            ) from error
        return ReusableAction(f"{name}:{tag}", url, commit, run)

    def _commit_of(self, name: str, url: str, tag: str) -> str:
        try:
            return self._mirrors.resolve_tag(url, tag, self._deadline)
        except TagNotFound:
            raise ReusableActionError(f"'{tag}' is not a tag listed in {url}/tags") from None
        except RepoNotFound:
            raise ReusableActionError(
                f"could not find a repo at {url}\n"
                f"Check that '{name}' is in the list of available actions at {LIST_OF_ACTIONS}"
            ) from None

    def _check_approved(self, url: str, commit: str, tag: str) -> None:
        try:
            self._mirrors.check_commit_on_branch(url, commit, APPROVED_BRANCH, self._deadline)
        except CommitNotFound:
            raise ReusableActionError(
                f"tag '{tag}' has not yet been approved for use (not merged into {APPROVED_BRANCH} branch)"
            ) from None
        except GitError as error:
            raise ReusableActionError(f"error validating '{commit}' in {url}") from error

    def _action_file(self, url: str, commit: str, tag: str) -> bytes:
        try:
            return self._mirrors.read_file(url, commit, "action.yaml", self._deadline)
        except FileNotInRepo:
            raise ReusableActionError(
                f"{url}/tree/{tag} doesn't look like a valid action (no 'action.yaml' file present)"
            ) from None
        except FileIsLink as error:
            raise ReusableActionError(str(error)) from error
        except GitError as error:
            raise ReusableActionError(f"error reading '{commit}' in {url}") from error


def parse_action_file(text: bytes) -> tuple[str, ...]:
    """The argv of `run` in an action.yaml; raises ReusableActionError with what is wrong."""
    try:
        document = Document.of(text, "action.yaml")
    except YAMLError as error:
        raise ReusableActionError(f"'action.yaml' is not valid YAML: {error}") from error
    if document.problems:
        raise ReusableActionError(f"'action.yaml' is not valid YAML: {document.problems[0]}")
    content = document.value
    if not isinstance(content, dict) or "run" not in content:
        raise ReusableActionError("Missing `run` key in 'action.yaml'")
    return _checked(content["run"])


def _checked(run: object) -> tuple[str, ...]:
    if not isinstance(run, str):
        raise ReusableActionError("`run` in 'action.yaml' is not a string")
    try:
        argv = tuple(shlex.split(run))
    except ValueError as error:
        raise ReusableActionError("`run` in 'action.yaml' has unbalanced quotes") from error
    name, colon, tag = argv[0].partition(":") if argv else ("", "", "")
    if name not in RUNTIMES:
        raise ReusableActionError(f"Unrecognised runtime: {name}")
    if not colon or not tag:
        raise ReusableActionError(f"The runtime {name} in 'action.yaml' has no version (e.g. {name}:v2)")
    if is_database_action(list(argv)):
        raise ReusableActionError("Re-usable actions cannot run commands which access the database")
    return argv


__all__ = [
    "RUNTIMES",
    "ActionResolver",
    "RepoInfrastructureError",
    "Resolved",
    "ReusableAction",
    "ReusableActionError",
    "parse_action_file",
]
