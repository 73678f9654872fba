"""Every status has its words, its family, and something to do about it."""

import pytest

from carrel.jobs.statuses import STATUSES, State, StatusCode
from carrel.pages.status_words import FAMILY_OF_STATE, STATUS_WORDS, Family, family_counts, status_words


@pytest.mark.parametrize("code", StatusCode)
def test_every_code_of_a_job_is_told(code: StatusCode) -> None:
    words = status_words(code)
    assert words.code == code.value
    assert words.word[0].isupper()
    assert "_" not in words.word
    assert STATUSES[code].next_step in words.explanation
    if STATUSES[code].state is not State.FAILED:
        assert words.family is FAMILY_OF_STATE[STATUSES[code].state]
    else:
        assert words.family in (Family.FAILED, Family.STOPPED)


@pytest.mark.parametrize("state", State)
def test_every_state_is_told(state: State) -> None:
    assert status_words(state.value).family is FAMILY_OF_STATE[state]


@pytest.mark.parametrize("words", STATUS_WORDS.values(), ids=lambda words: words.code)
def test_every_explanation_is_a_sentence(words: object) -> None:
    assert words.explanation.endswith(".")  # type: ignore[attr-defined]  # ids need no type


def test_an_unknown_code_is_told_as_it_came() -> None:
    assert status_words("waiting_on_godot").word == "Waiting on godot"
    assert status_words("").word == "Not known"
    assert status_words("x").family is Family.STOPPED


def test_counts_have_every_family_in_order() -> None:
    counts = family_counts(["succeeded", "succeeded", "executing", "timed_out"])
    assert list(counts.items()) == [
        (Family.SUCCEEDED, 2), (Family.FAILED, 1), (Family.RUNNING, 1), (Family.WAITING, 0), (Family.STOPPED, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "short", "note"),
    [
        ("waiting_on_workers", "Waiting", "for a worker"),
        ("paused", "Waiting", "backend paused"),
        ("created", "Waiting", ""),
        ("killed_by_admin", "Stopped", "by an administrator"),
        ("nothing_to_do", "Nothing to do", ""),
    ],
)
def test_narrow_cells_have_short_words(code: str, short: str, note: str) -> None:
    assert (status_words(code).short, status_words(code).note) == (short, note)
