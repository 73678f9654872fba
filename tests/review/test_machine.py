"""The state machine: the contract's moves and no others, and what a review does to the status."""

import pytest

from carrel.review.machine import (
    FINAL,
    IN_AUTHORS_HANDS,
    STATES,
    TRANSITIONS,
    UNDER_REVIEW,
    MoveRefused,
    ReviewStatus,
    check_move,
    mermaid,
    status_after_review,
)

MOVES = {
    "PENDING": "SUBMITTED WITHDRAWN",
    "SUBMITTED": "PARTIALLY_REVIEWED REVIEWED RETURNED",
    "PARTIALLY_REVIEWED": "REVIEWED RETURNED",
    "REVIEWED": "APPROVED REJECTED RETURNED",
    "RETURNED": "SUBMITTED WITHDRAWN",
    "APPROVED": "RELEASED",
    "RELEASED": "",
    "REJECTED": "",
    "WITHDRAWN": "",
}
"""Section 2.2 of the contract, and SUBMITTED to REVIEWED for a backend with one checker."""


@pytest.mark.parametrize("source", ReviewStatus)
@pytest.mark.parametrize("target", ReviewStatus)
def test_every_move(source: ReviewStatus, target: ReviewStatus) -> None:
    if target in MOVES[source].split():
        check_move(source, target)
    else:
        with pytest.raises(MoveRefused, match=STATES[source].words):
            check_move(source, target)


def test_each_status_belongs_to_one_side() -> None:
    sides = [FINAL, UNDER_REVIEW, IN_AUTHORS_HANDS, {ReviewStatus.APPROVED}]
    assert sum(map(len, sides)) == len(ReviewStatus) == len(frozenset().union(*sides))
    assert {status for status, targets in TRANSITIONS.items() if not targets} == FINAL


@pytest.mark.parametrize(
    ("submitted", "checkers", "status"),
    [
        (1, 2, "PARTIALLY_REVIEWED"),
        (2, 2, "REVIEWED"),
        (3, 2, "REVIEWED"),
        (1, 1, "REVIEWED"),
        (2, 3, "PARTIALLY_REVIEWED"),
        (0, 2, "SUBMITTED"),
    ],
)
def test_what_a_review_does(submitted: int, checkers: int, status: str) -> None:
    assert status_after_review(ReviewStatus.SUBMITTED, submitted, checkers) == status


def test_the_diagram_has_every_move() -> None:
    lines = mermaid().splitlines()
    assert "    PENDING --> SUBMITTED : author" in lines
    assert "    APPROVED --> RELEASED : system" in lines
    assert sum(" : " in line for line in lines) == sum(map(len, TRANSITIONS.values()))
