"""`schedule()`: what to do now with the active jobs of one backend (spec: controller.md part 1 and section 3.2).

Pure: the caller reads the rows, applies the decisions through its one write door, and calls again at the next event or
at `next_wakeup()`.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import heapify, heappop, heapreplace
from operator import attrgetter

from carrel.jobs.decisions import Decision, Effect, fault_decision, retry_decision
from carrel.jobs.models import ActiveJob, Capacity, SchedulerInput
from carrel.jobs.outcomes import Outcome, results_to_outcome
from carrel.jobs.retries import in_words
from carrel.jobs.statuses import RUNNING_CODES, STATUSES, State, StatusCode, can_transition, is_final, state_of
from carrel.jobs.transitions import HEARTBEAT_AFTER

DB_MAINTENANCE = "db-maintenance"
HEAVY = " for resource intensive job"
BEHIND_HEAVY = ", behind a resource intensive job"

TOO_LATE = ". It was asked to be cancelled when its outputs were being published already, so it ends as it is"

_ROUNDING = 1e-9
"""Weights are decimal fractions: ten times 0.1 must fit in 1."""

READERS = "Waiting until jobs of another request have read the outputs that this one will replace"

_STAGES = {code.value: code for code in RUNNING_CODES - {StatusCode.INITIATED}}

_HAVE_READ = frozenset({"prepared", "executing", "executed", "finalizing", "finalized"})
"""Stages of an agent at which an attempt has its inputs."""

__all__ = ["Decision", "Effect", "fault_decision", "has_read", "next_wakeup", "schedule"]


def has_read(job: ActiveJob) -> bool:
    """Whether the job's running attempt has all that it reads."""
    return job.state is State.RUNNING and (job.agent_complete or job.agent_stage in _HAVE_READ)


def schedule(inp: SchedulerInput, now: datetime) -> list[Decision]:
    """At most one decision per job, only for jobs that something changes for (or whose `updated_at` is 60 s old).

    Decisions are in the order in which the jobs were handled; apply them in that order. An exception about one job
    becomes that job's decision, and never stops the others.
    """
    return _Pass(inp, now).run()


def next_wakeup(inp: SchedulerInput, now: datetime) -> datetime | None:
    """When time alone makes something due (a retry's pause over, a timeout, a lease's end); None: nothing does.

    A job of which this cannot be said has none: `schedule()` makes that the job's own fault.
    """
    due: list[datetime] = []
    for job in inp.jobs:
        with contextlib.suppress(Exception):
            due += [at for at in _due_times(job) if at > now]
    return min(due, default=None)


def _due_times(job: ActiveJob) -> Iterator[datetime]:
    if job.not_before:
        yield job.not_before
    if job.state is State.RUNNING:
        if job.lease_expires_at:
            yield job.lease_expires_at
        if (ends := _time_is_up_at(job)) is not None:
            yield ends


def _time_is_up_at(job: ActiveJob) -> datetime | None:
    if job.started_at is None or job.timeout_seconds is None:
        return None
    try:
        return job.started_at + timedelta(seconds=job.timeout_seconds)
    except OverflowError:  # later than any date: never
        return None


class _Pools:
    """Room taken and kept in the two pools of one backend, while a pass goes on."""

    __slots__ = ("blocked_by", "capacity", "usage")

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.usage = {False: 0.0, True: 0.0}
        self.blocked_by: dict[bool, float] = {}
        """By pool, the weight of the job at the head of the line that did not fit: nothing behind it may start."""

    def take(self, job: ActiveJob) -> None:
        # A weight that is no number is that job's own trouble; if it runs all the same, it takes the room of one.
        self.usage[job.requires_db] += job.weight if isinstance(job.weight, (int, float)) else 1.0

    def refuse(self, job: ActiveJob) -> tuple[StatusCode, str] | None:
        """Why the job cannot start now, or None when there is room. The first one refused keeps the room for itself."""
        pool = job.requires_db
        limit = self.capacity.limit(pool)
        code = StatusCode.WAITING_ON_DB_WORKERS if pool else StatusCode.WAITING_ON_WORKERS
        words = STATUSES[code].message + (HEAVY if job.weight > 1 and not pool else "")
        if job.weight > limit:
            # The pool shrank after the job was planned. It must not keep a place that it can never take.
            return code, f"{words}: it takes {job.weight:g}, this backend now has {limit:g}"
        if pool in self.blocked_by:
            return code, words + (BEHIND_HEAVY if self.blocked_by[pool] > 1 else "")
        if self.usage[pool] + job.weight > limit + _ROUNDING:
            self.blocked_by[pool] = job.weight
            return code, words
        return None


