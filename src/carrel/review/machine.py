"""How a release request moves: states, who owns each, and every move there is. Pure.

Source: review-and-release.md section 2.2. The diagram in the docs is made from TRANSITIONS (`mermaid`).
"""

from dataclasses import dataclass
from enum import StrEnum


class ReviewStatus(StrEnum):
    """Where a request stands. The values are the contract's."""

    PENDING = "PENDING"
    SUBMITTED = "SUBMITTED"
    PARTIALLY_REVIEWED = "PARTIALLY_REVIEWED"
    REVIEWED = "REVIEWED"
    RETURNED = "RETURNED"
    APPROVED = "APPROVED"
    RELEASED = "RELEASED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


class Owner(StrEnum):
    """Whose turn it is."""

    AUTHOR = "author"
    CHECKERS = "checkers"
    SYSTEM = "system"
    NOBODY = "nobody"


class ReviewPhase(StrEnum):
    """What of the checkers' work may be seen."""

    AUTHOR = "author"
    """The author works; everybody sees the decisions of the turn before."""
    INDEPENDENT = "independent"
    """Each checker sees their own votes only."""
    CONSOLIDATING = "consolidating"
    """Enough reviews are in: checkers see each other's."""
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class RequestState:
    """What is true of a request in one status."""

    owner: Owner
    phase: ReviewPhase
    words: str
    """The status in words, as pages say it."""


STATES = {
    ReviewStatus.PENDING: RequestState(Owner.AUTHOR, ReviewPhase.AUTHOR, "being prepared"),
    ReviewStatus.SUBMITTED: RequestState(Owner.CHECKERS, ReviewPhase.INDEPENDENT, "submitted"),
    ReviewStatus.PARTIALLY_REVIEWED: RequestState(Owner.CHECKERS, ReviewPhase.INDEPENDENT, "some reviews submitted"),
    ReviewStatus.REVIEWED: RequestState(Owner.CHECKERS, ReviewPhase.CONSOLIDATING, "all reviews submitted"),
    ReviewStatus.RETURNED: RequestState(Owner.AUTHOR, ReviewPhase.AUTHOR, "returned to the author"),
    ReviewStatus.APPROVED: RequestState(Owner.SYSTEM, ReviewPhase.COMPLETE, "approved, files uploading"),
    ReviewStatus.RELEASED: RequestState(Owner.NOBODY, ReviewPhase.COMPLETE, "released"),
    ReviewStatus.REJECTED: RequestState(Owner.NOBODY, ReviewPhase.COMPLETE, "rejected"),
    ReviewStatus.WITHDRAWN: RequestState(Owner.NOBODY, ReviewPhase.COMPLETE, "withdrawn"),
}

FINAL = frozenset(status for status, state in STATES.items() if state.owner is Owner.NOBODY)
UNDER_REVIEW = frozenset(status for status, state in STATES.items() if state.owner is Owner.CHECKERS)
IN_AUTHORS_HANDS = frozenset(status for status, state in STATES.items() if state.owner is Owner.AUTHOR)

TRANSITIONS: dict[ReviewStatus, frozenset[ReviewStatus]] = {
    ReviewStatus.PENDING: frozenset({ReviewStatus.SUBMITTED, ReviewStatus.WITHDRAWN}),
    # With one checker, the first review is the last one.
    ReviewStatus.SUBMITTED: frozenset({ReviewStatus.PARTIALLY_REVIEWED, ReviewStatus.REVIEWED, ReviewStatus.RETURNED}),
    ReviewStatus.PARTIALLY_REVIEWED: frozenset({ReviewStatus.REVIEWED, ReviewStatus.RETURNED}),
    ReviewStatus.REVIEWED: frozenset({ReviewStatus.APPROVED, ReviewStatus.REJECTED, ReviewStatus.RETURNED}),
    ReviewStatus.RETURNED: frozenset({ReviewStatus.SUBMITTED, ReviewStatus.WITHDRAWN}),
    ReviewStatus.APPROVED: frozenset({ReviewStatus.RELEASED}),
    ReviewStatus.RELEASED: frozenset(),
    ReviewStatus.REJECTED: frozenset(),
    ReviewStatus.WITHDRAWN: frozenset(),
}
"""Every move there is. Who may make it is the owner of the state that it leaves."""

BEGINS_TURN = frozenset({ReviewStatus.SUBMITTED, ReviewStatus.RETURNED})
"""Reaching one of these begins the next turn (R17)."""


class MoveRefused(Exception):
    """The request cannot go there from where it stands; says so in a sentence."""


def check_move(source: ReviewStatus, target: ReviewStatus) -> None:
    """Raise MoveRefused unless there is such a move."""
    if target not in TRANSITIONS[source]:
        raise MoveRefused(f"A request that is {STATES[source].words} cannot become {STATES[target].words}.")


def status_after_review(status: ReviewStatus, submitted: int, checkers: int) -> ReviewStatus:
    """Return the status once `submitted` reviews of the `checkers` that are needed are in (R14).

    A review more than needed leaves the status as it is.
    """
    if submitted >= checkers:
        return ReviewStatus.REVIEWED
    return ReviewStatus.PARTIALLY_REVIEWED if submitted else status


def mermaid() -> str:
    """Return the states and moves as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {ReviewStatus.PENDING}"]
    lines += [
        f"    {source} --> {target} : {STATES[source].owner}"
        for source, targets in TRANSITIONS.items()
        for target in sorted(targets, key=list(ReviewStatus).index)
    ]
    return "\n".join([*lines, *(f"    {status} --> [*]" for status in ReviewStatus if status in FINAL)])
