"""What is true when somebody acts on a request: its rows as the `Situation` that the rules ask for."""

from typing import Any

from carrel.review import policy
from carrel.review.decisions import FileDecision, Vote
from carrel.review.models import Comment, RequestFile
from carrel.review.queries.contents import RequestContents
from carrel.review.rules import Act, FileType, Situation, refusal_of
from carrel.review.viewers import Viewer


def situation_of(
    act: Act,
    viewer: Viewer,
    contents: RequestContents,
    *,
    file: RequestFile | None = None,
    comment: Comment | None = None,
    **more: Any,
) -> Situation:
    """Return what is true when this person does this; `file` or `comment`: what they do it to."""
    request, outputs = contents.request, contents.outputs
    rules = policy.get()
    about: dict[str, Any] = {}
    if file is not None:
        votes = contents.votes_on(file)
        about = {"file_type": FileType(file.file_type), "own_vote": votes.get(viewer.username)}
        about["is_type_allowed"] = rules.allows(file.path)
    elif act in (Act.SUBMIT, Act.APPROVE):
        about["is_type_allowed"] = all(rules.allows(output.path) for output in outputs)
    if comment is not None:
        about |= {"comment_author": comment.author_id, "comment_turn": comment.turn}
        about["is_comment_public"] = comment.is_public
    return viewer.situation(
        request.workspace,
        author=request.author_id,
        status=contents.status,
        **{
            "checkers": request.checkers,
            "submitted": contents.submitted,
            "previous_reviews": len(request.previous_reviewers),
            "outputs": len(outputs),
            "groups_without_context": contents.groups_without_context(),
            "files_not_voted": tuple(output.path for output in contents.not_voted(viewer.username)),
            "files_not_approved": tuple(
                output.path for output in outputs if contents.decision(output) is not FileDecision.APPROVED
            ),
            "groups_without_comment": _groups_without_comment(act, viewer, contents),
            "findings_open": contents.open_findings(),
            "turn": request.turn,
            **about,
            **more,
        },
    )


def _groups_without_comment(act: Act, viewer: Viewer, contents: RequestContents) -> tuple[str, ...]:
    """Return the groups in which the act asks for a comment of this turn and there is none (R11, R14, R16)."""
    outputs = contents.outputs
    match act:
        case Act.SUBMIT:
            files = {file.pk for file in outputs if contents.earlier_decision(file) is not FileDecision.APPROVED}
            return contents.groups_not_commented(files, is_public=True)
        case Act.SUBMIT_REVIEW:
            refused = Vote.CHANGES_REQUESTED
            files = {file.pk for file in outputs if contents.votes_on(file).get(viewer.username) is refused}
            return contents.groups_not_commented(files, by=viewer.username)
        case Act.RETURN:
            files = {file.pk for file in outputs if contents.decision(file) is not FileDecision.APPROVED}
            return contents.groups_not_commented(files, is_public=True)
    return ()


def refusal(act: Act, viewer: Viewer, contents: RequestContents, **about: Any) -> str:
    """Return why this person may not do this now, "" when they may: what a page asks before it shows a button."""
    return refusal_of(act, situation_of(act, viewer, contents, **about))
