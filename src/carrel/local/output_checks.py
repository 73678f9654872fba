"""`carrel check-outputs`: what would stop at the level 4 gate, and what a checker would ask about."""

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from carrel.disclosure.findings import IDENTIFYING, DisclosureFinding
from carrel.disclosure.outputs import Look, look_at
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.rules import rules_version
from carrel.local.study import Study
from carrel.outputs.level4 import MODERATELY_SENSITIVE, GateLimits, check_file
from carrel.outputs.matching import match_pattern, matches
from carrel.outputs.walk import Refusal, walk
from carrel.project.patterns import is_reserved
from carrel.units.beneath import open_beneath, printable

_LONGEST_SHOWN = 80
"""Characters of a cell or a column's name that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """One moderately sensitive output, or what may hide some.

    `excluded`: why the file would not reach level 4 ("" when it would). `unseen`: why it was not looked at at all.
    `unchecked`: why the disclosure rules could not look; `is_blind` where they should have been able to.
    """

    path: str
    excluded: str = ""
    findings: tuple[DisclosureFinding, ...] = ()
    unseen: str = ""
    unchecked: str = ""
    is_blind: bool = False

    @property
    def needs_a_look(self) -> bool:
        return bool(self.excluded or self.findings or self.unseen or self.is_blind)


def check_study(study: Study, policy: DisclosurePolicy) -> list[CheckedFile]:
    """Every moderately sensitive output that is here, by path, and whatever here may be or hold one but is no file.

    The folder is the researcher's own: a file with a second name somewhere (a backup by hard links, what `run --debug`
    leaves) is looked at like any other.
    """
    listing = walk(study.folder, is_reserved)
    spec = {p: level for a in study.pipeline().actions.values() for p, level in a.outputs.flat().items()}
    patterns = [pattern for pattern, level in spec.items() if level == MODERATELY_SENSITIVE]
    linked = [refusal.path for refusal in listing.refused if _is_regular(study.folder / refusal.path)]
    present = [file.path for file in listing.files] + linked
    paths = {path for pattern in patterns for path in match_pattern(pattern, present)}
    checked = [_check_output(study, path, paths, policy) for path in paths]
    hidden = (refusal for refusal in listing.refused if refusal.path not in linked)
    checked += [
        CheckedFile(path=refusal.path, unseen=refusal.reason) for refusal in hidden if _may_hide(refusal, patterns)
    ]
    return sorted(checked, key=lambda file: file.path)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _may_hide(refusal: Refusal, patterns: Iterable[str]) -> bool:
    """Whether an output may be what was refused, or below it. A refusal without a path is of the whole walk."""
    depth = refusal.path.count("/") + 1
    folders = (pattern.split("/")[:depth] for pattern in patterns)
    return any(not refusal.path or matches("/".join(folder), refusal.path) for folder in folders)


def _check_output(study: Study, path: str, beside: Collection[str], policy: DisclosurePolicy) -> CheckedFile:
    exclusion = check_file(study.folder, path, GateLimits())
    look = _look_at(study, path, beside, policy)
    if exclusion is None:
        return CheckedFile(path=path, findings=look.findings, unchecked=look.unchecked, is_blind=look.is_blind)
    barred = GateLimits().barred
    further = (finding for finding in look.findings if finding.rule in IDENTIFYING)
    findings = tuple(finding for finding in further if finding.subject not in barred)
    return CheckedFile(path=path, excluded=exclusion.reason, findings=findings)


def _look_at(study: Study, path: str, beside: Collection[str], policy: DisclosurePolicy) -> Look:
    try:
        with os.fdopen(open_beneath(study.folder, path), "rb") as stream:
            if os.fstat(stream.fileno()).st_size > GateLimits().max_filesize:
                return Look(unchecked="it is too large", is_blind=True)
            return look_at(stream, path, policy, beside=beside)
    except (OSError, ValueError):
        return Look(unchecked="it cannot be read", is_blind=True)


def lines(files: Iterable[CheckedFile]) -> Iterator[str]:
    """A line for each file and each finding: `path:line: column: value: message [rule]`."""
    for file in files:
        if verdict := _verdict(file):
            yield f"{file.path}: {verdict}"
        for finding in file.findings:
            shown = [_shown(text) for text in (finding.column, finding.value) if text]
            place = f"{file.path}:{finding.line}" if finding.line else file.path
            yield f"{place}: {': '.join([*shown, finding.message])} [{finding.rule}]"


def policy_lines(policy: DisclosurePolicy) -> Iterator[str]:
    """The rules and thresholds that the files were held to, to be kept with what was found."""
    yield f"Rules: {rules_version()}"
    settings = {key: value for key, value in policy.as_record().items() if value not in ([], ())}
    yield "Policy: " + ", ".join(f"{key} {value}" for key, value in settings.items())


def _verdict(file: CheckedFile) -> str:
    """What is told of the file as a whole; "" where its findings say all."""
    if file.unseen:
        return f"not looked at: {file.unseen}"
    if file.excluded:
        return f"would not reach level 4: {file.excluded}"
    if file.unchecked:
        return f"not checked: {file.unchecked}"
    return "" if file.findings else "nothing found"


def _shown(text: str) -> str:
    """A cell on one line, cut where it is long."""
    return printable(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")


def html_report(study: Study, files: Iterable[CheckedFile], policy: DisclosurePolicy) -> str:
    """One page, with no script and nothing from elsewhere."""
    rows = "\n".join(row for file in files for row in _html_rows(file))
    title = f"Outputs of {escape(study.name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font-family:sans-serif;margin:2rem}td,th{padding:.3rem .8rem;text-align:left}"
        "tr.no td{background:#fde8e8}tr.look td{background:#fff6dd}</style></head>\n"
        f"<body><h1>{title}</h1>\n<table><tr><th>File</th><th>Line</th><th>Column</th><th>Value</th>"
        f"<th>Finding</th><th>Rule</th></tr>\n{rows}\n</table>\n"
        f"<p>{'<br>'.join(map(escape, policy_lines(policy)))}</p></body></html>\n"
    )


def _html_rows(file: CheckedFile) -> Iterator[str]:
    if verdict := _verdict(file):
        kind = "no" if file.excluded else "look" if file.needs_a_look else "ok"
        yield _html_row(kind, file.path, "", "", "", verdict, "")
    for finding in file.findings:
        line = str(finding.line) if finding.line else ""
        cells = (file.path, line, _shown(finding.column), _shown(finding.value), finding.message, finding.rule)
        yield _html_row("look", *cells)


def _html_row(kind: str, *cells: str) -> str:
    return f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def write_report(path: Path, study: Study, files: Iterable[CheckedFile], policy: DisclosurePolicy) -> None:
    path.write_text(html_report(study, files, policy), "utf-8")
