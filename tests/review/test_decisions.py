"""Decisions from votes, and who sees them."""

import pytest

from carrel.review.decisions import FileDecision, Vote, decision_of
from carrel.review.machine import ReviewPhase
from carrel.review.visibility import visible_decision

YES, NO, OPEN = Vote.APPROVED, Vote.CHANGES_REQUESTED, Vote.UNDECIDED


@pytest.mark.parametrize(
    ("votes", "submitted", "checkers", "decision"),
    [
        ({}, set(), 2, "INCOMPLETE"),
        ({"a": YES, "b": YES}, {"a"}, 2, "INCOMPLETE"),
        ({"a": YES, "b": YES}, {"a", "b"}, 2, "APPROVED"),
        ({"a": YES, "b": NO}, {"a", "b"}, 2, "CONFLICTED"),
        ({"a": NO, "b": NO}, {"a", "b"}, 2, "CHANGES_REQUESTED"),
        ({"a": YES, "b": NO, "c": YES}, {"a", "b", "c"}, 2, "APPROVED"),
        ({"a": YES, "b": NO, "c": YES}, {"a", "b"}, 2, "CONFLICTED"),
        ({"a": YES, "b": OPEN}, {"a", "b"}, 2, "INCOMPLETE"),
        ({"a": YES}, {"a"}, 1, "APPROVED"),
        ({"a": NO}, {"a"}, 1, "CHANGES_REQUESTED"),
        ({"a": YES, "b": YES}, {"a", "b"}, 3, "INCOMPLETE"),
        ({"a": YES, "b": YES, "c": NO}, {"a", "b", "c"}, 3, "CONFLICTED"),
    ],
)
def test_what_votes_come_to(votes: dict[str, Vote], submitted: set[str], checkers: int, decision: str) -> None:
    assert decision_of(votes, submitted, checkers) == decision


@pytest.mark.parametrize(
    ("phase", "is_checker", "is_author", "shown"),
    [
        (ReviewPhase.INDEPENDENT, True, False, None),
        (ReviewPhase.INDEPENDENT, False, True, None),
        (ReviewPhase.CONSOLIDATING, True, False, FileDecision.CONFLICTED),
        (ReviewPhase.CONSOLIDATING, False, True, None),
        (ReviewPhase.CONSOLIDATING, True, True, None),
        (ReviewPhase.AUTHOR, True, False, FileDecision.APPROVED),
        (ReviewPhase.AUTHOR, False, True, FileDecision.APPROVED),
        (ReviewPhase.COMPLETE, True, False, FileDecision.CONFLICTED),
        (ReviewPhase.COMPLETE, False, True, FileDecision.CHANGES_REQUESTED),
        (ReviewPhase.COMPLETE, True, True, FileDecision.CHANGES_REQUESTED),
    ],
)
def test_who_sees_what(phase: ReviewPhase, is_checker: bool, is_author: bool, shown: FileDecision | None) -> None:
    seen = visible_decision(
        now=FileDecision.CONFLICTED,
        before=FileDecision.APPROVED,
        phase=phase,
        is_checker=is_checker,
        is_author=is_author,
    )
    assert seen == shown
