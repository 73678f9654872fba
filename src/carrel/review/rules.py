"""Who may do what, and when: each act with its rules, as one table. Pure.

Source: review-and-release.md section 2.4, whose numbers (R1 to R21) the rules carry. Permissions say who may act,
policies say when; both are an `ActRule`. Whoever acts makes a `Situation` of what is true, and asks `refusal_of`. The
table in the docs is made from ACTS (`carrel.review.rules_page`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from carrel.review.decisions import Vote
from carrel.review.machine import FINAL, IN_AUTHORS_HANDS, STATES, UNDER_REVIEW, ReviewStatus
from carrel.units.words import joined


class FileType(StrEnum):
    """What a file of a request is there for. The values are the contract's."""

    OUTPUT = "OUTPUT"
    """It will leave, once it is approved."""
    SUPPORTING = "SUPPORTING"
    """It helps the checkers, and never leaves."""
    WITHDRAWN = "WITHDRAWN"
    """The author took it back after a review; it stays visible."""


class FileState(StrEnum):
    """How a file of a workspace stands to what was requested and released (section 2.3)."""

    INVALID = "INVALID"
    RELEASED = "RELEASED"
    UNDER_REVIEW = "UNDER_REVIEW"
    UPDATED = "UPDATED"
    WITHDRAWN = "WITHDRAWN"
    UNRELEASED = "UNRELEASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is true when somebody acts. What an act has nothing to do with stays at its default."""

    username: str = ""
    is_member: bool = False
    """They are a member of the workspace's project, by name."""
    is_copilot: bool = False
    is_checker: bool = False
    may_read_all: bool = False

    is_archived: bool = False
    is_ongoing: bool = True
    """The project is ongoing."""

    status: ReviewStatus = ReviewStatus.PENDING
    author: str = ""
    checkers: int = 2
    """How many reviews are needed."""
    submitted: frozenset[str] = frozenset()
    """Who has submitted a review in this turn."""
    previous_reviews: int = 0
    """How many had when the last turn of the checkers ended."""

    file_type: FileType = FileType.OUTPUT
    file_state: FileState = FileState.UNRELEASED
    is_type_allowed: bool = True
    is_on_request: bool = False
    """The request has a file of this path that is not withdrawn."""
    own_vote: Vote | None = None
    has_change: bool = True
    """A change of group or type changes something."""

    outputs: int = 0
    """Output files of the request that are not withdrawn."""
    groups_without_context: tuple[str, ...] = ()
    """Those with files and without a context or controls."""
    files_not_voted: tuple[str, ...] = ()
    """Outputs that this checker has not voted on."""
    files_not_approved: tuple[str, ...] = ()
    groups_without_comment: tuple[str, ...] = ()
    """Groups in which this act asks for a comment of this turn and there is none."""
    findings_open: tuple[str, ...] = ()
    """Files with findings that are neither mended nor justified."""

    comment_author: str = ""
    comment_turn: int = 0
    turn: int = 0
    is_comment_public: bool = True

    @property
    def is_author(self) -> bool:
        return bool(self.username) and self.username == self.author

    @property
    def checks(self) -> bool:
        """They may check this request: the author never does."""
        return self.is_checker and not self.is_author


@dataclass(frozen=True, slots=True)
class ActRule:
    """One rule: its number in the contract, what it says, and why a situation breaks it ("" when it does not)."""

    number: str
    says: str
    refusal: Callable[[Situation], str]


def _unless(number: str, says: str, holds: Callable[[Situation], bool], refusal: str) -> ActRule:
    return ActRule(number, says, lambda situation: "" if holds(situation) else refusal)


