"""When something that could not be sent is tried again."""

from datetime import UTC, datetime, timedelta

from carrel.review.retries import is_due, pause_after

NOW = datetime(2026, 5, 3, 9, tzinfo=UTC)


def test_pauses_double_up_to_the_longest_with_at_most_a_half_taken_away() -> None:
    for attempts, most in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)):
        pauses = {pause_after(attempts, 60.0, f"file {number}") for number in range(100)}
        assert all(most / 2 <= pause <= most for pause in pauses)
        assert len(pauses) > 90
    assert pause_after(3, 60.0, "file 1") == pause_after(3, 60.0, "file 1")


def test_due_at_first_when_asked_for_and_after_the_pause() -> None:
    pause = timedelta(seconds=pause_after(2, 60.0, "a"))
    for attempts, attempted_at, due in (
        (0, NOW, True),
        (2, None, True),
        (2, NOW - pause, True),
        (2, NOW - pause / 2, False),
    ):
        assert is_due(attempts, attempted_at, NOW, longest=60.0, key="a") is due
