from datetime import timedelta

import pytest
from hypothesis import given as cases
from hypothesis import strategies as st
from tests.jobs.examples import NOW, PATIENT, ago, later, status

from carrel.jobs.statuses import (
    FINAL_CODES,
    PENDING_CODES,
    RESET_CODES,
    RUNNING_CODES,
    State,
    StatusCode,
    can_transition,
    state_of,
)
from carrel.jobs.transitions import Change, InvalidTransition, transition

S = StatusCode
MS = timedelta(milliseconds=1)


def ns(when):
    return int(when.timestamp()) * 1_000_000_000 + when.microsecond * 1000


def test_a_change_of_code_writes_everything_and_an_event():
    result = transition(status(S.CREATED), S.INITIATED, "Job executing on the backend", now=NOW)
    assert result.change is Change.CODE
    assert (result.status.state, result.status.status_code) == (State.RUNNING, S.INITIATED)
    assert result.status.status_message == "Job executing on the backend"
    assert result.status.status_code_updated_at == result.status.updated_at == result.status.started_at == NOW
    assert result.status.completed_at is None
    event = result.event
    assert (event.from_code, event.to_code, event.from_state, event.to_state) == (
        S.CREATED,
        S.INITIATED,
        State.PENDING,
        State.RUNNING,
    )
    assert (event.message, event.at, event.previous_at) == ("Job executing on the backend", NOW, ago(10))
    assert event.clamped_seconds == 0


def test_the_agents_time_is_taken():
    result = transition(status(S.PREPARING), S.EXECUTING, "", ns(ago(4)), now=NOW)
    assert result.status.status_code_updated_at == result.event.at == ago(4)
    assert result.status.updated_at == NOW


def test_a_time_before_the_previous_change_becomes_a_millisecond_after_it():
    result = transition(status(S.PREPARING), S.EXECUTING, "", ns(ago(60)), now=NOW)
    assert result.status.status_code_updated_at == ago(10) + MS
    assert result.event.clamped_seconds == pytest.approx(50.001)


def test_the_same_time_as_the_previous_change_is_taken_as_it_is():
    result = transition(status(S.PREPARING), S.EXECUTING, "", ns(ago(10)), now=NOW)
    assert result.status.status_code_updated_at == ago(10)


def test_our_own_clock_stepping_back_is_clamped_too():
    result = transition(status(S.CREATED), S.INITIATED, "", now=ago(30))
    assert result.status.status_code_updated_at == ago(10) + MS


@pytest.mark.parametrize("at_ns", [ns(later(3600)), 10**30])
def test_a_time_in_the_future_or_out_of_reason_becomes_now(at_ns):
    assert transition(status(S.PREPARING), S.EXECUTING, "", at_ns, now=NOW).status.status_code_updated_at == NOW


def test_started_at_is_set_once():
    job = status(S.PREPARING, started_at=ago(50))
    assert transition(job, S.EXECUTING, "", now=NOW).status.started_at == ago(50)


@pytest.mark.parametrize("code", sorted(RESET_CODES))
def test_a_reset_forgets_when_the_job_started(code):
    result = transition(status(S.EXECUTING), code, "", now=NOW)
    assert result.status.state is State.PENDING
    assert result.status.started_at is None
    again = transition(result.status, S.INITIATED, "", now=later(5))
    assert again.status.started_at == later(5)


@pytest.mark.parametrize("code", sorted(FINAL_CODES - {S.STALE_CODELISTS}))
def test_a_final_code_completes_the_job(code):
    result = transition(status(S.FINALIZED), code, "", ns(ago(2)), now=NOW)
    assert result.status.completed_at == ago(2)
    assert result.status.state is (State.SUCCEEDED if code is S.SUCCEEDED else State.FAILED)
    assert result.status.started_at == ago(20)


def test_a_cancel_that_wrote_completed_at_keeps_it():
    result = transition(status(S.EXECUTING, completed_at=ago(3)), S.CANCELLED_BY_USER, "", now=NOW)
    assert result.status.completed_at == ago(3)


def test_a_message_alone_is_kept_and_told_as_an_event():
    result = transition(status(S.EXECUTING), S.EXECUTING, "No word from the agent", now=NOW)
    assert result.change is Change.MESSAGE
    assert result.status.status_message == "No word from the agent"
    assert result.status.status_code_updated_at == ago(10)
    assert result.status.updated_at == NOW
    assert (result.event.from_code, result.event.to_code, result.event.at) == (S.EXECUTING, S.EXECUTING, NOW)


@pytest.mark.parametrize(
    ("age", "change"), [(0, Change.NONE), (59.9, Change.NONE), (60, Change.HEARTBEAT), (600, Change.HEARTBEAT)]
)
def test_an_unchanged_job_is_written_once_a_minute(age, change):
    job = status(S.EXECUTING, updated_at=ago(age))
    result = transition(job, job.status_code, job.status_message, now=NOW)
    assert result.change is change
    assert result.event is None
    assert result.status.updated_at == (NOW if change is Change.HEARTBEAT else ago(age))


@pytest.mark.parametrize("code", sorted(FINAL_CODES))
def test_a_finished_job_changes_in_no_way(code):
    job = status(code, updated_at=ago(1000))
    assert transition(job, code, job.status_message, now=NOW).change is Change.NONE
    with pytest.raises(InvalidTransition, match="finished"):
        transition(job, code, "another message", now=NOW)
    for other in set(StatusCode) - {code}:
        with pytest.raises(InvalidTransition, match="cannot go from"):
            transition(job, other, "", now=NOW)


@PATIENT
@cases(st.sampled_from(StatusCode), st.sampled_from(StatusCode))
def test_what_the_table_forbids_is_refused(start, target):
    if start is target or can_transition(start, target):
        assert transition(status(start), target, status(target).status_message, now=NOW).status.status_code is target
    else:
        with pytest.raises(InvalidTransition):
            transition(status(start), target, "", now=NOW)


@PATIENT
@cases(st.data())
def test_on_any_walk_times_only_grow_and_the_columns_agree(data):
    job = status(S.CREATED, status_code_updated_at=NOW, updated_at=NOW)
    now = NOW
    for _ in range(12):
        now += timedelta(seconds=data.draw(st.floats(-5, 100)))
        code = data.draw(
            st.sampled_from([job.status_code, *(c for c in StatusCode if can_transition(job.status_code, c))])
        )
        at_ns = data.draw(st.none() | st.integers(ns(ago(1000)), ns(later(1000))))
        result = transition(job, code, job.status_message, at_ns, now=now)
        new = result.status
        assert new.status_code_updated_at >= job.status_code_updated_at
        assert new.state is state_of(new.status_code)
        assert (new.completed_at is not None) == (new.status_code in FINAL_CODES)
        if new.status_code in RUNNING_CODES:
            assert new.started_at is not None
        if new.status_code in PENDING_CODES:
            assert new.started_at is None
        job = new
