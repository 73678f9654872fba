"""What checkers decided of a file, from their votes, and who may see it. Pure.

Source: review-and-release.md section 2.3. Only votes of submitted reviews count.
"""

from collections.abc import Mapping, Set
from enum import StrEnum

from carrel.review.machine import Phase


class Vote(StrEnum):
    """One checker's word on one file."""

    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    UNDECIDED = "UNDECIDED"
    """They asked for changes a turn ago; the file was submitted again, and they have not voted since."""


class FileDecision(StrEnum):
    """What the votes come to."""

    INCOMPLETE = "INCOMPLETE"
    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    CONFLICTED = "CONFLICTED"


def decision_of(votes: Mapping[str, Vote], submitted: Set[str], checkers: int) -> FileDecision:
    """Return the decision on one file from its `votes` by username and who has `submitted` a review.

    As many approvals as `checkers` decide, whatever a further one says, so that a third can settle a conflict.
    """
    counted = [vote for name, vote in votes.items() if name in submitted and vote is not Vote.UNDECIDED]
    if len(submitted) < checkers or len(counted) < checkers:
        return FileDecision.INCOMPLETE
    if counted.count(Vote.APPROVED) >= checkers:
        return FileDecision.APPROVED
    return FileDecision.CONFLICTED if Vote.APPROVED in counted else FileDecision.CHANGES_REQUESTED


def visible_decision(
    *, now: FileDecision, before: FileDecision, phase: Phase, is_checker: bool, is_author: bool
) -> FileDecision | None:
    """Return the decision that somebody may see; None where they may see none.

    `now`: by the reviews of this turn; `before`: by those of the turn that ended last. An author, and whoever checks
    nothing, sees a conflict as a request for changes.
    """
    checks = is_checker and not is_author
    if phase is Phase.INDEPENDENT or (phase is Phase.CONSOLIDATING and not checks):
        return None
    decision = before if phase is Phase.AUTHOR else now
    if decision is FileDecision.CONFLICTED and not checks:
        return FileDecision.CHANGES_REQUESTED
    return decision