MAY_VIEW = _unless(
    "R1",
    "members, copilots, output checkers and readers of everything see a workspace and its requests",
    lambda s: s.is_member or s.is_copilot or s.is_checker or s.may_read_all,
    "You are not a member of this workspace's project. Who leads the project can add you.",
)
CHECKER_DOWNLOADS = _unless(
    "R3",
    "only an output checker who is not the author downloads a file of a request",
    lambda s: s.checks,
    "Only output checkers who did not write the request may download its files.",
)
MEMBER_WRITES = _unless(
    "R4",
    "who writes a request is a member of the project by name",
    lambda s: s.is_member,
    "Only members of the project may write requests. Who leads the project can add you.",
)
WORKSPACE_LIVES = ActRule(
    "R4",
    "the workspace is not archived and its project is ongoing",
    lambda s: (
        "The workspace is archived; nothing more is requested from it."
        if s.is_archived
        else ""
        if s.is_ongoing
        else "The project has ended; nothing more is requested from its workspaces."
    ),
)
AUTHOR_ACTS = _unless(
    "R5",
    "only the author changes a request",
    lambda s: s.is_author,
    "Only the request's author may do this.",
)
IN_AUTHORS_TURN = ActRule(
    "R5",
    "a request is changed while it is in the author's hands",
    lambda s: "" if s.status in IN_AUTHORS_HANDS else f"The request is {STATES[s.status].words}; it cannot be changed.",
)
TYPE_ALLOWED = _unless(
    "R5", "its type may leave this backend", lambda s: s.is_type_allowed, "Files of this type may not be released."
)
ONCE_PER_REQUEST = _unless(
    "R5", "a path is once on a request", lambda s: not s.is_on_request, "The request has this file already."
)
CAN_BE_ADDED = ActRule(
    "R5",
    "a file can be added that is unreleased, released or withdrawn; released contents only as a supporting file",
    lambda s: (
        "This content was released before; it can be added as a supporting file only."
        if s.file_state is FileState.RELEASED and s.file_type is not FileType.SUPPORTING
        else ""
        if s.file_state in (FileState.UNRELEASED, FileState.RELEASED, FileState.WITHDRAWN)
        else f"The file is {s.file_state.lower().replace('_', ' ')}; it cannot be added."
    ),
)
CAN_BE_UPDATED = _unless(
    "R7",
    "a file is updated when the workspace has other bytes, and still lists it",
    lambda s: s.file_state is FileState.UPDATED,
    "The workspace has no other version of this file.",
)
CHANGES_SOMETHING = _unless(
    "R8",
    "a change of group or type changes something, and not of a withdrawn file",
    lambda s: s.has_change and s.file_type is not FileType.WITHDRAWN,
    "There is nothing to change, or the file is withdrawn.",
)
NOT_WITHDRAWN = _unless(
    "R9", "a file is withdrawn once", lambda s: s.file_type is not FileType.WITHDRAWN, "The file is withdrawn already."
)
CONTEXT_WRITTEN = ActRule(
    "R10",
    "each group with files has a context and its controls",
    lambda s: (
        f"Write the context and the controls of {joined(s.groups_without_context)} first."
        if s.groups_without_context
        else ""
    ),
)
HAS_OUTPUTS = _unless(
    "R10",
    "a request has at least one output file",
    lambda s: s.outputs > 0,
    "Add at least one output file; supporting files alone are not reviewed.",
)
FINDINGS_ANSWERED = ActRule(
    "Carrel 2",
    "each finding of the disclosure rules is mended or justified",
    lambda s: f"Mend or justify the findings in {joined(s.findings_open)} first." if s.findings_open else "",
)
ANSWERED_CHANGES = ActRule(
    "R11",
    "after a full review, each group with files that were not approved has a public comment of this turn",
    lambda s: (
        f"Say in a public comment what you did about {joined(s.groups_without_comment)}."
        if s.status is ReviewStatus.RETURNED and s.previous_reviews >= s.checkers and s.groups_without_comment
        else ""
    ),
)
CHECKER_ACTS = _unless(
    "R13",
    "an output checker acts, never on a request of their own",
    lambda s: s.checks,
    "Only output checkers who did not write the request may do this.",
)
UNDER_REVIEW_NOW = ActRule(
    "R13",
    "the request is under review",
    lambda s: "" if s.status in UNDER_REVIEW else f"The request is {STATES[s.status].words}; it is not under review.",
)
VOTES_ON_OUTPUTS = _unless(
    "R13",
    "votes are on output files",
    lambda s: s.file_type is FileType.OUTPUT,
    "Only output files are voted on; this one never leaves.",
)
RESET_BEFORE_SUBMITTING = _unless(
    "R13",
    "a vote is taken back only before the review is submitted; afterwards it can be changed",
    lambda s: s.own_vote is not None and s.username not in s.submitted,
    "You have not voted on this file, or your review is submitted: change your vote instead.",
)
ALL_VOTED = ActRule(
    "R14",
    "a review has a vote on each output file",
    lambda s: f"Vote on {joined(s.files_not_voted)} first." if s.files_not_voted else "",
)
CHANGES_EXPLAINED = ActRule(
    "R14",
    "who asks for changes says in the group, in this turn, which ones",
    lambda s: (
        f"Say in a comment on {joined(s.groups_without_comment)} what should change."
        if s.groups_without_comment
        else ""
    ),
)
ONCE_PER_TURN = _unless(
    "R14",
    "a review is submitted once in a turn",
    lambda s: s.username not in s.submitted,
    "You have submitted your review of this turn.",
)
ALL_REVIEWED = _unless(
    "R16",
    "all reviews that are needed are in",
    lambda s: s.status is ReviewStatus.REVIEWED,
    "Not all reviews are submitted yet.",
)
RETURN_EXPLAINED = ActRule(
    "R16",
    "each group with files that are not approved has a public comment of this turn",
    lambda s: (
        f"Write a public comment for the author on {joined(s.groups_without_comment)}."
        if s.groups_without_comment
        else ""
    ),
)
REVIEWS_ARE_MISSING = _unless(
    "R16",
    "a request is returned early while reviews are missing",
    lambda s: s.status in (ReviewStatus.SUBMITTED, ReviewStatus.PARTIALLY_REVIEWED),
    "All reviews are in; return the request with its decisions instead.",
)
ALL_APPROVED = ActRule(
    "R18",
    "every output file is approved",
    lambda s: f"Not approved: {joined(s.files_not_approved)}." if s.files_not_approved or not s.outputs else "",
)
UPLOADING = _unless(
    "R18",
    "an upload is tried again while the request is approved and not released",
    lambda s: s.status is ReviewStatus.APPROVED,
    "There is nothing to upload.",
)
TYPES_CHECKED_AGAIN = _unless(
    "R21",
    "types are looked at again just before the release",
    lambda s: s.is_type_allowed,
    "A file of this request has a type that may not leave.",
)
NOT_OVER = ActRule(
    "R20",
    "nothing is said of a request that is approved or over",
    lambda s: (
        f"The request is {STATES[s.status].words}; comments are closed."
        if s.status in FINAL or s.status is ReviewStatus.APPROVED
        else ""
    ),
)
COMMENTS_IN_TURN = _unless(
    "R20",
    "members comment in the author's turn, output checkers in both",
    lambda s: s.checks or ((s.is_author or s.is_member) and s.status in IN_AUTHORS_HANDS),
    "You may comment while the request is in the author's hands.",
)
CHECKERS_ARE_PRIVATE = _unless(
    "R19",
    "a private comment is an output checker's, while the request is under review",
    lambda s: s.checks and s.status in UNDER_REVIEW,
    "Only output checkers write private comments, and only during a review.",
)
OWN_COMMENT = _unless(
    "R20",
    "a comment is changed by who wrote it, in the turn in which they did",
    lambda s: s.username == s.comment_author and s.comment_turn == s.turn,
    "Only your own comments of this turn can be changed.",
)
PRIVATE_SO_FAR = _unless(
    "R20", "only a private comment becomes public", lambda s: not s.is_comment_public, "The comment is public already."
)


