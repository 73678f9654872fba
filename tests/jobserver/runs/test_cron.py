"""When scheduled runs are due."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.jobserver.runs.cron import CronRefused, check_cron, cron_words, times_after

NOW = datetime(2026, 5, 3, 9, 0, tzinfo=UTC)


def test_next_times_are_utc() -> None:
    times = times_after("0 6 * * 1", NOW, 2)
    assert [time.isoformat() for time in times] == ["2026-05-04T06:00:00+00:00", "2026-05-11T06:00:00+00:00"]
    assert cron_words("0 6 * * 1", NOW) == "At 06:00 on Monday"


@pytest.mark.parametrize("cron", ["", "x", "* * * *", "* * * * * *", "0 0 31 2 *", "@daily", "0 6 * * " + "1," * 100])
def test_what_is_no_time(cron: str) -> None:
    with pytest.raises(CronRefused):
        check_cron(cron, NOW)


@pytest.mark.parametrize("cron", ["* * * * *", "*/10 * * * *", "0,5 6 * * *"])
def test_too_often(cron: str) -> None:
    with pytest.raises(CronRefused, match="quarter of an hour"):
        check_cron(cron, NOW)


@given(st.text(alphabet="0123456789*/,- LW#", max_size=30))
def test_any_text_is_times_in_order_or_refused(cron: str) -> None:
    try:
        check_cron(cron, NOW)
    except CronRefused:
        return
    times = times_after(cron, NOW, 5)
    assert all(later - earlier >= timedelta(minutes=15) for earlier, later in itertools.pairwise(times))
