"""Reads the `outputs` of one action (spec: project-yaml.md section 1.5)."""

from __future__ import annotations

from typing import Any

from carrel.project.constants import LEVELS
from carrel.project.document import Path
from carrel.project.findings import DICTIONARY, Findings, check_keys
from carrel.project.models import Outputs, Patterns
from carrel.project.patterns import escape_fault, pattern_fault
from carrel.project.problems import did_you_mean

_LEVELS = frozenset(LEVELS)


def read_outputs(name: str, section: Any, path: Path, findings: Findings) -> Outputs:
    """Outputs of action `name`, as far as they can be read."""
    if not isinstance(section, dict):
        return Outputs()
    if _LEVELS.isdisjoint(section):
        hint = did_you_mean(next(iter(section), None), LEVELS)
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
    good: Patterns = {}
    for key, pattern in patterns.items():
        if not isinstance(pattern, str):
            message = f"`{key}` output for action {name} must be a string"
            findings.error("output-type", message, (*path, level, key))
            continue
        _check_pattern(pattern, level, (*path, level, key), findings)
        if str(key) in good:
            message = f"Output name {key} of action {name} is there twice (once as a number or word of YAML)"
            findings.error("output-name-twice", message, (*path, level, key), key=True, ours=True)
        good[str(key)] = pattern
    return good


def _check_pattern(pattern: str, level: str, path: Path, findings: Findings) -> None:
    if fault := pattern_fault(pattern, level):
        findings.error("output-path", f"Output path {pattern} is invalid: {fault}", path)
    elif fault := escape_fault(pattern):
        findings.error("output-outside", f"Output path {pattern} is invalid: {fault}", path, ours=True)
