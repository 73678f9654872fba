"""`carrel run`: plan, run what is to run (several at once), and leave nothing behind. No server, no database.

Whoever calls must hold the study's lock (`Study.lock`); `recover` clears what a killed run left.
"""

import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from carrel.executors.base import Executor, ExecutorError, ExecutorRefusal
from carrel.jobs.plan import Plan, Run, plan
from carrel.jobs.statuses import StatusCode
from carrel.local import lifecycle
from carrel.local.attempt import LocalAttempt, RunContext, Stopped
from carrel.local.code import find_former_outputs, output_patterns, read_version
from carrel.local.errors import LocalError
from carrel.local.events import ActionResult, Progress, RunResult, RunStart, Watcher
from carrel.local.records import ActionRecord, read_latest_jobs, read_records
from carrel.local.report import action_names
from carrel.local.settings import LocalSettings
from carrel.local.study import Study, default_backend
from carrel.outputs.errors import InfrastructureFault
from carrel.outputs.journal import STAGING
from carrel.outputs.recovery import recover as finish_publications
from carrel.outputs.recovery import set_aside_folders
from carrel.outputs.study_files import hidden_from_jobs
from carrel.outputs.trees import remove_tree
from carrel.project import Pipeline
from carrel.units.faults import in_words
from carrel.units.sizes import parse_size

SAMPLE_SECONDS = 1.0
EXECUTOR_NOTE = "executor.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `carrel run` is to do. `memory` in bytes and `cpus` in cores; None: the contract's defaults, 4G and 2."""

    actions: tuple[str, ...]
    force: bool = False
    backend: str | None = None
    concurrency: int = 2
    memory: int | None = None
    cpus: float | None = None
    continue_on_error: bool = False
    debug: bool = False


DEFAULT_MEMORY = parse_size("4G")
DEFAULT_CPUS = 2.0


def plan_run(study: Study, options: RunOptions) -> tuple[Pipeline, Plan]:
    """The project on the chosen backend and what would run there, with reasons.

    Raises `ProjectValidationError`, `PlanError` and `LocalError`.
    """
    pipeline = study.project(options.backend)
    if not options.actions:
        raise LocalError(f"At least one action must be supplied\n\n{action_names(pipeline.all_actions)}")
    latest = read_latest_jobs(study, pipeline.backend or "")
    return pipeline, plan(options.actions, pipeline, latest, options.force)


def recover(study: Study, settings: LocalSettings) -> None:
    """Finish or undo what a killed run was publishing; stop and remove all else it left. Under the study's lock."""
    finish_publications([study.folder])
    for folder in set_aside_folders(study.folder):
        remove_tree(folder)
    with contextlib.suppress(OSError):
        (study.folder / STAGING).rmdir()
    if not study.scratch.exists():
        return
    note = study.scratch / EXECUTOR_NOTE
    executor_name = note.read_text().strip() if note.exists() else ""
    if executor_name:
        executor = settings.executor_for(study, executor_name)
        for name in executor.list():
            executor.stop(name)
            executor.remove(name)
        executor.close()
    remove_tree(study.scratch)
    if study.scratch.exists():
        raise LocalError(f"{study.scratch} is left of an earlier run and cannot be removed. Remove it by hand.")


def run(study: Study, options: RunOptions, settings: LocalSettings, watcher: Watcher) -> RunResult:
    """Run the requested actions; returns when all have ended. Under the study's lock.

    Raises what `plan_run` raises, and `ExecutorError` when nothing can run here. KeyboardInterrupt goes through once
    all that was started has been stopped and removed.
    """
    recover(study, settings)
    pipeline, planned = plan_run(study, options)
    if planned.nothing_to_do:
        result = RunResult(nothing_to_do=str(planned.nothing_to_do))
        watcher.end(result)
        return result
    images = {settings.image(pipeline.actions[entry.action].run) for entry in planned.runs}
    executor = settings.executor_for(study, images=images)
    study.scratch.mkdir(parents=True, exist_ok=True)
    (study.scratch / EXECUTOR_NOTE).write_text(executor.capabilities.name)
    context = _make_context(study, options, settings, executor, watcher)
    needs = {entry.action: tuple(entry.wait_for_new) for entry in planned.runs}
    watcher.start(RunStart(context.request_id, context.backend, tuple(needs), needs))
    try:
        result = LocalRun(context=context, pipeline=pipeline, planned=planned, options=options, watcher=watcher).run()
    finally:
        with contextlib.suppress(OSError):
            (study.folder / STAGING).rmdir()
        executor.close()
        if not options.debug:
            remove_tree(study.scratch)
    watcher.end(result)
    return result


