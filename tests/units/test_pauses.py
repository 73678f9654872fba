"""How long each link rests after a fault: little at first, never longer than its bound, and not all at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.controller.link import exchange
from carrel.controller.service import links
from carrel.jobserver.runs import sending
from carrel.jobserver.service import leases
from carrel.units.pauses import JITTER, pause_before_retry

FIRSTS = st.floats(0.01, 60)


@given(st.integers(0, 10**9), FIRSTS, st.floats(60, 3600), st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_chance_takes_a_little_off(
    attempts: int, first: float, longest: float, chance: float
) -> None:
    whole = pause_before_retry(attempts, first, longest)
    assert first <= whole <= pause_before_retry(attempts + 1, first, longest) <= longest
    assert whole * (1 - JITTER) <= pause_before_retry(attempts, first, longest, chance) <= whole


@pytest.mark.parametrize(
    ("first", "longest"),
    [
        (sending.FIRST_PAUSE_SECONDS, sending.LONGEST_PAUSE_SECONDS),
        (exchange.FIRST_PAUSE, exchange.LONGEST_PAUSE),
    ],
)
def test_a_controller_that_was_started_again_is_heard_of_soon(first: float, longest: float) -> None:
    """A minute after a fault it has been tried six times at least, and it is never waited for longer than that."""
    moments = [0.0]
    while moments[-1] < 60:
        moments.append(moments[-1] + pause_before_retry(len(moments), first, longest))
    assert moments[1] <= 1
    assert len(moments) > 6
    assert longest <= 60


def test_who_was_killed_is_believed_in_for_seconds_only() -> None:
    """Whoever takes over, or starts again, waits for the end of the lease of the process that was killed."""
    assert leases.LEASE_SECONDS <= 15
    assert links.LEASE.total_seconds() <= 15
