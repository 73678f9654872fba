"""`carrel run`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from carrel.cli.common import MemorySize, executor_option, explained

if TYPE_CHECKING:
    from carrel.local.events import RunResult, Watcher
    from carrel.local.run import RunOptions
    from carrel.local.study import Study


@click.command()
@click.argument("actions", metavar="ACTION...", nargs=-1)
@click.option("-f", "--force-run-dependencies", is_flag=True, help="Run what the actions need again too.")
@click.option(
    "--project-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The study's folder; this one if left out.",
)
@click.option("--continue-on-error", is_flag=True, help="Go on with what does not need a failed action.")
@click.option("--timestamps", is_flag=True, help="Put the time before each line.")
@click.option("-d", "--debug", is_flag=True, help="Keep containers and working folders, and show tracebacks.")
@click.option("--format-output-for-github", is_flag=True, help="Fold whole logs for GitHub's web page.")
@click.option("-c", "--concurrency", type=click.IntRange(1), default=2, show_default=True, help="Actions at once.")
@click.option("-m", "--memory", type=MemorySize(), help="Most memory for one action.  [default: 4G]")
@click.option("--cpus", type=click.FloatRange(0, min_open=True), help="Most processors for one action.  [default: 2]")
@click.option("--backend", help="Run the study as this backend does.")
@executor_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.option("--dry-run", is_flag=True, help="Only show what would run, and why.")
def run(
    actions: tuple[str, ...],
    project_dir: Path,
    timestamps: bool,
    format_output_for_github: bool,
    as_json: bool,
    dry_run: bool,
    executor: str | None,
    **asked: Any,
) -> None:
    """Run ACTION... of the study in this folder, and what they need that has not succeeded yet.

    `run_all` stands for every action. The exit code is 0 when all succeeded or nothing was to do, and 1 otherwise.
    """
    from carrel.local.run import RunOptions
    from carrel.local.study import Study

    options = RunOptions(actions=actions, force=asked.pop("force_run_dependencies"), **asked)
    with explained(as_json):
        study = Study.at(project_dir)
        if dry_run:
            from carrel.cli.plan import show_plan

            show_plan(study, options, as_json)
        else:
            result = _run(study, options, _watcher(study, timestamps, as_json), executor)
            _report(result, study, as_json, format_output_for_github)
            if options.debug and not as_json:
                click.echo("\nProcesses and working folders are kept in metadata/.run. Remove them with: carrel clean")
            sys.exit(0 if result.succeeded else 1)


def _watcher(study: "Study", timestamps: bool, as_json: bool) -> "Watcher":
    from carrel.local.watchers import JsonLines, Lines, LiveTable

    if as_json:
        return JsonLines()
    if sys.stdout.isatty() and not timestamps:
        return LiveTable(study.folder)
    return Lines(timestamps)


def _run(study: "Study", options: "RunOptions", watcher: "Watcher", executor: str | None) -> "RunResult":
    from carrel.local.run import run as run_study
    from carrel.local.settings import LocalSettings

    with _signals_interrupt(), closing(watcher), study.lock():
        return run_study(study, options, LocalSettings.from_env().with_executor(executor), watcher)


ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end a run as Ctrl-C does; a second one does not disturb the cleaning."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDINGS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _report(result: "RunResult", study: "Study", as_json: bool, for_github: bool) -> None:
    from carrel.local import report

    if result.nothing_to_do:
        text = "" if as_json else report.NOTHING_TO_DO
    elif for_github:
        text = report.github_blocks(result, study.folder)
    else:
        text = report.report(result, study.folder)
    if text and not as_json:
        click.echo("\n" + text)
