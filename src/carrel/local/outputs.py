"""`carrel check-outputs`: what would stop at the level 4 gate, and what a checker would ask about."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from carrel.agent.gate import MODERATELY_SENSITIVE, GateLimits, check_file
from carrel.agent.matching import match_pattern
from carrel.agent.walk import walk
from carrel.disclosure.counts import check_table
from carrel.disclosure.findings import Finding
from carrel.local.code import LEFT_OUT
from carrel.local.study import Study


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """`excluded`: why the file would not reach level 4 ("" when it would)."""

    path: str
    excluded: str
    findings: tuple[Finding, ...] = ()


def check_study(study: Study) -> list[CheckedFile]:
    """Every moderately sensitive output that is here, by path."""
    here = [file.path for file in walk(study.folder, lambda path: path in LEFT_OUT).files]
    spec = {p: level for a in study.pipeline().actions.values() for p, level in a.outputs.flat().items()}
    patterns = [pattern for pattern, level in spec.items() if level == MODERATELY_SENSITIVE]
    paths = sorted({path for pattern in patterns for path in match_pattern(pattern, here)})
    return [_checked(study, path) for path in paths]


def _checked(study: Study, path: str) -> CheckedFile:
    exclusion = check_file(study.folder, path, GateLimits())
    if exclusion is not None:
        return CheckedFile(path, exclusion.reason)
    if not path.endswith(".csv"):
        return CheckedFile(path, "")
    return CheckedFile(path, "", tuple(check_table((study.folder / path).read_text("utf-8-sig"))))


def lines(files: Iterable[CheckedFile]) -> Iterator[str]:
    """A line for each file and each finding: `path:line: column: value: message`."""
    for file in files:
        if file.excluded:
            yield f"{file.path}: would not reach level 4: {file.excluded}"
        elif not file.findings:
            yield f"{file.path}: nothing found"
        for found in file.findings:
            yield f"{file.path}:{found.line}: {found.column}: {found.value}: {found.message}"


def html_report(study: Study, files: Iterable[CheckedFile]) -> str:
    """One page, with no script and nothing from elsewhere."""
    rows = "\n".join(row for file in files for row in _html_rows(file))
    title = f"Outputs of {escape(study.name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font-family:sans-serif;margin:2rem}td,th{padding:.3rem .8rem;text-align:left}"
        "tr.no td{background:#fde8e8}tr.look td{background:#fff6dd}</style></head>\n"
        f"<body><h1>{title}</h1>\n<table><tr><th>File</th><th>Line</th><th>Column</th><th>Value</th>"
        f"<th>Finding</th></tr>\n{rows}\n</table></body></html>\n"
    )


def _html_rows(file: CheckedFile) -> Iterator[str]:
    if file.excluded:
        yield _html_row("no", file.path, "", "", "", f"would not reach level 4: {file.excluded}")
    elif not file.findings:
        yield _html_row("ok", file.path, "", "", "", "nothing found")
    for found in file.findings:
        yield _html_row("look", file.path, str(found.line), found.column, found.value, found.message)


def _html_row(kind: str, *cells: str) -> str:
    return f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def write_report(path: Path, study: Study, files: Iterable[CheckedFile]) -> None:
    path.write_text(html_report(study, files), "utf-8")
