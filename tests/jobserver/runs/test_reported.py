"""Jobs as controllers report them: whatever they send can be stored, and what cannot is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.jobserver.runs.reported import ReportedJob, storable_text, utc_time

JOB = {
    "identifier": "a" * 16,
    "rap_id": "b" * 16,
    "backend": "north",
    "action": "extract",
    "run_command": "python:v2 extract.py",
    "status": "running",
    "status_code": "executing",
    "status_message": "Executing job on the backend",
    "created_at": "2026-05-03T09:00:00Z",
    "updated_at": "2026-05-03T09:00:20Z",
    "started_at": "2026-05-03T09:00:10Z",
    "completed_at": None,
    "trace_context": {"traceparent": "00-aa-bb-01"},
    "metrics": {"cpu_mean": 12.5, "container_id": "c1"},
    "requires_db": True,
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_a_job_of_the_rap_api() -> None:
    job = ReportedJob.from_rap(JOB)
    assert (job.request_identifier, job.backend, job.action, job.requires_db) == ("b" * 16, "north", "extract", True)
    assert job.metrics == {"cpu_mean": 12.5, "container_id": "c1"}
    assert job.started_at is not None
    assert job.started_at.isoformat() == "2026-05-03T09:00:10+00:00"
    assert job.completed_at is None


def test_a_code_that_nobody_knows_yet_is_read() -> None:
    assert ReportedJob.from_rap({**JOB, "status_code": "waiting_on_the_moon", "more": 1}).status_code


@pytest.mark.parametrize(
    "wrong",
    [
        {"identifier": ""},
        {"identifier": "../../etc"},
        {"identifier": "a" * 65},
        {"action": "x" * 300},
        {"status": "happy"},
        {"rap_id": None},
    ],
)
def test_what_cannot_be_a_job_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (pydantic's own, or ours)
        ReportedJob.from_rap({**JOB, **wrong})


@given(st.dictionaries(st.sampled_from(list(JOB)), ANYTHING, max_size=4))
def test_whatever_comes_is_a_job_within_bounds_or_a_value_error(wrong: dict[str, Any]) -> None:
    try:
        job = ReportedJob.from_rap({**JOB, **wrong})
    except ValueError:
        return
    for text in (job.action, job.run_command, job.status_code, job.status_message, *job.trace_context.values()):
        assert "\0" not in text
        text.encode()
    assert len(job.metrics) <= 50
    assert len(job.status_code) <= 40


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_text_is_cut_and_can_be_stored(text: str, limit: int) -> None:
    stored = storable_text(text, limit)
    stored.encode()
    assert len(stored) <= limit
    assert "\0" not in stored


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", "", "3000-01-01"]
)
def test_times_out_of_this_world_are_none(text: str) -> None:
    assert utc_time(text) is None
