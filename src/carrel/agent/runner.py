"""One attempt's thread: look, decide (`attempt.next_step`), act, until there is nothing left to do."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from carrel.agent import errors, metadata, results
from carrel.agent.attempt import Observation, StartState, Step, next_step
from carrel.agent.context import AgentContext
from carrel.agent.doorbell import Doorbell
from carrel.agent.finaliser import Finaliser, Superseded
from carrel.agent.folder import AttemptFolder
from carrel.agent.metrics import Meter
from carrel.agent.preparation import prepare, run_spec
from carrel.agent.reporter import Reporter
from carrel.agent.tasks import attempt_token, parse_job, process_name
from carrel.executors.base import Inspection, Phase
from carrel.jobs.outcomes import is_infrastructure
from carrel.messages.tasks import Stage, Task, TaskUpdate
from carrel.outputs.publication import Publication
from carrel.outputs.recovery import settle
from carrel.repos import GivenUp
from carrel.telemetry import logs
from carrel.telemetry.faults import point

logger = logging.getLogger(__name__)
WAIT_SECONDS = 300.0
"""Longest single wait for a process to end; then it is looked at again."""
LOOK_AGAIN_SECONDS = 0.2
"""The same while a process that has a time limit is so young that the runtime does not say when it began."""
PAUSES = (0.5, 2.0, 10.0, 30.0)
"""Seconds between tries while the runtime, or the disk, does not answer."""

_STAGES = {Step.PREPARE: Stage.PREPARING, Step.START: Stage.EXECUTING, Step.FINALISE: Stage.FINALIZING}


class Runner:
    """Takes one attempt from wherever it is to its end. `wake` after anything changed that it cannot see by itself."""

    def __init__(
        self,
        context: AgentContext,
        task: Task,
        reporter: Reporter,
        meter: Meter,
        *,
        on_end: Callable[["Runner"], None] = lambda runner: None,
        contract_only: Callable[[], bool] = lambda: False,
        heard: Callable[[], bool] = lambda: True,
    ) -> None:
        self.task = task
        self.context = context
        self.job = parse_job(task)
        self.name = process_name(task.id)
        self.folder = AttemptFolder(context.storage.attempt(task.id))
        self._reporter, self._meter = reporter, meter
        self._on_end, self._contract_only, self._heard = on_end, contract_only, heard
        self.settled: set[str] = set()
        """Ids of the tasks whose final report the controller has."""
        self._unwritten: dict[str, Any] | None = None
        self._publication: Publication | None = None
        self._inspection = Inspection(Phase.ABSENT)
        self._cancelled: Task | None = None
        self._superseded = self._stopping = self._timed_out = False
        self._reported = ""
        """Id of the task whose final report the controller has: that of the attempt itself, or of its cancelling."""
        self._bell = Doorbell()
        self._thread = threading.Thread(target=self._run, name=task.id, daemon=True)

    # What others tell it

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look again, whatever it waits for."""
        self._bell.ring()

    def cancel(self, task: Task) -> None:
        """Note that the controller wants it ended; `task` is to be told how it went."""
        if self._cancellation() is None:
            self._cancelled = task
            with _disk_may_be_full(f"{self.task.id}: that it is cancelled"):
                self.folder.cancel(task)
            self.wake()

    def _cancellation(self) -> Task | None:
        """The task that asked for the end. On a full disk only this process knows: after a restart it comes again."""
        return self._cancelled or self.folder.read_cancellation()

    def supersede(self) -> None:
        """Note that the controller has given it up and asks for nothing."""
        self._superseded = True
        self.wake()

    def renew(self, task: Task) -> None:
        """Take the task as the controller sends it now (its token may have changed)."""
        changed, self.task = task.carrel != self.task.carrel, task
        if changed:
            self.wake()

    def stop(self) -> None:
        """End the thread; the attempt goes on without us."""
        self._stopping = True
        self.wake()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, for `timeout` seconds at most."""
        self._thread.join(timeout)

    @property
    def superseded(self) -> bool:
        """Whether the controller has given it up without asking for its end."""
        return self._superseded and self._cancellation() is None

    # The loop

    def _run(self) -> None:
        with logs.tags(workspace=self.job.workspace, action=self.job.action, id=self.job.id, task=self.task.id):
            failures = 0
            step = None
            while not self._stopping and step is not Step.DONE:
                try:
                    step = self._advance()
                    failures = 0
                except Exception:
                    logger.exception("%s: a step failed that will be tried again", self.task.id)
                    self._bell.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                    failures += 1
        self._on_end(self)
        self._bell.close()

    def _advance(self) -> Step:
        step = next_step(self.observe())
        if step in (Step.FINALISE, Step.LOSE) and not self._heard():
            self._bell.wait(None)  # what became of it meanwhile decides how it ends: whether it was cancelled, say
            return step
        try:
            self._perform(step)
        except Superseded:
            self._superseded = True
        except GivenUp:
            logger.info("%s: given up while it was prepared", self.task.id)
        except Exception as error:
            if step not in (Step.PREPARE, Step.START, Step.FINALISE, Step.LOSE):
                raise
            self._fail(error, step)
        return step

    def observe(self) -> Observation:
        """One look at the runtime and the disk."""
        self._inspection = self.context.executor.inspect(self.name)
        return Observation(
            phase=self._inspection.phase,
            lost=self._inspection.lost,
            prepared=self.folder.read_prepared() is not None,
            start=self.folder.read_start(),
            recorded=self.read_record() is not None,
            reported=self._reported == self._reported_task().id,
            cancelled=self._cancellation() is not None,
            timed_out=self._is_timed_out(),
            superseded=self.superseded,
            leftovers=self.folder.exists(),
        )

    def read_record(self) -> dict[str, Any] | None:
        """The attempt's outcome, if it has one."""
        folder = self.context.storage.job_folder(self.job.id, self.job.created_at)
        return self._unwritten or metadata.read(folder, self.task.id)

    def _perform(self, step: Step) -> None:
        match step:
            case Step.PREPARE:
                self._prepare()
            case Step.START:
                self._start_process()
            case Step.WAIT:
                self._wait()
            case Step.STOP:
                self.context.executor.stop(self.name)
            case Step.FINALISE:
                self._finalise()
            case Step.RESET:
                self.context.executor.remove(self.name)
                self.folder.reset()
            case Step.LOSE:
                notes = "; ".join(self._inspection.notes)
                raise errors.ProcessLost(notes or "The job's process is gone, and left no exit code")
            case Step.REPORT:
                self._report_outcome()
            case Step.CLEAN:
                self._clean()

    # The steps

    def _prepare(self) -> None:
        self.folder.open(self.task)
        point("attempt.opened")
        self._report_stage(Stage.PREPARING)
        prepare(self.context, self.job, self.folder, self._is_unwanted)
        point("attempt.prepared")
        self._report_stage(Stage.PREPARED)

    def _start_process(self) -> None:
        prepared = self.folder.read_prepared()
        assert prepared is not None  # or the step would be another
        self.folder.write_start(done=False)
        point("attempt.starting")
        self.context.executor.start(run_spec(self.context, self.job, self.name, self.folder, prepared))
        point("attempt.started")
        self._report_stage(Stage.EXECUTING)
        self.folder.write_start(done=True)

    def _wait(self) -> None:
        if self.folder.read_start() is not StartState.DONE:
            with _disk_may_be_full(f"{self.task.id}: that it was started"):
                self.folder.write_start(done=True)
        self._meter.watch(self.name, self.folder)
        remaining = self._seconds_left()
        if remaining is not None and remaining <= 0:
            self._timed_out = True
            with _disk_may_be_full(f"{self.task.id}: that its time is over"):
                self.folder.time_out()
            return
        timeout = WAIT_SECONDS if remaining is None else min(WAIT_SECONDS, remaining)
        ended = self.context.executor.wait([self.name], timeout, self._bell.fd)
        if ended:
            point("attempt.ended")
            self._report_stage(Stage.EXECUTED)
        self._bell.hear()

    def _seconds_left(self) -> float | None:
        """Until the time limit; None without one. Never a long time while nobody knows yet when the process began."""
        limit = self._timeout()
        if limit is None:
            return None
        if self._inspection.started_at is None:
            return LOOK_AGAIN_SECONDS
        return limit - (datetime.now(UTC) - self._inspection.started_at).total_seconds()

    def _is_timed_out(self) -> bool:
        return self._timed_out or self.folder.is_timed_out()

    def _timeout(self) -> float | None:
        return self.task.carrel.timeout_seconds if self.task.carrel else None

    def _finaliser(self, is_unwanted: Callable[[], bool] = lambda: False) -> Finaliser:
        return Finaliser(
            context=self.context,
            job=self.job,
            task_id=self.task.id,
            name=self.name,
            folder=self.folder,
            is_current=lambda: not self.superseded,
            may_publish=self._may_publish,
            metrics=self._meter.final(self.folder, self._inspection),
            is_unwanted=is_unwanted,
        )

    def _may_publish(self) -> bool:
        """Ask for the controller's word for this attempt, and wait for it: for as long as the controller is away.

        False when the attempt is to end otherwise: cancelled, given up, or with this agent.
        """
        while not self._is_unwanted():
            update = self._update(self.task, Stage.FINALIZING, publish=True)
            status = self._deliver(update, unless=self._is_unwanted)
            if status == 200:
                break
            if status not in (None, 500):  # the list that is on its way says why
                logger.info("%s: the controller does not let it publish", self.task.id)
            if status is not None:
                self._bell.wait(PAUSES[1])
        return not self._is_unwanted()

    def _is_unwanted(self) -> bool:
        return self._stopping or self.superseded or self._cancellation() is not None

    def _finalise(self) -> None:
        self._report_stage(Stage.FINALIZING)
        cancelled = self._cancellation() is not None
        timeout = self._timeout() if self._is_timed_out() else None
        finaliser = self._finaliser() if cancelled else self._finaliser(self._is_unwanted)
        self._publication = finaliser.finish(self._inspection, cancelled=cancelled, timeout=timeout)
        point("attempt.finalised")

    def _fail(self, error: Exception, step: Step) -> None:
        """Record what went wrong: a word, the stage and a number for the controller, the text for people."""
        if settle(self.task.id, self.context.storage.roots):
            return
        stage = _STAGES.get(step, Stage.EXECUTING)
        action = error.action if isinstance(error, errors.InputMissing | errors.InputReplaced) else None
        fault = results.error_of(errors.kind_of(error), str(stage), results.new_reference(), action)
        for_people = not is_infrastructure(errors.kind_of(error))
        log = logger.warning if for_people else logger.error
        log("%s: %s while %s, reference %s", self.task.id, fault["type"], stage, fault["reference"], exc_info=error)
        message = str(error) if for_people else "Job errored"
        self._record_failure(fault, message, for_people)

    def _record_failure(self, fault: Mapping[str, Any], message: str, for_people: bool) -> None:
        try:
            self._publication = self._finaliser().fail(self._inspection, fault, message, to_workspace=for_people)
        except Superseded:
            raise
        except Exception:
            logger.exception("%s: not even its failure could be recorded", self.task.id)
            facts = metadata.AttemptFacts(task_id=self.task.id, inspection=self._inspection, error=fault)
            self._unwritten = metadata.metadata_of(self.job, facts)

    def _clean(self) -> None:
        if self._publication:
            self._publication.finish()
            self._publication = None
        point("attempt.cleaning")
        self.context.executor.remove(self.name)
        self._meter.forget(self.name)
        point("attempt.removed")
        self.folder.remove()

    # Reports

    def _report_stage(self, stage: Stage) -> None:
        if self._cancellation() is None:
            self._reporter.add(self._update(self.task, stage))

    def _report_outcome(self) -> None:
        record = self.read_record()
        assert record is not None  # or the step would be another
        point("attempt.reporting")
        task = self._reported_task()
        update = self._update(task, Stage.ERROR if record.get("error") else Stage.FINALIZED, record)
        status = self._deliver(
            update, unless=lambda: self._stopping or self.superseded or task != self._reported_task()
        )
        if status == 500:
            logger.warning("%s: the controller could not take the final report; trying again", self.task.id)
            self._bell.wait(PAUSES[1])
        elif status is not None:
            # The controller knows of `task`, and of no other: that it is to be cancelled may have come meanwhile.
            self._reported = task.id
            self.settled.add(task.id)
        if status is not None or self.superseded:  # the controller may drop the task before its answer is here
            point("attempt.reported")

    def _reported_task(self) -> Task:
        """The task whose final report the controller waits for."""
        return self._cancellation() or self.task

    def _deliver(self, update: TaskUpdate, unless: Callable[[], bool]) -> int | None:
        """Send the update and wait for the HTTP status of its answer; None when `unless()` became true first."""
        statuses: list[int] = []

        def on_answer(status: int) -> None:
            statuses.append(status)
            self.wake()

        self._reporter.add(update, on_answer)
        while not statuses and not unless():
            self._bell.wait(None)
        return statuses[0] if statuses else None

    def _update(
        self, task: Task, stage: Stage, record: Mapping[str, Any] | None = None, *, publish: bool = False
    ) -> TaskUpdate:
        final = None
        if record is not None:
            contract = self._contract_only()
            final = results.results_of(record, contract=contract).model_dump(mode="json")
        return TaskUpdate(
            task_id=task.id,
            stage=str(stage),
            results=final,
            complete=record is not None,
            timestamp_ns=record["timestamp_ns"] if record else time.time_ns(),
            attempt_token=attempt_token(task),
            publish=publish,
        )


@contextlib.contextmanager
def _disk_may_be_full(what: str) -> Iterator[None]:
    """A job that has filled the disk must still be one that can be stopped."""
    try:
        yield
    except OSError as error:
        logger.warning("%s cannot be written: %s", what, error.strerror)
