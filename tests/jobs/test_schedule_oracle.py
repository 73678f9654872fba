"""`schedule()` against the contract's loop written naively, and what must hold of any pass and of any run of passes."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st
from tests.jobs.examples import MAINTENANCE, NOW, PATIENT, active, ago, given, later

from carrel.jobs.models import ActiveJob, BackendFlags, Capacity, SchedulerInput
from carrel.jobs.outcomes import results_to_outcome
from carrel.jobs.schedule import Effect, schedule
from carrel.jobs.statuses import FINAL_CODES, PENDING_CODES, RUNNING_CODES, STATUSES, State, StatusCode, state_of
from carrel.jobs.transitions import JobStatus, transition

S = StatusCode
RESULTS = [
    {"exit_code": "0", "error": False},
    {"exit_code": "1", "error": False},
    {"exit_code": "0", "error": False, "has_unmatched_patterns": True},
    {"exit_code": None, "error": {"type": "disk_full"}},
    {"exit_code": None, "error": {"type": "lost"}},
    {"exit_code": None, "error": {"type": "input_missing", "action": "a"}},
    None,
]


# --- the oracle: controller.md 3.2, one job at a time, everything sorted anew each time ---


def oracle(inp: SchedulerInput):
    """{job id: code after the pass} and the ids started, in order."""
    states = {**inp.dependency_states, **{job.id: job.state for job in inp.jobs}}
    after, started = {}, []
    running = Counter()
    usage = {True: 0.0, False: 0.0}
    closed = {True: False, False: False}
    remaining = list(inp.jobs)
    # Where the rule says nothing (made at the same moment), the order given counts: a sort that is only stable would
    # keep whatever order earlier counts had left.
    given_at = {job.id: place for place, job in enumerate(inp.jobs)}
    while remaining:
        remaining.sort(
            key=lambda job: (
                job.state is not State.RUNNING,
                running[job.workspace],
                not job.requires_db,
                job.created_at,
                given_at[job.id],
            )
        )
        job = remaining.pop(0)
        code = handle(inp, job, states, usage, closed)
        after[job.id] = code
        states[job.id] = state_of(code)
        if code is S.INITIATED and job.state is State.PENDING:
            started.append(job.id)
        if state_of(code) is State.RUNNING:
            running[job.workspace] += 1
            usage[job.requires_db] += job.weight
    while True:
        doomed = [
            job.id
            for job in inp.jobs
            if after[job.id] is S.WAITING_ON_DEPENDENCIES and any(states.get(d) is State.FAILED for d in job.wait_for)
        ]
        if not doomed:
            return after, started
        for name in doomed:
            after[name], states[name] = S.DEPENDENCY_FAILED, State.FAILED


def handle(inp, job, states, usage, closed):
    maintained = inp.flags.mode == MAINTENANCE and job.requires_db
    if job.cancelled:
        return S.CANCELLED_BY_USER
    if job.state is State.PENDING:
        if inp.flags.paused:
            return job.status_code if job.status_code is S.WAITING_ON_REBOOT else S.WAITING_PAUSED
        if maintained:
            return S.WAITING_DB_MAINTENANCE
        if job.not_before and job.not_before > NOW:
            return S.WAITING_ON_NEW_TASK
        needed = [states[each] for each in job.wait_for if each in states]
        if any(state is State.FAILED for state in needed):
            return S.DEPENDENCY_FAILED
        if any(state is not State.SUCCEEDED for state in needed):
            return S.WAITING_ON_DEPENDENCIES
        return room(inp, job, usage, closed)
    outcome = results_to_outcome(job.agent_results, requires_db=job.requires_db) if job.agent_complete else None
    if maintained and not (outcome and outcome.code is S.SUCCEEDED):
        return S.WAITING_DB_MAINTENANCE
    if outcome is not None:
        last = outcome.code is S.WAITING_ON_NEW_TASK and job.failed_attempts >= 2
        return S.JOB_ERROR if last or (outcome.code is S.WAITING_ON_REBOOT and job.attempts >= 10) else outcome.code
    if job.timeout_seconds and (NOW - job.started_at).total_seconds() >= job.timeout_seconds:
        return S.TIMED_OUT
    order = ["initiated", "preparing", "prepared", "executing", "executed", "finalizing", "finalized"]
    stage = job.agent_stage
    if stage == "preparing" or (stage in order and order.index(stage) > order.index(job.status_code)):
        return StatusCode(stage)
    return job.status_code


def room(inp, job, usage, closed):
    limit = inp.capacity.max_db_workers if job.requires_db else inp.capacity.max_workers
    waits = S.WAITING_ON_DB_WORKERS if job.requires_db else S.WAITING_ON_WORKERS
    if job.weight > limit or closed[job.requires_db]:
        return waits
    if usage[job.requires_db] + job.weight > limit:
        closed[job.requires_db] = True
        return waits
    return S.INITIATED


@st.composite
def jobs(draw, name: str, others: list[str]) -> ActiveJob:
    code = draw(st.sampled_from(sorted(PENDING_CODES | RUNNING_CODES)))
    complete = code in RUNNING_CODES and draw(st.integers(0, 3)) == 0
    return active(
        name,
        code,
        workspace=draw(st.sampled_from("uvw")),
        created_at=ago(draw(st.integers(0, 5))),
        status_message=draw(st.sampled_from(["", STATUSES[code].message])),
        updated_at=ago(draw(st.sampled_from([1, 100]))),
        requires_db=draw(st.booleans()),
        weight=draw(st.sampled_from([1, 1, 1, 0.5, 2, 5])),
        wait_for=tuple(draw(st.lists(st.sampled_from([*others, "d1", "d2", "gone"]), max_size=2))),
        cancelled=draw(st.integers(0, 9)) == 0,
        attempts=draw(st.sampled_from([1, 3, 10])),
        failed_attempts=draw(st.integers(0, 2)),
        not_before=draw(st.sampled_from([None, None, ago(5), later(5)])) if code in PENDING_CODES else None,
        timeout_seconds=draw(st.sampled_from([None, 50, 500])),
        lease_expires_at=draw(st.sampled_from([None, ago(5), later(5)])),
        agent_stage=draw(st.sampled_from([None, "unknown", "error", *sorted(RUNNING_CODES)])),
        agent_complete=complete,
        agent_results=draw(st.sampled_from(RESULTS)) if complete else None,
    )


@st.composite
def inputs(draw) -> SchedulerInput:
    names = [f"j{i}" for i in range(draw(st.integers(0, 12)))]
    made = [draw(jobs(name, names[:i])) for i, name in enumerate(names)]
    return given(
        *draw(st.permutations(made)),
        dependency_states={"d1": draw(st.sampled_from(State)), "d2": State.SUCCEEDED},
        capacity=Capacity(draw(st.integers(0, 5)), draw(st.integers(0, 5))),
        flags=BackendFlags(paused=draw(st.integers(0, 5)) == 0, mode=draw(st.sampled_from(["", "", MAINTENANCE]))),
    )


@settings(PATIENT, max_examples=150)
@cases(inputs())
def test_against_the_naive_loop(inp):
    decisions = schedule(inp, NOW)
    decided = {each.job_id: each.status_code for each in decisions}
    assert len(decided) == len(decisions), "a job was decided about twice"
    expected, started = oracle(inp)
    assert {job.id: decided.get(job.id, job.status_code) for job in inp.jobs} == expected
    assert [each.job_id for each in decisions if each.effect is Effect.START] == started
    assert not any(each.fault for each in decisions)


def as_status(job: ActiveJob) -> JobStatus:
    return JobStatus(
        state=job.state,
        status_code=job.status_code,
        status_message=job.status_message,
        status_code_updated_at=job.created_at,
        updated_at=job.updated_at,
        started_at=job.started_at,
        completed_at=None,
    )


def apply(job: ActiveJob, decision, now) -> ActiveJob:
    """What a write door does with a decision."""
    new = transition(as_status(job), decision.status_code, decision.message, decision.at_ns, now=now).status
    starting = decision.effect is Effect.START
    return replace(
        job,
        state=new.state,
        status_code=new.status_code,
        status_message=new.status_message,
        updated_at=new.updated_at,
        started_at=new.started_at,
        not_before=decision.not_before,
        attempts=job.attempts + starting,
        failed_attempts=job.failed_attempts + decision.failed,
        **({"agent_complete": False, "agent_results": None, "agent_stage": None} if starting else {}),
    )


def passed(inp: SchedulerInput, now) -> SchedulerInput:
    """The input after one pass; jobs that ended stay, as the states of what others wait for."""
    by_id = {job.id: job for job in inp.jobs}
    for decision in schedule(inp, now):
        by_id[decision.job_id] = apply(by_id[decision.job_id], decision, now)
    return replace(inp, jobs=tuple(by_id.values()))


@settings(PATIENT, max_examples=50)
@cases(inputs())
def test_every_decision_is_one_that_the_table_allows_and_a_second_pass_changes_no_more_messages(inp):
    once = passed(inp, NOW)
    again = schedule(replace(once, jobs=tuple(j for j in once.jobs if j.status_code not in FINAL_CODES)), NOW)
    unchanged = {job.id for job in inp.jobs if job.state is State.PENDING} & {
        job.id for job in once.jobs if job.status_code in PENDING_CODES
    }
    still = [d for d in again if d.job_id in unchanged and d.effect is Effect.NONE]
    by_id = {job.id: job for job in once.jobs}
    assert [d for d in still if d.message == by_id[d.job_id].status_message] == []


@settings(PATIENT, max_examples=50)
@cases(inputs())
def test_room_is_never_exceeded_by_what_a_pass_starts(inp):
    after = passed(inp, NOW)
    before = {job.id: job for job in inp.jobs}
    for pool in (True, False):
        taken = sum(job.weight for job in after.jobs if job.state is State.RUNNING and job.requires_db is pool)
        started = [j for j in after.jobs if j.state is State.RUNNING and before[j.id].state is State.PENDING]
        if any(job.requires_db is pool for job in started):
            assert taken <= inp.capacity.limit(pool)


@settings(PATIENT, max_examples=60)
@cases(st.data())
def test_whole_lives(data):
    """From creation to the end: needs before what needs them, room respected, ends never left, everything ends."""
    names = [f"j{i}" for i in range(data.draw(st.integers(1, 10)))]
    flags = BackendFlags()
    world = given(
        *(
            active(
                name,
                workspace=data.draw(st.sampled_from("uv")),
                wait_for=tuple(data.draw(st.lists(st.sampled_from(names[:i]), max_size=3))) if i else (),
                weight=data.draw(st.sampled_from([1, 1, 2, 3])),
                requires_db=data.draw(st.booleans()),
                created_at=ago(100 - i),
            )
            for i, name in enumerate(names)
        ),
        capacity=Capacity(3, 3),
    )
    now, ended, by_id = NOW, {}, {}
    for step in range(400):
        flags = BackendFlags(
            paused=step < 40 and data.draw(st.integers(0, 9)) == 0,
            mode=MAINTENANCE if step < 40 and data.draw(st.integers(0, 9)) == 0 else "",
        )
        before = {job.id: job for job in world.jobs}
        world = passed(replace(world, flags=flags), now)
        by_id = {job.id: job for job in world.jobs}
        assert all(by_id[name].status_code is code for name, code in ended.items()), "an end was left"
        for job in world.jobs:
            if job.state is State.RUNNING and before[job.id].state is State.PENDING:
                assert all(by_id[each].state is State.SUCCEEDED for each in job.wait_for)
        for pool in (True, False):
            assert sum(j.weight for j in world.jobs if j.state is State.RUNNING and j.requires_db is pool) <= 3
        ended = {job.id: job.status_code for job in world.jobs if job.status_code in FINAL_CODES}
        if len(ended) == len(names):
            break
        now += timedelta(seconds=data.draw(st.sampled_from([1, 40])))
        world = replace(world, jobs=tuple(report(data, job) for job in world.jobs))
    assert len(ended) == len(names), "some job never ended"
    for job in world.jobs:
        if any(by_id[each].state is State.FAILED for each in job.wait_for):
            assert job.status_code is S.DEPENDENCY_FAILED


def report(data, job):
    """An agent that finishes what runs, now and then with a fault."""
    if job.state is not State.RUNNING or data.draw(st.booleans()):
        return job
    return replace(job, agent_complete=True, agent_results=data.draw(st.sampled_from([RESULTS[0], *RESULTS])))


@settings(PATIENT, max_examples=40)
@cases(st.integers(2, 4), st.booleans(), st.data())
def test_a_heavy_job_starts_though_small_ones_keep_coming(weight, same_workspace, data):
    heavy = active("heavy", weight=weight, workspace="w", created_at=ago(50))
    small = [active(f"s{i}", workspace="v", created_at=ago(40 - i)) for i in range(4)]
    world = given(*small, capacity=Capacity(4, 4))
    world = passed(world, NOW)
    world = replace(world, jobs=(*world.jobs, heavy))
    for step in range(30):
        now = NOW + timedelta(seconds=step)
        workspace = "w" if same_workspace else data.draw(st.sampled_from("vxyz"))
        arrives = active(f"n{step}", workspace=workspace, created_at=now)
        world = passed(replace(world, jobs=(*world.jobs, arrives)), now)
        if any(job.id == "heavy" and job.state is State.RUNNING for job in world.jobs):
            return
        first = next((job for job in world.jobs if job.state is State.RUNNING), None)
        world = replace(
            world,
            jobs=tuple(
                replace(j, agent_complete=True, agent_results=RESULTS[0]) if j is first else j for j in world.jobs
            ),
        )
    raise AssertionError("the heavy job starved")
