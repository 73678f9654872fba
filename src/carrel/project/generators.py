"""Rules for actions that extract a cohort or a dataset (spec: project-yaml.md section 1.4)."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from carrel.project.commands import RunCommand
from carrel.project.findings import Findings
from carrel.project.models import Action
from carrel.units.yaml_documents import Path

# As the contract finds them: at the start of the raw text, one space. `_loosely` is what anyone would call the same.
_cohort = re.compile(r"cohortextractor:\S+ generate_cohort(?!\S)").match
_dataset = re.compile(r"(?:ehrql|databuilder):\S+ generate[-_]dataset(?!\S)").match
_IMAGES = frozenset({"cohortextractor", "ehrql", "databuilder"})
_DATASET_COMMANDS = frozenset({"generate-dataset", "generate_dataset"})


def check_generator(action: Action, path: Path, findings: Findings) -> None:
    """Outputs of an extracting action must be what its command writes; each backend's command is looked at."""
    path = (*path, "run")
    if action.command is not None:
        _check_command(action, action.command, path, findings)
    for backend, command in action.commands.items():
        _check_command(action, command, (*path, backend), findings)


def _check_command(action: Action, command: RunCommand, path: Path, findings: Findings) -> None:
    if command.name not in _IMAGES:
        return
    if _cohort(command.raw):
        _check_cohort(action, command, path, findings)
    elif _dataset(command.raw):
        _check_dataset(action, command, path, findings)
    elif command.name != "cohortextractor" and command.parts[1:2] and command.parts[1] in _DATASET_COMMANDS:
        message = (
            f"`{action.action_id}` action uses `generate-dataset`, but its spaces or quotes keep its outputs from "
            "being checked: write `image:version generate-dataset` with one space and nothing before it"
        )
        findings.warn("dataset-unchecked", message, path)


def writes_rows(command: RunCommand) -> bool:
    """Whether what the command writes is rows of the database: a query's, or a dataset's of patients."""
    if command.name == "sqlrunner":
        return True
    subcommand = command.parts[1] if len(command.parts) > 1 else ""
    return command.name in _IMAGES and subcommand in {*_DATASET_COMMANDS, "generate_cohort"}


def _check_cohort(action: Action, command: RunCommand, path: Path, findings: Findings) -> None:
    name, levels = action.action_id, len(action.outputs)
    if levels != 1:
        message = f"A `generate_cohort` action must have exactly one output; {name} had {levels}"
        findings.error("cohort-levels", message, (*path[:2], "outputs"))
    has_folder = any(part == "--output-dir" or part.startswith("--output-dir=") for part in command.parts)
    folders = sorted({str(PurePosixPath(pattern).parent) for pattern in action.outputs.flat()})
    if len(folders) > 1 and not has_folder:
        listed = "".join(f"\n - {folder}/" for folder in folders)
        message = f"generate_cohort command should produce output in only one directory, found {len(folders)}:{listed}"
        findings.error("cohort-folders", message, (*path[:2], "outputs"))


def _check_dataset(action: Action, command: RunCommand, path: Path, findings: Findings) -> None:
    name = action.action_id
    if action.outputs.moderately_sensitive or action.outputs.minimally_sensitive:
        message = f"`{name}` action uses `generate-dataset` and so all outputs must be labelled `highly_sensitive`"
        findings.error("dataset-level", message, (*path[:2], "outputs"))
    spec = _output_argument(command.parts[2:])
    if spec is None:
        message = (
            f"`{name}` action uses `generate-dataset` but does not provide an `--output` argument specifying where "
            "the results of `generate-dataset` should be stored"
        )
        findings.error("dataset-output-missing", message, path)
        return
    patterns = list((action.outputs.highly_sensitive or {}).values())
    parts = _folder_and_extension(spec)
    if parts is None:
        matches, expected = spec in patterns, spec
    else:
        folder, extension = parts
        matches = all(fnmatchcase(pattern, f"{folder}/*.{extension}") for pattern in patterns)
        expected = f"{folder}/:{extension}"
    if not matches:
        message = (
            f"`{name}` action output specification must match the `--output` argument in the `run` command\n"
            f" got: {', '.join(patterns)}\nbut was expecting: {expected}"
        )
        findings.error("dataset-output-mismatch", message, (*path[:2], "outputs"))


def _output_argument(args: list[str]) -> str | None:
    """Value of the last `--output X` or `--output=X`; what is behind `--` belongs to the study's own script."""
    own = args[: args.index("--")] if "--" in args else args
    value = None
    for index, arg in enumerate(own):
        if arg == "--output" and index + 1 < len(own):
            value = own[index + 1]
        elif arg.startswith("--output="):
            value = arg.removeprefix("--output=")
    return value


def _folder_and_extension(spec: str) -> tuple[str, str] | None:
    folder, colon, extension = spec.rpartition(":")
    return (folder.removesuffix("/"), extension) if colon else None