class Act(StrEnum):
    """What can be done at the review site."""

    VIEW = "view a workspace or a request"
    DOWNLOAD_FILE = "download a file of a request"
    CREATE_REQUEST = "create a request"
    ADD_FILE = "add a file"
    UPDATE_FILE = "update a file"
    MOVE_FILE = "change a file's group or type"
    WITHDRAW_FILE = "withdraw a file"
    EDIT_GROUP = "write a group's context and controls"
    JUSTIFY_FINDING = "justify a finding"
    REDACT_FILE = "redact a file"
    SUBMIT = "submit a request"
    WITHDRAW_REQUEST = "withdraw a request"
    CLAIM = "claim a request"
    VOTE = "vote on a file"
    RESET_VOTE = "take a vote back"
    SUBMIT_REVIEW = "submit a review"
    RETURN_EARLY = "return a request early"
    RETURN = "return a request"
    REJECT = "reject a request"
    APPROVE = "approve a request for release"
    RETRY_UPLOAD = "upload again"
    COMMENT = "comment in public"
    COMMENT_PRIVATELY = "comment in private"
    DELETE_COMMENT = "delete a comment"
    PUBLISH_COMMENT = "make a comment public"


_AUTHOR = (MAY_VIEW, AUTHOR_ACTS, MEMBER_WRITES, WORKSPACE_LIVES, IN_AUTHORS_TURN)
_CHECKER = (CHECKER_ACTS, UNDER_REVIEW_NOW)
_COMMENT = (MAY_VIEW, NOT_OVER, COMMENTS_IN_TURN)

