"""Reads the `outputs` of one action (spec: project-yaml.md section 1.5)."""

from __future__ import annotations

from typing import Any

from carrel.project.constants import LEVELS
from carrel.project.findings import DICTIONARY, Findings, check_keys
from carrel.project.models import Outputs, Patterns
from carrel.project.patterns import escape_fault, length_fault, pattern_fault, reserved_fault
from carrel.units.limits import MAX_ACTION_NAME, MAX_OUTPUT_PATH, MAX_OUTPUTS
from carrel.units.yaml_documents import Path

_LEVELS = frozenset(LEVELS)


def read_outputs(name: str, section: Any, path: Path, findings: Findings) -> Outputs:
    """Outputs of action `name`, as far as they can be read."""
    if not isinstance(section, dict):
        return Outputs()
    if _LEVELS.isdisjoint(section):
        hint = findings.did_you_mean(next(iter(section), None), LEVELS)
        message = f"`outputs` section for action {name} must specify at least one output of: {', '.join(LEVELS)}{hint}"
        findings.error("outputs-empty", message, path)
        return Outputs()
    check_keys(section, _LEVELS, f"`outputs` section for action {name}", path, findings)
    return Outputs(
        **{level: _level(name, level, section[level], path, findings) for level in LEVELS if level in section}
    )


def _level(name: str, level: str, patterns: Any, path: Path, findings: Findings) -> Patterns | None:
    if not isinstance(patterns, dict):
        message = f"`{level}` section for action {name} must be {DICTIONARY}"
        findings.error("level-type", message, (*path, level))
        return None
    if len(patterns) > MAX_OUTPUTS:
        message = f"`{level}` section for action {name} has {len(patterns)} outputs, more than {MAX_OUTPUTS}"
        findings.error("outputs-many", message, (*path, level), key=True, ours=True)
        return None
    good: Patterns = {}
    for key, pattern in patterns.items():
        if not isinstance(pattern, str):
            message = f"`{key}` output for action {name} must be a string"
            findings.error("output-type", message, (*path, level, key))
            continue
        if len(str(key)) > MAX_ACTION_NAME:
            message = (
                f"A name of an output of action {name} is longer than {MAX_ACTION_NAME} characters: {str(key)[:40]}..."
            )
            findings.error("output-name-long", message, (*path, level, key), key=True, ours=True)
        _check_pattern(pattern, level, (*path, level, key), findings)
        if str(key) in good:
            message = f"Output name {key} of action {name} is there twice (once as a number or word of YAML)"
            findings.error("output-name-twice", message, (*path, level, key), key=True, ours=True)
        good[str(key)] = pattern
    return good


def _check_pattern(pattern: str, level: str, path: Path, findings: Findings) -> None:
    if len(pattern) > MAX_OUTPUT_PATH:
        message = f"Output path {pattern[:40]}... is invalid: it is longer than {MAX_OUTPUT_PATH} characters"
        findings.error("output-long", message, path, ours=True)
    elif fault := pattern_fault(pattern, level):
        findings.error("output-path", f"Output path {pattern} is invalid: {fault}", path)
    elif fault := escape_fault(pattern):
        findings.error("output-outside", f"Output path {pattern} is invalid: {fault}", path, ours=True)
    elif fault := reserved_fault(pattern):
        findings.error("output-reserved", f"Output path {pattern} is invalid: {fault}", path, ours=True)
    elif fault := length_fault(pattern):
        findings.error("output-file-name", f"Output path {pattern} is invalid: {fault}", path, ours=True)