def _make_context(
    study: Study, options: RunOptions, settings: LocalSettings, executor: Executor, watcher: Watcher
) -> RunContext:
    pipeline = study.pipeline()
    former = find_former_outputs(study, pipeline)
    watcher_lock = threading.Lock()

    def tell(action: str, code: StatusCode, message: str, detail: bool) -> None:
        with watcher_lock:
            watcher.report(Progress(action, str(code), message, datetime.now(UTC), detail))

    return RunContext(
        study=study,
        settings=settings,
        executor=executor,
        request_id=secrets.token_hex(8),
        backend=options.backend or default_backend(pipeline),
        all_actions=frozenset(pipeline.all_actions),
        hidden=hidden_from_jobs(output_patterns(pipeline), former),
        former_outputs=former,
        version=read_version(study.folder),
        tell=tell,
        memory=options.memory or DEFAULT_MEMORY,
        cpus=options.cpus or DEFAULT_CPUS,
        memory_is_cap=options.memory is not None,
        cpus_is_cap=options.cpus is not None,
        keep=options.debug,
    )


@dataclass(slots=True, kw_only=True)
class LocalRun:
    """The loop: starts what can start, notes what ended, stops all at the first failure unless told to go on."""

    context: RunContext
    pipeline: Pipeline
    planned: Plan
    options: RunOptions
    watcher: Watcher
    results: list[ActionResult] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    records: dict[str, ActionRecord] = field(default_factory=dict)
    waiting: dict[str, Run] = field(default_factory=dict)
    running: dict[Future[ActionRecord], LocalAttempt] = field(default_factory=dict)

    def run(self) -> RunResult:
        self.records = read_records(self.context.study)
        self.waiting = {entry.action: entry for entry in self.planned.runs}
        with ThreadPoolExecutor(self.options.concurrency, thread_name_prefix="action") as pool:
            try:
                self._loop(pool)
            except BaseException:
                self._stop_all()
                raise
        return RunResult(tuple(self.results), tuple(self.left_out))

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        while True:
            for action in self._take_startable():
                needed_records = {need: self.records[need] for need in self.pipeline.actions[action].needs}
                attempt = LocalAttempt(self.context, self.pipeline.actions[action], needed_records)
                self.running[pool.submit(lifecycle.run, attempt)] = attempt
            if not self.running:
                return
            ended, _ = wait(self.running, timeout=SAMPLE_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                self._note_end(self.running.pop(future), future)
            for attempt in self.running.values():
                with contextlib.suppress(ExecutorError):
                    self.watcher.report_usage(attempt.action.action_id, attempt.sample())

    def _take_startable(self) -> Iterator[str]:
        for action, entry in list(self.waiting.items()):
            if len(self.running) >= self.options.concurrency:
                return
            unfinished = {*self.waiting, *(attempt.action.action_id for attempt in self.running.values())}
            if unfinished.isdisjoint(entry.wait_for_new):
                del self.waiting[action]
                yield action

    def _note_end(self, attempt: LocalAttempt, future: Future[ActionRecord]) -> None:
        action = attempt.action.action_id
        try:
            record = future.result()
        except Stopped:
            return
        except (ExecutorError, ExecutorRefusal, InfrastructureFault, OSError, ValueError) as fault:
            reason = in_words(fault) if isinstance(fault, OSError) else fault
            result = ActionResult(action, succeeded=False, message=f"This action could not be run: {reason}")
            self.context.tell(action, StatusCode.INTERNAL_ERROR, result.message, False)
        else:
            self.records[action] = record
            log = self.context.study.log(action).relative_to(self.context.study.folder)
            result = ActionResult(action, record.succeeded, record.status_message, record, str(log))
        self.results.append(result)
        if not result.succeeded:
            self._stop_after_failure(action)

    def _stop_after_failure(self, action: str) -> None:
        if not self.options.continue_on_error:
            self.left_out += [*self.waiting, *(attempt.action.action_id for attempt in self.running.values())]
            self.waiting.clear()
            self._stop_all(f"Stopped, because {action} failed")
            return
        for dependant in dependants(action, self.waiting):
            del self.waiting[dependant]
            self.left_out.append(dependant)
            self.context.tell(dependant, StatusCode.DEPENDENCY_FAILED, f"Not starting, because {action} failed", False)

    def _stop_all(self, why: str = "Stopped") -> None:
        """Tell every attempt to stop, and kill what runs; the pool's end waits for their cleaning up."""
        self.context.stopping.set()
        for future, attempt in self.running.items():
            if not future.cancel():
                with contextlib.suppress(ExecutorError):
                    attempt.stop()
        for attempt in self.running.values():
            self.context.tell(attempt.action.action_id, StatusCode.CANCELLED_BY_USER, why, False)


def dependants(action: str, waiting: Mapping[str, Run]) -> list[str]:
    """Those of `waiting` that need `action`, or need one that does; `waiting` is in dependency order."""
    reached = [action]
    for name, entry in waiting.items():
        if any(need in reached for need in entry.wait_for_new):
            reached.append(name)
    return reached[1:]


def with_all_actions(options: RunOptions) -> RunOptions:
    """The same, asked for `run_all`: what `carrel plan` shows when no action is named."""
    from carrel.project import RUN_ALL_COMMAND

    return options if options.actions else replace(options, actions=(RUN_ALL_COMMAND,))
