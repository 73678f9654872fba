"""What one viewer may see of a request: comments, votes, decisions and history, by turn and phase (2.3, R19)."""

from dataclasses import dataclass

from carrel.review.audit_types import CHECKERS_OWN, COMMENTS, AuditType
from carrel.review.decisions import FileDecision, Vote
from carrel.review.machine import ReviewPhase
from carrel.review.models import AuditEvent, Comment, RequestFile
from carrel.review.queries.contents import RequestContents
from carrel.review.rules import Situation
from carrel.review.viewers import Viewer
from carrel.review.visibility import is_comment_visible, visible_decision


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerdict:
    """What a viewer may know of one file's review.

    `own`: their vote on these bytes; `others`: votes of others by username, None while they are not shown; `decision`:
    None where it may not be seen.
    """

    own: Vote | None
    others: dict[str, Vote] | None
    decision: FileDecision | None
    is_carried_over: bool
    """Their vote is of an earlier turn, on the same bytes."""


def verdict(viewer: Viewer, contents: RequestContents, file: RequestFile) -> FileVerdict:
    """Return what a viewer may know of the review of one file. Asks no database."""
    situation = _looking(viewer, contents)
    votes = contents.votes_on(file)
    turns = {vote.checker_id: vote.turn for vote in contents.votes.get(file.pk, ())}
    reviewers = set(contents.request.previous_reviewers) if contents.phase is ReviewPhase.AUTHOR else contents.submitted
    are_shown = situation.checks and contents.phase is not ReviewPhase.INDEPENDENT
    return FileVerdict(
        own=votes.get(viewer.username) if situation.checks else None,
        others={name: vote for name, vote in votes.items() if name != viewer.username and name in reviewers}
        if are_shown
        else None,
        decision=visible_decision(
            now=contents.decision(file),
            before=contents.earlier_decision(file),
            phase=contents.phase,
            is_checker=viewer.is_checker,
            is_author=situation.is_author,
        ),
        is_carried_over=viewer.username in votes and turns[viewer.username] < contents.request.turn,
    )


def visible_comments(viewer: Viewer, contents: RequestContents) -> list[Comment]:
    """Return the comments that a viewer may see, in order. Asks no database."""
    return [comment for comment in contents.comments if _is_visible(viewer, contents, comment)]


def visible_history(viewer: Viewer, contents: RequestContents, *, limit: int = 200) -> list[AuditEvent]:
    """Return the newest events of a request that a viewer may see, at most `limit`, newest first.

    Votes and reviews of others show as their votes do, comments as the comments do. What checkers did in a turn that
    was returned early is shown to nobody but them.
    """
    events = list(AuditEvent.objects.filter(request=contents.request.pk).order_by("-number")[: 2 * limit])
    returned_early = {
        event.extra.get("turn_ended") for event in events if event.event_type == AuditType.REQUEST_EARLY_RETURN
    }
    visible = {comment.pk for comment in visible_comments(viewer, contents)}
    situation = _looking(viewer, contents)
    shown = []
    for event in events:
        is_own = event.actor == viewer.username
        is_claim = event.event_type in (AuditType.REQUEST_CLAIM, AuditType.REQUEST_CLAIM_END)
        is_past = (event.turn or 0) < contents.request.turn or contents.phase is ReviewPhase.COMPLETE
        if event.event_type in COMMENTS:
            may_see = is_own or event.extra.get("comment") in visible
        elif is_claim:
            may_see = viewer.is_checker
        elif event.event_type in CHECKERS_OWN:
            is_open = is_past or contents.phase is ReviewPhase.CONSOLIDATING
            may_see = is_own or (situation.checks and is_open and event.turn not in returned_early)
        else:
            may_see = True
        if may_see:
            shown.append(event)
    return shown[:limit]


def _looking(viewer: Viewer, contents: RequestContents) -> Situation:
    return viewer.situation(contents.request.workspace, author=contents.request.author_id, status=contents.status)


def _is_visible(viewer: Viewer, contents: RequestContents, comment: Comment) -> bool:
    return is_comment_visible(
        author=comment.author_id,
        turn=comment.turn,
        is_public=comment.is_public,
        viewer=_looking(viewer, contents),
        phase=contents.phase,
        current_turn=contents.request.turn,
    )
