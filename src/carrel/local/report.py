"""What a run prints at its end, and when it cannot begin: the contract's texts (local-run.md section 4). Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from carrel.local.events import ActionResult, RunResult

LOG_LINES = 32
INDENT = "   "
_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* ?")
_SUMMARY = "=============JOB SUMMARY============="

NOTHING_TO_DO = "=> All actions already completed successfully\n   Use -f option to force everything to re-run"


def report(result: RunResult, folder: Path) -> str:
    """The end of a run: one block an action, those that failed last; dependants of failures are left out."""
    ordered = sorted(result.results, key=lambda action: not action.succeeded)
    return "\n\n".join("\n".join(block(action, folder)) for action in ordered)


def block(result: ActionResult, folder: Path) -> Iterator[str]:
    yield f"=> {result.action}"
    yield from indented(result.message)
    record = result.record
    if record is None:
        return
    if record.hint:
        yield from indented(record.hint)
    yield ""
    yield f"{INDENT}log file: {result.log}"
    yield f"{INDENT}outputs:"
    yield from _table(record.outputs.items())
    if record.excluded:
        yield ""
        yield f"{INDENT}invalid moderately_sensitive outputs:"
        yield from _table(record.excluded.items())
    if record.status_code == "nonzero_exit":
        yield ""
        yield f"{INDENT}logs:"
        yield ""
        yield from (f"{INDENT}  {line}" for line in last_lines(folder / result.log))


def indented(text: str) -> Iterator[str]:
    return (f"{INDENT}{line}".rstrip() for line in text.strip("\n").splitlines())


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    listed = sorted(rows)
    width = max((len(path) for path, _ in listed), default=0)
    return [f"{INDENT}  {path:<{width}}  - {text}" for path, text in listed] or [f"{INDENT}  (no outputs)"]


def last_lines(log: Path, limit: int = LOG_LINES) -> list[str]:
    """The last lines the program wrote, without their timestamps; "(truncated)" stands for the earlier ones."""
    lines = program_lines(log)
    return lines if len(lines) <= limit else ["(truncated)", *lines[-limit:]]


def program_lines(log: Path) -> list[str]:
    """What the program itself wrote: the log without timestamps and summary."""
    text = log.read_text("utf-8", "backslashreplace")
    lines = text.partition(f"\n{_SUMMARY}")[0].rstrip("\n").splitlines()
    return [without_timestamp(line) for line in lines]


def without_timestamp(line: str) -> str:
    return _TIMESTAMP.sub("", line)


def github_blocks(result: RunResult, folder: Path) -> str:
    """The same for GitHub's web page: one folded group an action, with the whole log."""
    ordered = sorted(result.results, key=lambda action: not action.succeeded)
    return "\n".join(line for action in ordered for line in _github_block(action, folder))


def _github_block(result: ActionResult, folder: Path) -> Iterator[str]:
    yield f"::group:: {result.action} {'succeeded' if result.succeeded else 'failed'}"
    yield from block(result, folder)
    if result.log:
        yield ""
        yield from (folder / result.log).read_text("utf-8", "backslashreplace").splitlines()
    yield "::endgroup::"


def problem(kind: str, message: str) -> str:
    """`=> UnknownActionError` and the message below it."""
    return "\n".join([f"=> {kind}", *indented(message)])


def action_names(names: Sequence[str]) -> str:
    """The list shown to who named no action, or one that is not there."""
    lines = ["run_all (runs all actions in project)", *(name for name in names if name != "run_all")]
    return "Choose from one or more of the following actions:\n" + "\n".join(f"  {line}" for line in lines)
