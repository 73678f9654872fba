"""How a request stands, in words: whose turn it is, and what whoever looks does next."""

from dataclasses import dataclass

from django.urls import reverse

from carrel.pages.formats import count_text
from carrel.review.decisions import Vote
from carrel.review.machine import STATES, Owner, ReviewStatus
from carrel.review.queries.contents import RequestContents
from carrel.review.queries.situations import refusal, situation_of
from carrel.review.rules import Act, refusals_of
from carrel.review.viewers import Viewer

FAMILIES = {
    ReviewStatus.PENDING: "stopped",
    ReviewStatus.SUBMITTED: "waiting",
    ReviewStatus.PARTIALLY_REVIEWED: "running",
    ReviewStatus.REVIEWED: "running",
    ReviewStatus.RETURNED: "waiting",
    ReviewStatus.APPROVED: "running",
    ReviewStatus.RELEASED: "succeeded",
    ReviewStatus.REJECTED: "failed",
    ReviewStatus.WITHDRAWN: "stopped",
}
"""The family of the chip that says a request's status."""
TURNS = {
    Owner.AUTHOR: "The author's turn",
    Owner.CHECKERS: "The checkers' turn",
    Owner.SYSTEM: "Being uploaded",
    Owner.NOBODY: "Over",
}


@dataclass(frozen=True, slots=True)
class RequestStep:
    """A button of a request's page: what it says, and the page that it leads to."""

    label: str
    url: str
    is_primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStanding:
    """How a request stands for whoever looks.

    `sentence`: what happens next, in one sentence; `missing`: what must be done before; `steps`: what they may do now.
    """

    family: str
    words: str
    turn: str
    sentence: str
    missing: tuple[str, ...]
    steps: tuple[RequestStep, ...]

    @property
    def has_primary(self) -> bool:
        return any(step.is_primary for step in self.steps)


def standing(viewer: Viewer, contents: RequestContents) -> RequestStanding:
    """Return how a request stands for this viewer. Asks no database."""
    state = STATES[contents.status]
    sentence, missing = _next(viewer, contents)
    return RequestStanding(
        family=FAMILIES[contents.status],
        words=state.words[0].upper() + state.words[1:],
        turn=TURNS[state.owner],
        sentence=sentence,
        missing=tuple(missing),
        steps=_steps(viewer, contents),
    )


PAGES_OF_ACTS = {
    Act.SUBMIT: ("request_submit", "Submit for review"),
    Act.SUBMIT_REVIEW: ("request_submit_review", "Submit review"),
    Act.APPROVE: ("request_approve", "Approve for release"),
    Act.RETURN: ("request_return", "Return to the author"),
    Act.RETURN_EARLY: ("request_return_early", "Return early"),
    Act.REJECT: ("request_reject", "Reject"),
    Act.WITHDRAW_REQUEST: ("request_withdraw", "Withdraw"),
    Act.RETRY_UPLOAD: ("request_retry", "Upload again"),
}
"""Acts on a whole request, in the order of their buttons: the page that asks before, and what the button says."""
FORWARD = (Act.SUBMIT, Act.SUBMIT_REVIEW, Act.APPROVE)
"""Those that move a request on: the first that may be done is the page's one primary button."""


def _steps(viewer: Viewer, contents: RequestContents) -> tuple[RequestStep, ...]:
    possible = [act for act in PAGES_OF_ACTS if not refusal(act, viewer, contents)]
    primary = next((act for act in possible if act in FORWARD), None)
    return tuple(
        RequestStep(label, reverse(name, args=[contents.request.pk]), act is primary)
        for act in possible
        for name, label in [PAGES_OF_ACTS[act]]
    )


def _next(viewer: Viewer, contents: RequestContents) -> tuple[str, list[str]]:
    """Return what happens next, in one sentence, and what is missing before it can."""
    request, state = contents.request, STATES[contents.status]
    looking = viewer.situation(request.workspace, author=request.author_id, status=contents.status)
    if state.owner is Owner.NOBODY:
        return f"The request is {state.words}. Nothing about it changes any more.", []
    if state.owner is Owner.SYSTEM:
        uploaded = sum(file.uploaded_at is not None for file in contents.outputs)
        return (
            f"{uploaded} of {count_text(len(contents.outputs), 'file')} uploaded; the rest follows by itself.",
            sorted({file.upload_error for file in contents.outputs if file.upload_error}),
        )
    if state.owner is Owner.AUTHOR and looking.is_author:
        missing = refusals_of(Act.SUBMIT, situation_of(Act.SUBMIT, viewer, contents))
        return ("Before you can submit it:" if missing else "Nothing is missing: submit it to the checkers."), missing
    if state.owner is Owner.AUTHOR:
        return f"{request.author.fullname} is working on it.", []
    if not looking.checks:
        return _waiting_for_reviews(contents), []
    if contents.status is ReviewStatus.REVIEWED:
        missing = refusals_of(Act.APPROVE, situation_of(Act.APPROVE, viewer, contents))
        if not missing:
            return "Every file is approved: approve the request, and its files leave.", []
        unexplained = refusals_of(Act.RETURN, situation_of(Act.RETURN, viewer, contents))
        return "Return it with a public comment, settle the votes together, or reject it.", [*missing, *unexplained]
    if viewer.username in contents.submitted:
        return f"You have submitted your review. {_waiting_for_reviews(contents)}", []
    if unvoted := len(contents.not_voted(viewer.username)):
        return f"Vote on {count_text(unvoted, 'more file')}, then submit your review.", []
    missing = refusals_of(Act.SUBMIT_REVIEW, situation_of(Act.SUBMIT_REVIEW, viewer, contents))
    return (
        "Before you can submit your review:" if missing else "You have voted on every file: submit your review."
    ), missing


def _waiting_for_reviews(contents: RequestContents) -> str:
    number = contents.request.checkers - len(contents.submitted)
    if number > 0:
        return f"{count_text(number, 'more review')} {'is' if number == 1 else 'are'} needed."
    return "The checkers are deciding together."


def own_progress(viewer: Viewer, contents: RequestContents) -> str:
    """Say on how many files a checker has voted; "" for those who do not check this request, or not now."""
    looking = viewer.situation(contents.request.workspace, author=contents.request.author_id)
    if not looking.checks or STATES[contents.status].owner is not Owner.CHECKERS:
        return ""
    voted = len(contents.outputs) - len(contents.not_voted(viewer.username))
    return f"you have voted on {voted} of {count_text(len(contents.outputs), 'file')}"


VOTE_WORDS = {Vote.APPROVED: "approved", Vote.CHANGES_REQUESTED: "changes requested", Vote.UNDECIDED: "undecided"}