ACTS: dict[Act, tuple[ActRule, ...]] = {
    Act.VIEW: (MAY_VIEW,),
    Act.DOWNLOAD_FILE: (CHECKER_DOWNLOADS,),
    Act.CREATE_REQUEST: (MEMBER_WRITES, WORKSPACE_LIVES),
    Act.ADD_FILE: (*_AUTHOR, TYPE_ALLOWED, ONCE_PER_REQUEST, CAN_BE_ADDED),
    Act.UPDATE_FILE: (*_AUTHOR, TYPE_ALLOWED, CAN_BE_UPDATED),
    Act.MOVE_FILE: (*_AUTHOR, CHANGES_SOMETHING),
    Act.WITHDRAW_FILE: (*_AUTHOR, NOT_WITHDRAWN),
    Act.EDIT_GROUP: _AUTHOR,
    Act.JUSTIFY_FINDING: _AUTHOR,
    Act.REDACT_FILE: _AUTHOR,
    Act.SUBMIT: (*_AUTHOR, HAS_OUTPUTS, CONTEXT_WRITTEN, FINDINGS_ANSWERED, ANSWERED_CHANGES, TYPES_CHECKED_AGAIN),
    Act.WITHDRAW_REQUEST: (AUTHOR_ACTS, IN_AUTHORS_TURN),
    Act.CLAIM: _CHECKER,
    Act.VOTE: (*_CHECKER, VOTES_ON_OUTPUTS),
    Act.RESET_VOTE: (*_CHECKER, VOTES_ON_OUTPUTS, RESET_BEFORE_SUBMITTING),
    Act.SUBMIT_REVIEW: (*_CHECKER, ONCE_PER_TURN, ALL_VOTED, CHANGES_EXPLAINED),
    Act.RETURN_EARLY: (*_CHECKER, REVIEWS_ARE_MISSING),
    Act.RETURN: (*_CHECKER, ALL_REVIEWED, RETURN_EXPLAINED),
    Act.REJECT: (*_CHECKER, ALL_REVIEWED),
    Act.APPROVE: (*_CHECKER, ALL_REVIEWED, ALL_APPROVED, TYPES_CHECKED_AGAIN),
    Act.RETRY_UPLOAD: (CHECKER_ACTS, UPLOADING),
    Act.COMMENT: _COMMENT,
    Act.COMMENT_PRIVATELY: (MAY_VIEW, NOT_OVER, CHECKERS_ARE_PRIVATE),
    Act.DELETE_COMMENT: (*_COMMENT, OWN_COMMENT),
    Act.PUBLISH_COMMENT: (MAY_VIEW, NOT_OVER, CHECKERS_ARE_PRIVATE, OWN_COMMENT, PRIVATE_SO_FAR),
}
"""What each act is held to, in the order in which it is told."""


class ActRefused(Exception):
    """Somebody may not do this now; says why in a sentence, and what to do."""


def refusal_of(act: Act, situation: Situation) -> str:
    """Return why the act may not be done, by the first rule that it breaks; "" when it may."""
    return next((refusal for rule in ACTS[act] if (refusal := rule.refusal(situation))), "")


def refusals_of(act: Act, situation: Situation) -> list[str]:
    """Return every reason why the act may not be done, in the order of its rules."""
    return [refusal for rule in ACTS[act] if (refusal := rule.refusal(situation))]


def check(act: Act, situation: Situation) -> None:
    """Raise ActRefused unless the act may be done."""
    if refusal := refusal_of(act, situation):
        raise ActRefused(refusal)
