"""Requests that overlap: each job reads what the jobs it was planned with made, and nobody waits for ever."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.jobs.examples import NOW, active, running

from carrel.jobs.models import ActiveJob, Capacity, LatestJob, SchedulerInput
from carrel.jobs.plan import plan
from carrel.jobs.schedule import READERS, Effect, schedule
from carrel.jobs.statuses import State, StatusCode, state_of

OLD_READER = {"workspace": "w", "reads": {"make": "old"}, "action": "read"}


def _starts(*jobs: ActiveJob) -> set[str]:
    decisions = schedule(SchedulerInput(backend="b", jobs=jobs), NOW)
    return {decision.job_id for decision in decisions if decision.effect is Effect.START}


def _new(**changes) -> ActiveJob:
    return active("new", **{"workspace": "w", "action": "make", **changes})


def test_a_job_waits_until_its_actions_earlier_outputs_have_been_read():
    reader = active("reader", wait_for=("hold",), **OLD_READER)
    hold = running("hold", workspace="w", action="hold")
    [decision] = [
        d for d in schedule(SchedulerInput(backend="b", jobs=(reader, hold, _new())), NOW) if d.job_id == "new"
    ]
    assert (decision.status_code, decision.message) == (StatusCode.WAITING_ON_DEPENDENCIES, READERS)
    for stage in ("initiated", "preparing", None):
        assert "new" not in _starts(running("reader", agent_stage=stage, **OLD_READER), _new())
    for stage in ("prepared", "executing", "finalizing"):
        assert "new" in _starts(running("reader", agent_stage=stage, **OLD_READER), _new())


def test_it_does_not_wait_for_those_that_read_its_own_outputs_or_another_workspaces_or_have_ended():
    assert "new" in _starts(active("reader", wait_for=("new",), **{**OLD_READER, "reads": {"make": "new"}}), _new())
    assert "new" in _starts(active("reader", **{**OLD_READER, "workspace": "other"}), _new())
    assert "new" in _starts(active("reader", **{**OLD_READER, "reads": {"model": "old"}}), _new())
    assert "new" in _starts(active("reader", cancelled=True, **OLD_READER), _new())


@dataclass(frozen=True)
class _Action:
    needs: tuple[str, ...] = ()
    is_database_action: bool = False


@dataclass(frozen=True)
class _Pipeline:
    actions: dict[str, _Action]


PIPELINE = _Pipeline(
    {
        "make": _Action(),
        "hold": _Action(),
        "read": _Action(("make", "hold")),
        "model": _Action(("make",)),
        "report": _Action(("read", "model")),
    }
)


@dataclass
class _Backend:
    """A controller and an agent in memory. `present`: the job whose outputs of an action the workspace has."""

    jobs: dict[str, ActiveJob] = field(default_factory=dict)
    present: dict[str, str] = field(default_factory=dict)
    requests: int = 0

    def request(self, actions: list[str], force: bool) -> None:
        self.requests += 1
        latest = {job.action: _as_latest(job) for job in self.jobs.values() if not job.cancelled}
        planned = plan(actions, PIPELINE, latest, force)
        ids = {run.action: f"{self.requests}-{run.action}" for run in planned.runs}
        for run in planned.runs:
            self.jobs[ids[run.action]] = ActiveJob(
                id=ids[run.action],
                backend="b",
                workspace="w",
                action=run.action,
                state=State.PENDING,
                status_code=StatusCode.CREATED,
                created_at=NOW + timedelta(seconds=self.requests),
                wait_for=(*run.wait_for_jobs, *(ids[name] for name in run.wait_for_new)),
                reads={**dict(run.reads), **{name: ids[name] for name in run.wait_for_new}},
            )

    def schedule(self) -> None:
        jobs = tuple(job for job in self.jobs.values() if job.state in (State.PENDING, State.RUNNING))
        ended = {job.id: job.state for job in self.jobs.values() if job not in jobs}
        for decision in schedule(
            SchedulerInput(backend="b", jobs=jobs, dependency_states=ended, capacity=Capacity(2, 2)), NOW
        ):
            job = self.jobs[decision.job_id]
            code = decision.status_code
            self.jobs[job.id] = replace(job, status_code=code, state=state_of(code), updated_at=NOW)

    def step(self, job: ActiveJob) -> None:
        """The agent reads the job's inputs, or publishes what it made."""
        if job.agent_stage is None:
            assert {name: self.present.get(name) for name in job.reads} == dict(job.reads), job
            self.jobs[job.id] = replace(job, agent_stage="prepared", status_code=StatusCode.PREPARED)
        else:
            self.present[job.action] = job.id
            self.jobs[job.id] = replace(job, state=State.SUCCEEDED, status_code=StatusCode.SUCCEEDED)

    def running(self) -> list[ActiveJob]:
        return [job for job in self.jobs.values() if job.state is State.RUNNING]

    def active(self) -> list[ActiveJob]:
        return [job for job in self.jobs.values() if job.state in (State.PENDING, State.RUNNING)]


def _as_latest(job: ActiveJob) -> LatestJob:
    return LatestJob(
        id=job.id, action=job.action, state=job.state, status_code=job.status_code, created_at=job.created_at
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_overlaps_each_job_reads_what_it_was_planned_with_and_all_end(data):
    backend = _Backend()
    for _ in range(data.draw(st.integers(2, 30), label="events")):
        if data.draw(st.booleans(), label="request"):
            names = data.draw(st.lists(st.sampled_from(sorted(PIPELINE.actions)), min_size=1, max_size=2, unique=True))
            backend.request(names, data.draw(st.booleans(), label="force"))
        elif backend.active() and data.draw(st.integers(0, 9), label="cancel") == 0:
            job = data.draw(st.sampled_from(backend.active()))
            backend.jobs[job.id] = replace(job, cancelled=True)
        elif backend.running():
            backend.step(data.draw(st.sampled_from(backend.running())))
        backend.schedule()
    while backend.running():
        backend.step(backend.running()[-1])
        backend.schedule()
    assert backend.active() == []
