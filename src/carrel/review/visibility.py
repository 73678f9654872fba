"""Who may see what of a review while it goes on: decisions and comments, by turn and phase. Pure.

Source: review-and-release.md section 2.3 and R19.
"""

from carrel.review.decisions import FileDecision
from carrel.review.machine import ReviewPhase
from carrel.review.rules import Situation


def visible_decision(
    *, now: FileDecision, before: FileDecision, phase: ReviewPhase, is_checker: bool, is_author: bool
) -> FileDecision | None:
    """Return the decision that somebody may see; None where they may see none.

    `now`: by the reviews of this turn; `before`: by those of the turn that ended last. An author, and whoever checks
    nothing, sees a conflict as a request for changes.
    """
    checks = is_checker and not is_author
    if phase is ReviewPhase.INDEPENDENT or (phase is ReviewPhase.CONSOLIDATING and not checks):
        return None
    decision = before if phase is ReviewPhase.AUTHOR else now
    if decision is FileDecision.CONFLICTED and not checks:
        return FileDecision.CHANGES_REQUESTED
    return decision


def is_comment_visible(
    *, author: str, turn: int, is_public: bool, viewer: Situation, phase: ReviewPhase, current_turn: int
) -> bool:
    """Tell whether the viewer sees a comment (R19): their own always; others' by turn, and by phase.

    Public comments show once the turn in which they were written has passed. Checkers see each other's, private
    ones too, when all reviews are in; during the independent phase nobody sees what others wrote in this turn.
    """
    if viewer.username == author:
        return True
    if not is_public and not viewer.checks:
        return False
    if turn < current_turn:
        return True
    return viewer.checks and phase is ReviewPhase.CONSOLIDATING


def shown_decision(decision: FileDecision | None) -> str:
    """Return a decision in words; "" for none that may be seen."""
    return decision.lower().replace("_", " ") if decision else ""