class _Pass:
    """One pass over the active jobs of one backend."""

    def __init__(self, inp: SchedulerInput, now: datetime) -> None:
        self.inp = inp
        self.now = now
        self.heartbeat_due = now - HEARTBEAT_AFTER
        self.maintenance = inp.flags.mode == DB_MAINTENANCE
        self.pools = _Pools(inp.capacity)
        self.running_in: Counter[str] = Counter()
        self.states: dict[str, State] = {**inp.dependency_states, **{job.id: job.state for job in inp.jobs}}
        self.decisions: dict[str, Decision] = {}
        self.waiting: list[ActiveJob] = []
        """Jobs found waiting on dependencies in this pass."""
        self.failed: list[str] = []
        self.readers: dict[tuple[str, str], list[ActiveJob]] = defaultdict(list)
        """By workspace and action, the jobs that have yet to read outputs of it."""
        for job in inp.jobs:
            if job.reads and not has_read(job):
                for action in job.reads:
                    self.readers[job.workspace, action].append(job)

    def run(self) -> list[Decision]:
        in_order = sorted(self.inp.jobs, key=attrgetter("created_at"))
        in_order.sort(key=attrgetter("requires_db"), reverse=True)
        for state in (State.RUNNING, State.PENDING):
            for job in self._in_turn([job for job in in_order if job.state is state]):
                self._handle(job)
        self._fail_dependants()
        return list(self.decisions.values())

    def _in_turn(self, in_order: list[ActiveJob]) -> Iterator[ActiveJob]:
        """The jobs by (number running in the workspace, position in `in_order`), that number being of the moment.

        Only a workspace's own jobs change its number, so a heap of the workspaces' first jobs is enough.
        """
        queues: dict[str, list[int]] = defaultdict(list)
        for position in range(len(in_order) - 1, -1, -1):  # backwards, so that a queue's first job is its list's last
            queues[in_order[position].workspace].append(position)
        running = self.running_in
        heads = [(running[name], queue[-1], name) for name, queue in queues.items()]
        heapify(heads)
        while heads:
            name = heads[0][2]
            queue = queues[name]
            yield in_order[queue.pop()]
            if queue:
                heapreplace(heads, (running[name], queue[-1], name))
            else:
                heappop(heads)

    def _handle(self, job: ActiveJob) -> None:
        try:
            if job.cancelled and not job.may_publish:
                decision: Decision | None = _to(job, StatusCode.CANCELLED_BY_USER, effect=Effect.STOP)
            else:
                decision = self._decide_pending(job) if job.state is State.PENDING else self._decide_running(job)
        except Exception as fault:  # one job's trouble must not stop the others
            decision = fault_decision(job, fault, self.now, self.inp.retries)
        state = job.state if decision is None else state_of(decision.status_code)
        if state is State.RUNNING:
            self.running_in[job.workspace] += 1
            self.pools.take(job)
        if decision is not None:
            self._record(job, decision, state)

    def _record(self, job: ActiveJob, decision: Decision, state: State) -> None:
        self.decisions[job.id] = decision
        self.states[job.id] = state
        if state is State.FAILED:
            self.failed.append(job.id)

    def _decide_pending(self, job: ActiveJob) -> Decision | None:
        if self.inp.flags.paused:
            keeps = job.status_code is StatusCode.WAITING_ON_REBOOT
            return self._stay(job) if keeps else self._wait(job, StatusCode.WAITING_PAUSED)
        if self.maintenance and job.requires_db:
            return self._wait(job, StatusCode.WAITING_DB_MAINTENANCE)
        if job.not_before is not None and job.not_before > self.now:
            return self._wait_for_retry(job)
        if job.wait_for and (code := self._dependencies(job)) is not None:
            return self._wait(job, code)
        if self._would_replace_what_others_read(job):
            return self._wait(job, StatusCode.WAITING_ON_DEPENDENCIES, READERS)
        refusal = self.pools.refuse(job)
        if refusal is not None:
            return self._wait(job, *refusal)
        return _to(job, StatusCode.INITIATED, effect=Effect.START)

    def _dependencies(self, job: ActiveJob) -> StatusCode | None:
        states = [self.states[job_id] for job_id in job.wait_for if job_id in self.states]
        if State.FAILED in states:
            return StatusCode.DEPENDENCY_FAILED
        if all(state is State.SUCCEEDED for state in states):
            return None
        self.waiting.append(job)
        return StatusCode.WAITING_ON_DEPENDENCIES

    def _would_replace_what_others_read(self, job: ActiveJob) -> bool:
        """Whether a job that is active reads outputs of an earlier job of the same action, and has not yet.

        No circle can come of it: whoever planned later reads this job's outputs, so those that read earlier ones were
        planned before it, and wait for nothing that was planned after them.
        """
        return any(
            reader.reads[job.action] != job.id and self.states[reader.id] in (State.PENDING, State.RUNNING)
            for reader in self.readers.get((job.workspace, job.action), ())
        )

    def _wait_for_retry(self, job: ActiveJob) -> Decision | None:
        if job.status_code is StatusCode.WAITING_ON_NEW_TASK:
            return self._stay(job)
        attempt = f"attempt {job.failed_attempts + 1} of {self.inp.retries.attempts}"
        words = f"Waiting for {attempt}, which starts at {job.not_before:%H:%M:%S} UTC"
        return self._wait(job, StatusCode.WAITING_ON_NEW_TASK, words)

    def _decide_running(self, job: ActiveJob) -> Decision | None:
        if job.not_before is not None and job.not_before > self.now:
            return self._stay(job)  # looking at it raised: see fault_decision
        outcome = None
        if job.agent_complete:
            outcome = results_to_outcome(job.agent_results, requires_db=job.requires_db)
        if job.may_publish and outcome is None:
            return self._mirror(job)
        if job.cancelled and (outcome is None or not is_final(outcome.code)):
            return _to(job, StatusCode.CANCELLED_BY_USER, effect=Effect.STOP)
        # A job that has succeeded is not thrown away because maintenance began in the meantime.
        succeeded = outcome is not None and outcome.code is StatusCode.SUCCEEDED
        if self.maintenance and job.requires_db and not (succeeded or job.cancelled):
            return _to(job, StatusCode.WAITING_DB_MAINTENANCE, effect=Effect.STOP)
        if outcome is not None:
            return self._finish(job, outcome)
        ends = _time_is_up_at(job)
        if ends is not None and ends <= self.now:
            return _to(job, StatusCode.TIMED_OUT, _timeout_words(job), effect=Effect.STOP)
        return self._mirror(job)

    def _finish(self, job: ActiveJob, outcome: Outcome) -> Decision:
        if outcome.code is StatusCode.WAITING_ON_NEW_TASK:
            return retry_decision(job, outcome.fault, outcome.reference, self.now, self.inp.retries)
        if outcome.code is StatusCode.WAITING_ON_REBOOT and job.attempts >= self.inp.retries.reboots:
            words = f"The backend's server restarted during each of {job.attempts} attempts at this job."
            return _to(job, StatusCode.JOB_ERROR, words, at_ns=job.agent_timestamp_ns)
        return Decision(
            job_id=job.id,
            status_code=outcome.code,
            message=_timeout_words(job) if outcome.code is StatusCode.TIMED_OUT else outcome.message,
            at_ns=job.agent_timestamp_ns,
            missing_inputs_of=outcome.missing_inputs_of,
            reference=outcome.reference,
            too_late_to_cancel=job.cancelled,
        )

    def _mirror(self, job: ActiveJob) -> Decision | None:
        """Say what the agent says. A stage that is unknown, or behind what was said before, changes nothing."""
        code = _STAGES.get(job.agent_stage or "", job.status_code)
        if not can_transition(job.status_code, code):
            code = job.status_code
        message = STATUSES[code].message + (TOO_LATE if job.cancelled else "")
        if job.lease_expires_at is not None and job.lease_expires_at < self.now:
            message = (
                f"No word from the backend's agent, which was due by {job.lease_expires_at:%H:%M} UTC on "
                f"{job.lease_expires_at.day} {job.lease_expires_at:%B}. The job may still be running: "
                "the backend is asked before anything is started again."
            )
        return self._wait(job, code, message, at_ns=job.agent_timestamp_ns)

    def _wait(
        self, job: ActiveJob, code: StatusCode, message: str | None = None, at_ns: int | None = None
    ) -> Decision | None:
        """A decision for this code and message; None when the job has them already and its heartbeat is not due."""
        message = STATUSES[code].message if message is None else message
        if code is job.status_code and message == job.status_message:
            return self._stay(job)
        return _to(job, code, message, at_ns=at_ns, not_before=self._later(job.not_before))

    def _stay(self, job: ActiveJob) -> Decision | None:
        if job.updated_at is None or job.updated_at > self.heartbeat_due:
            return None
        return _to(job, job.status_code, job.status_message, not_before=self._later(job.not_before))

    def _later(self, at: datetime | None) -> datetime | None:
        return at if at is not None and at > self.now else None

    def _fail_dependants(self) -> None:
        """Jobs that were handled before what they wait for failed, later in this pass, fail in it too."""
        if not (self.failed and self.waiting):
            return
        dependants = defaultdict(list)
        for job in self.waiting:
            for needed in job.wait_for:
                dependants[needed].append(job)
        for failed in self.failed:  # grows on the way
            for job in dependants.pop(failed, ()):
                if self.states[job.id] is State.PENDING:
                    self.decisions.pop(job.id, None)
                    self._record(job, _to(job, StatusCode.DEPENDENCY_FAILED), State.FAILED)


def _to(
    job: ActiveJob,
    code: StatusCode,
    message: str | None = None,
    *,
    effect: Effect = Effect.NONE,
    at_ns: int | None = None,
    not_before: datetime | None = None,
) -> Decision:
    words = STATUSES[code].message if message is None else message
    return Decision(job_id=job.id, status_code=code, message=words, effect=effect, at_ns=at_ns, not_before=not_before)


def _timeout_words(job: ActiveJob) -> str:
    if job.timeout_seconds is None:
        return STATUSES[StatusCode.TIMED_OUT].message
    limit = in_words(timedelta(seconds=job.timeout_seconds))
    return f"Job ran longer than its time limit of {limit} and was stopped"
