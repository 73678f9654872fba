"""Collects what is wrong while a project is checked, and orders it as the contract would find it."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from carrel.project.document import Document
from carrel.project.problems import MAX_HINTS, Problem, Severity, nearest, printable, shortened
from carrel.units.limits import MAX_FINDINGS
from carrel.units.yaml_documents import Path

DICTIONARY = "a dictionary of key/value pairs"
"""How the contract's messages call a mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFinding:
    """A problem before its line is looked up. `ours`: the contract would let it pass (or fall over)."""

    rule: str
    message: str
    path: Path
    key: bool = False
    severity: Severity = "error"
    ours: bool = False
    side: bool = False
    """Stands in `backends.yaml`, whatever the path."""


class Findings:
    """All that was found. `moved` names the (action, key) pairs that came from the side file."""

    def __init__(self, document: Document, side: Document | None = None) -> None:
        self.document, self.side = document, side
        self.moved: set[Path] = set()
        self.items: list[ProjectFinding] = []
        self.hints = 0

    def error(self, rule: str, message: str, path: Path, *, key: bool = False, ours: bool = False) -> None:
        self._note(
            ProjectFinding(rule=rule, message=shortened(message), path=path, key=key, severity="error", ours=ours)
        )

    def warn(self, rule: str, message: str, path: Path, *, key: bool = False) -> None:
        self._note(ProjectFinding(rule=rule, message=shortened(message), path=path, key=key, severity="warning"))

    def aside(self, rule: str, message: str, path: Path, *, key: bool = False) -> None:
        """An error in the side file."""
        self._note(
            ProjectFinding(
                rule=rule, message=shortened(message), path=path, key=key, severity="error", ours=True, side=True
            )
        )

    def _note(self, finding: ProjectFinding) -> None:
        if len(self.items) < MAX_FINDINGS:
            self.items.append(finding)

    def nearest(self, name: object, allowed: Iterable[object]) -> str | None:
        """The allowed name most like `name`, of the first few that are asked for: comparing names takes long."""
        self.hints += 1
        return nearest(name, allowed) if self.hints <= MAX_HINTS else None

    def did_you_mean(self, name: object, allowed: Iterable[object]) -> str:
        """The same as words to put behind a message, or nothing."""
        match = self.nearest(name, allowed)
        return f" (did you mean `{match}`?)" if match else ""

    def errors(self) -> list[Problem]:
        """What the contract reports first comes first; then what only we refuse."""
        errors = [finding for finding in self.items if finding.severity == "error"]
        return self._place(sorted(errors, key=lambda finding: finding.ours))

    def warnings(self) -> list[Problem]:
        return self._place(finding for finding in self.items if finding.severity == "warning")

    def _place(self, findings: Iterable[ProjectFinding]) -> list[Problem]:
        return list(dict.fromkeys(self._problem(finding) for finding in findings))

    def _problem(self, finding: ProjectFinding) -> Problem:
        action_path = tuple(map(str, finding.path[:3]))
        aside = finding.side or action_path in self.moved or action_path[:1] in self.moved
        document = self.side if aside and self.side is not None else self.document
        line, column = document.locate(finding.path, key=finding.key)
        return Problem(
            message=printable(shortened(finding.message)),
            line=line,
            column=column,
            severity=finding.severity,
            filename=document.filename,
            rule=finding.rule,
        )


def check_keys(
    section: dict[Any, Any], allowed: Set[str], where: str, path: Path, findings: Findings, *, ours: bool = False
) -> None:
    """Report keys that are not allowed, all in one sentence as the contract does."""
    if section.keys() <= allowed:
        return
    unexpected = [key for key in section if key not in allowed]
    hints = [f"{key}: `{match}`" for key in unexpected if (match := findings.nearest(key, allowed))]
    hint = f" (did you mean {', '.join(hints)}?)" if hints else ""
    message = f"Unexpected parameters ({', '.join(map(str, unexpected))}) in {where}{hint}"
    findings.error("unexpected-keys", message, (*path, unexpected[0]), key=True, ours=ours)
