"""Who may do what and when: every act by every kind of person in every status, against a table written by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carrel.review import rules_page
from carrel.review.audit_types import CONTRACT_TYPES
from carrel.review.decisions import Vote
from carrel.review.machine import ReviewStatus
from carrel.review.rules import Act, ActRefused, FileState, FileType, Situation, check, refusal_of

PAGE = Path(__file__).parents[2] / "docs/reference/release-requests.md"
PEOPLE: dict[str, dict[str, Any]] = {
    "stranger": {},
    "member": {"is_member": True},
    "copilot": {"is_copilot": True},
    "reader": {"may_read_all": True},
    "author": {"username": "ann", "is_member": True},
    "author who checks": {"username": "ann", "is_member": True, "is_checker": True},
    "author who left": {"username": "ann"},
    "checker": {"is_checker": True},
    "checker and member": {"is_checker": True, "is_member": True},
}
SEES = "member, copilot, reader, author, author who checks, checker, checker and member"
MEMBERS = "member, author, author who checks, checker and member"
AUTHORS = "author, author who checks"
CHECKERS = "checker, checker and member"
ALWAYS = " ".join(ReviewStatus)
AUTHORS_TURN = "PENDING RETURNED"
REVIEW = "SUBMITTED PARTIALLY_REVIEWED REVIEWED"
OPEN = f"{AUTHORS_TURN} {REVIEW}"

ORACLE: dict[Act, dict[str, str]] = {
    Act.VIEW: {SEES: ALWAYS},  # R1
    Act.DOWNLOAD_FILE: {CHECKERS: ALWAYS},  # R3
    Act.CREATE_REQUEST: {MEMBERS: ALWAYS},  # R4
    Act.ADD_FILE: {AUTHORS: AUTHORS_TURN},  # R5
    Act.UPDATE_FILE: {AUTHORS: AUTHORS_TURN},  # R7
    Act.MOVE_FILE: {AUTHORS: AUTHORS_TURN},  # R8
    Act.WITHDRAW_FILE: {AUTHORS: AUTHORS_TURN},  # R9
    Act.EDIT_GROUP: {AUTHORS: AUTHORS_TURN},  # R10
    Act.JUSTIFY_FINDING: {AUTHORS: AUTHORS_TURN},
    Act.REDACT_FILE: {AUTHORS: AUTHORS_TURN},
    Act.SUBMIT: {AUTHORS: AUTHORS_TURN},  # R10 to R12
    Act.WITHDRAW_REQUEST: {f"{AUTHORS}, author who left": AUTHORS_TURN},  # 2.2: only the author
    Act.CLAIM: {CHECKERS: REVIEW},
    Act.VOTE: {CHECKERS: REVIEW},  # R13
    Act.RESET_VOTE: {CHECKERS: REVIEW},  # R13
    Act.SUBMIT_REVIEW: {CHECKERS: REVIEW},  # R14
    Act.RETURN_EARLY: {CHECKERS: "SUBMITTED PARTIALLY_REVIEWED"},  # R16
    Act.RETURN: {CHECKERS: "REVIEWED"},  # R16
    Act.REJECT: {CHECKERS: "REVIEWED"},
    Act.APPROVE: {CHECKERS: "REVIEWED"},  # R18
    Act.RETRY_UPLOAD: {CHECKERS: "APPROVED"},  # 2.2: may re-trigger by checker
    Act.COMMENT: {CHECKERS: OPEN, f"{AUTHORS}, member": AUTHORS_TURN},  # R19, R20
    Act.COMMENT_PRIVATELY: {CHECKERS: REVIEW},  # R19
    Act.DELETE_COMMENT: {CHECKERS: OPEN, f"{AUTHORS}, member": AUTHORS_TURN},  # R20: same window
    Act.PUBLISH_COMMENT: {CHECKERS: REVIEW},  # R20
}


def situation(act: Act, person: str, status: ReviewStatus) -> Situation:
    """All else is as the act asks for: one file, voted on and approved, an own comment of this turn."""
    about = {"username": "zoe", **PEOPLE[person]}
    return Situation(
        **about,
        author="ann",
        status=status,
        outputs=1,
        own_vote=Vote.APPROVED,
        file_state=FileState.UPDATED if act is Act.UPDATE_FILE else FileState.UNRELEASED,
        comment_author=about["username"],
        is_comment_public=act is not Act.PUBLISH_COMMENT,
    )


@pytest.mark.parametrize("act", Act)
def test_every_act(act: Act) -> None:
    allowed = {
        (person, status)
        for people, statuses in ORACLE[act].items()
        for person in people.split(", ")
        for status in statuses.split()
    }
    found = {
        (person, status.value)
        for person in PEOPLE
        for status in ReviewStatus
        if not refusal_of(act, situation(act, person, status))
    }
    assert found == allowed


BREACHES: list[tuple[Act, dict[str, Any], str]] = [
    (Act.CREATE_REQUEST, {"is_archived": True}, "archived"),
    (Act.CREATE_REQUEST, {"is_ongoing": False}, "has ended"),
    (Act.EDIT_GROUP, {"is_archived": True}, "archived"),
    (Act.SUBMIT, {"is_ongoing": False}, "has ended"),
    (Act.ADD_FILE, {"is_type_allowed": False}, "this type"),
    (Act.ADD_FILE, {"is_on_request": True}, "already"),
    (Act.ADD_FILE, {"file_state": FileState.RELEASED}, "supporting file only"),
    (Act.ADD_FILE, {"file_state": FileState.UNDER_REVIEW}, "under review"),
    (Act.ADD_FILE, {"file_state": FileState.UPDATED}, "updated"),
    (Act.ADD_FILE, {"file_state": FileState.INVALID}, "invalid"),
    (Act.UPDATE_FILE, {"file_state": FileState.UNDER_REVIEW}, "no other version"),
    (Act.UPDATE_FILE, {"file_state": FileState.INVALID}, "no other version"),
    (Act.MOVE_FILE, {"has_change": False}, "nothing to change"),
    (Act.MOVE_FILE, {"file_type": FileType.WITHDRAWN}, "withdrawn"),
    (Act.WITHDRAW_FILE, {"file_type": FileType.WITHDRAWN}, "withdrawn already"),
    (Act.SUBMIT, {"outputs": 0}, "at least one output"),
    (Act.SUBMIT, {"groups_without_context": ("a", "b")}, "of a and b first"),
    (Act.SUBMIT, {"findings_open": ("t.csv",)}, "findings in t.csv"),
    (Act.SUBMIT, {"is_type_allowed": False}, "may not leave"),
    (Act.VOTE, {"file_type": FileType.SUPPORTING}, "never leaves"),
    (Act.RESET_VOTE, {"own_vote": None}, "not voted"),
    (Act.RESET_VOTE, {"submitted": frozenset({"zoe"})}, "change your vote"),
    (Act.SUBMIT_REVIEW, {"files_not_voted": ("t.csv",)}, "Vote on t.csv"),
    (Act.SUBMIT_REVIEW, {"groups_without_comment": ("a",)}, "comment on a"),
    (Act.SUBMIT_REVIEW, {"submitted": frozenset({"zoe"})}, "submitted your review"),
    (Act.RETURN, {"groups_without_comment": ("a",)}, "public comment"),
    (Act.APPROVE, {"files_not_approved": ("t.csv",)}, "Not approved: t.csv"),
    (Act.APPROVE, {"outputs": 0}, "Not approved"),
    (Act.APPROVE, {"is_type_allowed": False}, "may not leave"),
    (Act.DELETE_COMMENT, {"comment_author": "bob"}, "your own comments"),
    (Act.DELETE_COMMENT, {"comment_turn": 1, "turn": 2}, "this turn"),
    (Act.PUBLISH_COMMENT, {"is_comment_public": True}, "public already"),
]


@pytest.mark.parametrize(("act", "breach", "says"), BREACHES)
def test_one_breach_refuses(act: Act, breach: dict[str, Any], says: str) -> None:
    person, status = next(
        (people.split(", ")[0], ReviewStatus(statuses.split()[0])) for people, statuses in ORACLE[act].items()
    )
    fitting = situation(act, person, status)
    check(act, fitting)
    with pytest.raises(ActRefused, match=says):
        check(act, replace(fitting, **breach))


@pytest.mark.parametrize(
    ("previous", "status", "is_refused"),
    [(2, "RETURNED", True), (1, "RETURNED", False), (2, "PENDING", False)],
)
def test_a_full_review_is_answered_in_public(previous: int, status: str, is_refused: bool) -> None:
    """R11: after an early return nobody needs to say anything."""
    resubmitting = situation(Act.SUBMIT, "author", ReviewStatus(status))
    resubmitting = replace(resubmitting, previous_reviews=previous, groups_without_comment=("tables",))
    assert bool(refusal_of(Act.SUBMIT, resubmitting)) is is_refused


def test_the_page_says_what_the_code_does() -> None:
    command = "python -m carrel.review.rules_page > docs/reference/release-requests.md"
    assert PAGE.read_text() == rules_page.page(), command
    assert len(CONTRACT_TYPES) == 25
