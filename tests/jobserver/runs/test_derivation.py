"""The status of a request from its jobs, by the contract's rules; which reports are too late."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from carrel.jobserver.models.runs import RequestStatus
from carrel.jobserver.runs.derivation import FINAL_REQUEST_STATUSES, derived_status, is_superseded

STORED = st.sampled_from([status.value for status in RequestStatus])
ACTIVE = st.sampled_from([status.value for status in RequestStatus if status.value not in FINAL_REQUEST_STATUSES])
JOB = st.sampled_from(["pending", "running", "succeeded", "failed"])
JOBS = st.lists(st.one_of(JOB, JOB.map(str.upper), st.just("odd")), max_size=8)
TIMES = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1)))


def slow_and_obvious(stored: str, jobs: list[str]) -> str:
    """The seven rules as the contract lists them, one after another."""
    if stored in ("succeeded", "failed", "nothing_to_do"):
        return stored
    lowered = [job.lower() for job in jobs]
    if len(lowered) == 0:
        return stored
    if all(job == lowered[0] for job in lowered):
        return lowered[0] if lowered[0] in ("pending", "running", "succeeded", "failed") else "unknown"
    if any(job == "running" for job in lowered):
        return "running"
    if any(job == "pending" for job in lowered):
        return "running"
    if any(job == "failed" for job in lowered):
        return "failed"
    return "unknown"


@given(STORED, JOBS)
def test_by_the_contracts_rules(stored: str, jobs: list[str]) -> None:
    assert derived_status(stored, jobs) == slow_and_obvious(stored, jobs)


@given(ACTIVE, st.lists(JOB, min_size=1, max_size=8))
def test_it_has_ended_when_every_job_has(stored: str, jobs: list[str]) -> None:
    has_ended = derived_status(stored, jobs) in FINAL_REQUEST_STATUSES
    assert has_ended == ({"pending", "running"}.isdisjoint(jobs))


@given(STORED, JOBS)
def test_order_and_repetition_do_not_matter(stored: str, jobs: list[str]) -> None:
    once = derived_status(stored, jobs)
    assert derived_status(stored, jobs[::-1] + jobs) == once
    assert derived_status(once, jobs) in (once, derived_status(once, jobs))


@given(JOB, TIMES, JOB, TIMES)
def test_never_backwards(before: str, before_at: datetime | None, status: str, at: datetime | None) -> None:
    now = datetime(2026, 5, 3, tzinfo=UTC)
    superseded = is_superseded(before, before_at, status, at, now)
    ended, ends = (some in ("succeeded", "failed") for some in (before, status))
    if ended and not ends:
        assert superseded
    elif ends and not ended:
        assert not superseded, "an end that is not believed leaves a job running for ever"
    elif before_at and at and before_at <= now:
        assert superseded == (at < before_at)
    else:
        assert not superseded
