"""How a release request moves: states, who owns each, and every move there is. Pure.

Source: review-and-release.md section 2.2. The diagram in the docs is made from TRANSITIONS (`mermaid`).
"""

from dataclasses import dataclass
from enum import StrEnum


class RequestStatus(StrEnum):
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


class Phase(StrEnum):
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
    phase: Phase
    words: str
    """The status in words, as pages say it."""


STATES = {
    RequestStatus.PENDING: RequestState(Owner.AUTHOR, Phase.AUTHOR, "being prepared"),
    RequestStatus.SUBMITTED: RequestState(Owner.CHECKERS, Phase.INDEPENDENT, "submitted"),
    RequestStatus.PARTIALLY_REVIEWED: RequestState(Owner.CHECKERS, Phase.INDEPENDENT, "some reviews submitted"),
    RequestStatus.REVIEWED: RequestState(Owner.CHECKERS, Phase.CONSOLIDATING, "all reviews submitted"),
    RequestStatus.RETURNED: RequestState(Owner.AUTHOR, Phase.AUTHOR, "returned to the author"),
    RequestStatus.APPROVED: RequestState(Owner.SYSTEM, Phase.COMPLETE, "approved, files uploading"),
    RequestStatus.RELEASED: RequestState(Owner.NOBODY, Phase.COMPLETE, "released"),
    RequestStatus.REJECTED: RequestState(Owner.NOBODY, Phase.COMPLETE, "rejected"),
    RequestStatus.WITHDRAWN: RequestState(Owner.NOBODY, Phase.COMPLETE, "withdrawn"),
}

FINAL = frozenset(status for status, state in STATES.items() if state.owner is Owner.NOBODY)
UNDER_REVIEW = frozenset(status for status, state in STATES.items() if state.owner is Owner.CHECKERS)
IN_AUTHORS_HANDS = frozenset(status for status, state in STATES.items() if state.owner is Owner.AUTHOR)

TRANSITIONS: dict[RequestStatus, frozenset[RequestStatus]] = {
    RequestStatus.PENDING: frozenset({RequestStatus.SUBMITTED, RequestStatus.WITHDRAWN}),
    # With one checker, the first review is the last one.
    RequestStatus.SUBMITTED: frozenset(
        {RequestStatus.PARTIALLY_REVIEWED, RequestStatus.REVIEWED, RequestStatus.RETURNED}
    ),
    RequestStatus.PARTIALLY_REVIEWED: frozenset({RequestStatus.REVIEWED, RequestStatus.RETURNED}),
    RequestStatus.REVIEWED: frozenset({RequestStatus.APPROVED, RequestStatus.REJECTED, RequestStatus.RETURNED}),
    RequestStatus.RETURNED: frozenset({RequestStatus.SUBMITTED, RequestStatus.WITHDRAWN}),
    RequestStatus.APPROVED: frozenset({RequestStatus.RELEASED}),
    RequestStatus.RELEASED: frozenset(),
    RequestStatus.REJECTED: frozenset(),
    RequestStatus.WITHDRAWN: frozenset(),
}
"""Every move there is. Who may make it is the owner of the state that it leaves."""

BEGINS_TURN = frozenset({RequestStatus.SUBMITTED, RequestStatus.RETURNED})
"""Reaching one of these begins the next turn (R17)."""


class MoveRefused(Exception):
    """The request cannot go there from where it stands; says so in a sentence."""


def check_move(source: RequestStatus, target: RequestStatus) -> None:
    """Raise MoveRefused unless there is such a move."""
    if target not in TRANSITIONS[source]:
        raise MoveRefused(f"A request that is {STATES[source].words} cannot become {STATES[target].words}.")


def status_after_review(status: RequestStatus, submitted: int, checkers: int) -> RequestStatus:
    """Return the status once `submitted` reviews of the `checkers` that are needed are in (R14).

    A review more than needed leaves the status as it is.
    """
    if submitted >= checkers:
        return RequestStatus.REVIEWED
    return RequestStatus.PARTIALLY_REVIEWED if submitted else status


def mermaid() -> str:
    """Return the states and moves as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {RequestStatus.PENDING}"]
    lines += [
        f"    {source} --> {target} : {STATES[source].owner}"
        for source, targets in TRANSITIONS.items()
        for target in sorted(targets, key=list(RequestStatus).index)
    ]
    return "\n".join([*lines, *(f"    {status} --> [*]" for status in RequestStatus if status in FINAL)])
