"""The agent as a whole: one thread listens to the controller, one renews leases, each attempt has its own.

What is to be done follows from the controller's list of tasks and from what is on disk and in the runtime. A list is
the whole truth of its moment, so what is not in it is not wanted any more.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from carrel.agent import database_tasks, errors, results
from carrel.agent.client import ControllerUnavailable, TaskClient, TaskPage
from carrel.agent.context import AgentContext
from carrel.agent.folder import AttemptFolder
from carrel.agent.leftovers import collect
from carrel.agent.metrics import Meter
from carrel.agent.reporter import PAUSES, Reporter
from carrel.agent.runner import Runner
from carrel.agent.tasks import attempt_id, attempt_token, process_name
from carrel.jobs.outcomes import ErrorType
from carrel.messages.tasks import Stage, Task, TaskExtensions, TaskType, TaskUpdate
from carrel.outputs.recovery import recover
from carrel.telemetry import traces
from carrel.telemetry.faults import point

logger = logging.getLogger(__name__)
COLLECT_SECONDS = 3600.0
LEASE_SECONDS = 60.0
"""A lease, where a task does not say."""
STOP_SECONDS = 3.0


def _span_attributes(task: Task) -> dict[str, Any]:
    """Of a task's span, with the contract's names (controller.md section 7)."""
    job = task.definition
    renamed = {"job": job.get("id"), "job_request": job.get("rap_id"), "repo_url": job.get("repo_url")}
    people = {name: task.attributes.get(name) for name in ("user", "project", "orgs")}
    same = {name: job.get(name) for name in ("workspace", "action", "commit", "image", "cpu_count", "memory_limit")}
    return {"backend": task.backend, "task": task.id, "task_type": str(task.type), **people, **renamed, **same}


class Agent:
    """Owns the threads. `run` returns after `stop`; what runs in the executor goes on."""

    def __init__(self, context: AgentContext, client: TaskClient) -> None:
        self.context, self.client = context, client
        self._reporter = Reporter(client)
        self._meter = Meter(context.executor, context.settings.stats_poll_interval)
        self._runners: dict[str, Runner] = {}
        self._checks: set[str] = set()
        self._settled: set[str] = set()
        self._listed: list[Task] | None = None
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._begun = threading.Event()

    def run(self) -> None:
        """Adopt what is there, then serve the controller until `stop`."""
        recover(self.context.storage.roots)
        self._adopt()
        self._reporter.start()
        self._meter.start()
        for work in (self._listen, self._beat, self._tidy):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()
        self._stopping.wait()  # not for the listener, whose request may be held for a while yet
        self._finish()

    def stop(self) -> None:
        """Have `run` return, soon; called from any thread."""
        self._stopping.set()
        self._woken.set()
        self._begun.set()

    def _adopt(self) -> None:
        """Go on with every attempt on disk, whether the controller answers or not."""
        for path in sorted(self.context.storage.volumes.iterdir()):
            folder = AttemptFolder(path)
            task = (
                folder.read_task() or folder.read_cancellation()
                if path.is_dir() and not path.name.startswith(".")
                else None
            )
            if task:
                self._ensure(attempt_id(task), task)

    def _finish(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        with self._lock:
            runners = list(self._runners.values())
        for runner in runners:
            runner.stop()
        self._reporter.stop(STOP_SECONDS)
        self._meter.stop()
        for runner in runners:
            runner.join(max(0.1, deadline - time.monotonic()))

    # Listening

    def _listen(self) -> None:
        """Ask for the list, again and again; the controller holds the answer back until something changes."""
        cursor: str | None = None
        failures = 0
        while not self._stopping.is_set():
            page = self._ask(cursor, failures)
            if page is None or not self._take_in(page):
                self._rest(PAUSES[min(failures, len(PAUSES) - 1)])
                failures, cursor = failures + 1, None
                continue
            failures, cursor = 0, page.cursor
            if page.cursor is None:
                self._rest(self.context.settings.job_loop_interval)

    def _ask(self, cursor: str | None, failures: int) -> TaskPage | None:
        try:
            return self.client.fetch_tasks(cursor, self.context.settings.long_poll_seconds if cursor else 0)
        except ControllerUnavailable as error:
            if failures == 0:
                logger.warning("%s; what runs goes on, and we keep trying", error)
        except Exception:
            logger.exception("The controller's answer could not be used")
        return None

    def _take_in(self, page: TaskPage) -> bool:
        """False when it could not be done whole: the same list is asked for again. The agent never stops listening."""
        self._reporter.open()
        try:
            self.sync(page.tasks)
        except Exception:
            logger.exception("The list of tasks could not be taken in; trying again")
            return False
        return True

    def _rest(self, seconds: float) -> None:
        self._woken.wait(seconds)
        if not self._stopping.is_set():
            self._woken.clear()

    # From the list to the runners

    def sync(self, listed: Sequence[Mapping[str, Any]]) -> None:
        """Make the attempts be what the list says. Safe to call with the same list again."""
        with self._lock, traces.span("AGENT_LOOP", "agent_loop", backend=self.context.settings.backend):
            first = self._listed is None
            self._listed = [task for record in listed if (task := self._understand(record))]
            traces.note(handled_tasks=len(self._listed), errored_tasks=len(listed) - len(self._listed))
            point("supervisor.listed")
            self._settled &= {task.id for task in self._listed}
            attempts = {attempt_id(task) for task in self._listed}
            for task in self._listed:
                with traces.span("LOOP_TASK", "agent_loop", **_span_attributes(task)):
                    self._take_or_refuse(task)
            for name, runner in list(self._runners.items()):
                if name not in attempts:
                    runner.supersede()
                if first:
                    runner.wake()  # none finalises before it is known what became of it meanwhile

    def _understand(self, record: Mapping[str, Any]) -> Task | None:
        try:
            return Task.model_validate(record)
        except ValidationError:
            task_id = record.get("id") if isinstance(record, Mapping) else None
            logger.error("A task could not be understood (%s)", task_id if isinstance(task_id, str) else "no id")
            if isinstance(task_id, str):
                extension = record.get("carrel")
                self._refuse(task_id, extension.get("attempt_token") if isinstance(extension, Mapping) else None)
            return None

    def _take_or_refuse(self, task: Task) -> None:
        """One task's trouble is that task's: the others of the list are taken in all the same."""
        try:
            self._take(task)
        except Exception:
            logger.exception("%s: the task could not be taken in", task.id)
            self._refuse(task.id, attempt_token(task), ErrorType.INTERNAL_ERROR)

    def _take(self, task: Task) -> None:
        if task.id in self._settled:
            return
        if task.type in (TaskType.DBSTATUS, TaskType.DBDATACHECK):
            if task.id not in self._checks:
                self._checks.add(task.id)
                threading.Thread(target=self._run_check, args=(task,), name=task.id, daemon=True).start()
            return
        runner = self._ensure(attempt_id(task), task)
        if runner is None:
            return
        if task.type is TaskType.CANCELJOB:
            runner.cancel(task)
        else:
            runner.renew(task)

    def _ensure(self, name: str, task: Task) -> Runner | None:
        """The attempt's runner, started if there is none; None when the task makes no sense."""
        if name in self._runners:
            return self._runners[name]
        try:
            runner = Runner(
                self.context,
                task.model_copy(update={"id": name, "type": TaskType.RUNJOB}),
                self._reporter,
                self._meter,
                on_end=self._ended,
                contract_only=lambda: bool(self.client.contract_only),
                heard=lambda: self._listed is not None,
            )
        except (errors.InvalidDefinition, ValueError):
            logger.error("%s: the job's definition could not be understood", task.id)
            self._refuse(task.id, attempt_token(task))
            return None
        if task.type is TaskType.CANCELJOB:
            runner.cancel(task)
        self._runners[name] = runner
        runner.start()
        self._begun.set()
        return runner

    def _ended(self, runner: Runner) -> None:
        """A runner has nothing left to do. Unless a later list asks for more, that is all."""
        with self._lock:
            self._runners.pop(runner.task.id, None)
            self._settled |= runner.settled
            if self._stopping.is_set() or self._listed is None:
                return
            for task in self._listed:
                if attempt_id(task) == runner.task.id:
                    self._take(task)

    def _refuse(self, task_id: str, token: str | None, kind: ErrorType = ErrorType.BAD_TASK) -> None:
        """A task that we cannot work on ends with an error, and disturbs no other."""
        error = results.error_of(kind, str(Stage.UNKNOWN), results.new_reference())
        final = results.results_of(
            {"error": error, "timestamp_ns": time.time_ns()}, contract=bool(self.client.contract_only)
        )
        self._settled.add(task_id)
        self._reporter.add(
            TaskUpdate(
                task_id=task_id,
                stage=str(Stage.ERROR),
                results=final.model_dump(mode="json"),
                complete=True,
                timestamp_ns=time.time_ns(),
                attempt_token=token or None,
            )
        )

    # Database checks

    def _run_check(self, task: Task) -> None:
        def settle(status: int) -> None:
            with self._lock:
                self._settled.add(task.id)
                self._checks.discard(task.id)

        update = TaskUpdate(
            task_id=task.id,
            stage="",
            results=database_tasks.run(self.context, task, process_name(task.id)),
            complete=True,
            timestamp_ns=time.time_ns(),
            attempt_token=attempt_token(task),
        )
        self._reporter.add(update, settle)

    # Leases

    def _beat(self) -> None:
        """Renew all leases in one request, every third of the shortest."""
        last = time.monotonic()
        while not self._stopping.is_set():
            leases = [extension.lease_seconds for extension in self._extensions().values() if extension.lease_seconds]
            shortest = max(0.1, min(leases, default=LEASE_SECONDS))
            if self._begun.wait(max(0.0, last + shortest / 3 - time.monotonic())):
                self._begun.clear()  # a new attempt's lease may be shorter
                continue
            last = time.monotonic()
            tokens = {name: extension.attempt_token for name, extension in self._extensions().items()}
            if not tokens or self.client.contract_only is not False:
                continue
            try:
                if self.client.heartbeat(tokens):
                    self._woken.set()
            except ControllerUnavailable as error:
                logger.info("Leases could not be renewed: %s", error)
            except Exception:
                logger.exception("Leases could not be renewed")

    def _extensions(self) -> dict[str, TaskExtensions]:
        """Of each attempt under way, what our own controller sends besides the contract."""
        with self._lock:
            return {name: runner.task.carrel for name, runner in self._runners.items() if runner.task.carrel}

    # Leaks

    def _tidy(self) -> None:
        """Collect what nobody owns, once the first list has said what is owned, and then every hour."""

        def owned() -> set[str]:
            """Attempts and checks under way, or about to be."""
            with self._lock:
                listed = {attempt_id(task) for task in self._listed or ()}
                return set(self._runners) | self._checks | listed

        while not self._stopping.is_set():
            if self._listed is None:
                self._stopping.wait(1.0)
                continue
            try:
                collect(self.context, owned, datetime.now(UTC))
            except Exception:
                logger.exception("Leftovers could not be collected; trying again in an hour")
            self._stopping.wait(COLLECT_SECONDS)
