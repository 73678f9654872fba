"""What is posted, as values: pseudo-jobs and batches."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.controller.link.payload import Parcel, batches, outcome_job, pseudo_job, refusal_code
from carrel.controller.models import Rap, RapOutcome
from carrel.jobs.identifiers import job_id
from carrel.messages.rap import RapStatusCode

AT = "2026-11-22T05:06:20Z"


def parcel(rap_id: str, size: int) -> Parcel:
    return Parcel(rap_id, (), size, b"")


@given(st.lists(st.integers(1, 50)), st.integers(1, 60))
def test_batches_hold_whole_requests_in_order_within_the_limit(sizes, limit):
    parcels = [parcel(str(number), size) for number, size in enumerate(sizes)]
    parts = list(batches(parcels, limit))
    assert [one for part in parts for one in part] == parcels
    for part in parts:
        assert len(part) == 1 or sum(one.size for one in part) <= limit
    for part, following in itertools.pairwise(parts):
        assert sum(one.size for one in part) + following[0].size > limit, "no batch is smaller than it need be"


@pytest.mark.parametrize(
    ("outcome", "details", "expected"),
    [
        (RapOutcome.NOTHING_TO_DO, "All actions have already completed successfully", ("succeeded", "succeeded")),
        (RapOutcome.ERROR, "Could not find branch 'x'", ("failed", "job_error")),
        (RapOutcome.ERROR, "Codelists are out of date (required by action a)", ("failed", "stale_codelists")),
        (RapOutcome.CREATED, "", None),
        (RapOutcome.PLANNING, "", None),
        ("unheard of", "", None),
        (None, "", None),
    ],
)
def test_what_a_request_without_jobs_is_told_as(outcome, details, expected):
    job = outcome_job(Rap(id="a" * 16, outcome=outcome, outcome_details=details), AT, AT)
    assert (job and (job.status, job.status_code)) == expected
    if job:
        assert (job.identifier, job.status_message) == (job_id("a" * 16, "__error__"), details)
        assert Parcel.of("a" * 16, [job]).is_last


def test_a_note_that_waits_is_not_the_last_word():
    waiting = pseudo_job("a" * 16, RapStatusCode.CREATED, "later", AT, None)
    assert (waiting.status, waiting.completed_at) == ("pending", None)
    assert not Parcel.of("a" * 16, [waiting]).is_last
    assert refusal_code("anything") is RapStatusCode.JOB_ERROR


def test_two_parcels_tell_the_same_exactly_when_their_jobs_do():
    job = pseudo_job("a" * 16, RapStatusCode.CREATED, "later", AT, None)
    other = pseudo_job("a" * 16, RapStatusCode.CREATED, "much later", AT, None)
    assert Parcel.of("a" * 16, [job]) == Parcel.of("a" * 16, [job])
    assert Parcel.of("a" * 16, [job]).digest != Parcel.of("a" * 16, [other]).digest
