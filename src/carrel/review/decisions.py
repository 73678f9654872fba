"""What checkers decided of a file, from their votes. Pure.

Source: review-and-release.md section 2.3. Only votes of submitted reviews count.
"""

from collections.abc import Mapping, Set
from enum import StrEnum


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
