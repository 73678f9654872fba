"""The service walked at random: whatever people do in whatever order, the promises of a review hold after each step."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.support.review import WORKSPACE, add_account, add_outputs, viewer_for

from carrel.review import copies
from carrel.review.chain import first_fault
from carrel.review.decisions import Vote
from carrel.review.machine import FINAL, IN_AUTHORS_HANDS, STATES, ReviewPhase, ReviewStatus
from carrel.review.models import (
    AuditEvent,
    Comment,
    FileFinding,
    FileGroup,
    FileVote,
    ReleaseRequest,
    RequestFile,
    SubmittedReview,
)
from carrel.review.queries.contents import contents_of
from carrel.review.queries.visible import verdict, visible_comments
from carrel.review.rules import ActRefused, FileType
from carrel.review.service import comments, files, groups, releases, requests, votes
from carrel.review.service.audit import as_json

pytestmark = pytest.mark.django_db

TABLES = [f"plan,visits\na,{number}\n".encode() for number in (120, 130)]
PATHS = ("a.csv", "b.csv")
KEPT = (ReleaseRequest, FileGroup, RequestFile, FileVote, SubmittedReview, Comment, FileFinding, AuditEvent)
PEOPLE = ("ann", "bob", "cat", "dan", "eve")
CHECKERS = ("bob", "cat", "dan")
CHANGES = ("update", "move", "support", "withdraw", "redact")
MOVES = (requests.submit, requests.withdraw, requests.return_early, requests.reject, votes.submit_review)
person, checker = st.sampled_from(PEOPLE), st.sampled_from(CHECKERS)
path, table = st.sampled_from(PATHS), st.sampled_from(TABLES)


def everything() -> list[list[Any]]:
    return [list(model.objects.order_by("pk").values_list()) for model in KEPT]


class Walk(RuleBasedStateMachine):
    """One request of Ann's, whom Eve works with; Bob, Cat and Dan check. Two of them must agree."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        accounts = [
            *(add_account(name, WORKSPACE) for name in ("ann", "eve")),
            *(add_account(name, is_checker=True) for name in CHECKERS),
        ]
        self.people = {account.pk: viewer_for(account) for account in accounts}
        add_outputs(dict.fromkeys(PATHS, TABLES[0]))
        self.request = requests.create(self.people["ann"], WORKSPACE)
        self.words: dict[tuple[str, str], tuple[Vote, str]] = {}
        """What each checker said last of each file, with the bytes that they saw: told apart from the rows."""

    def teardown(self) -> None:
        events = AuditEvent.objects.order_by("number")
        assert first_fault(map(as_json, events)) == ""
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def do(self, act: Callable[[], Any]) -> Any:
        """Do something that may be refused; then nothing has changed."""
        before = everything()
        try:
            result = act()
        except ActRefused:
            assert everything() == before
            result = None
        self.request.refresh_from_db()
        return result

    @rule(data=st.data(), who=person, name=path)
    def tinker(self, data: st.DataObject, who: str, name: str) -> None:
        """Anything at all, by anybody; most of it is refused."""
        votes_given = st.sampled_from([Vote.APPROVED, Vote.CHANGES_REQUESTED])
        acts: dict[str, Callable[[], None]] = {
            "add": lambda: self.add(who, name, data.draw(st.sampled_from([FileType.OUTPUT, FileType.SUPPORTING]))),
            "change": lambda: self.change(who, name, data.draw(st.sampled_from(CHANGES))),
            "say": lambda: self.say(who, name, data.draw(st.booleans())),
            "cast": lambda: self._cast(who, self.row(name), data.draw(votes_given)),
            "take back": lambda: self.take_back(who, name),
            "move": lambda: self.move(who, data.draw(st.sampled_from(MOVES))),
        }
        acts[data.draw(st.sampled_from(sorted(acts)))]()

    def row(self, name: str) -> RequestFile | None:
        return self.request.files.select_related("group", "request").filter(path=name).first()

    @rule(name=path, data=table)
    def run_again(self, name: str, data: bytes) -> None:
        add_outputs({name: data})

    def add(self, who: str, name: str, file_type: FileType) -> None:
        self.do(lambda: files.add(self.people[who], self.request, name, file_type=file_type))

    def change(self, who: str, name: str, what: str) -> None:
        viewer, file = self.people[who], self.row(name)
        if file is None:
            return
        acts = {
            "update": lambda: files.update(viewer, file),
            "move": lambda: files.move_file(viewer, file, group="other"),
            "support": lambda: files.move_file(viewer, file, file_type=FileType.SUPPORTING),
            "withdraw": lambda: files.withdraw_file(viewer, file),
            "redact": lambda: files.redact(viewer, file, b"plan,visits\na,[redacted]\n", reason="Small."),
        }
        was_changed = self.do(lambda: [acts[what]()]) is not None
        if was_changed and what != "update":
            for key in [key for key in self.words if key[1] in (name, files.redacted_path(name))]:
                del self.words[key]

    def say(self, who: str, name: str, is_public: bool) -> None:
        file = self.row(name)
        self.do(lambda: comments.comment(self.people[who], self.request, "Round.", is_public=is_public, file=file))

    def _cast(self, who: str, file: RequestFile | None, choice: Vote) -> None:
        if file and self.do(lambda: votes.vote(self.people[who], file, choice, sha256=file.sha256)):
            self.words[who, file.path] = (choice, file.sha256)

    def take_back(self, who: str, name: str) -> None:
        file = self.row(name)
        if file and self.do(lambda: [votes.reset(self.people[who], file)]):
            # One that a turn made undecided can be taken back too, and says nothing any more.
            self.words.pop((who, name), None)

    def move(self, who: str, act: Callable[..., Any]) -> None:
        turn = self.request.turn
        if self.do(lambda: act(self.people[who], self.request)) and act is requests.return_early:
            given = FileVote.objects.filter(file__request=self.request, turn=turn)
            for vote in given.select_related("file"):
                self.words.pop((vote.checker_id, vote.file.path), None)
        if act is requests.submit:
            self._forget_refusals()

    def _forget_refusals(self) -> None:
        if self.request.status == ReviewStatus.SUBMITTED:
            self.words = {key: word for key, word in self.words.items() if word[0] is Vote.APPROVED}

    @precondition(lambda self: ReviewStatus(self.request.status) in IN_AUTHORS_HANDS)
    @rule()
    def hand_in(self) -> None:
        """All that an author must do, at once."""
        ann = self.people["ann"]
        self.do(lambda: files.add(ann, self.request, "a.csv"))
        for group in list(self.request.groups.all()):
            self.do(lambda group=group: groups.describe(ann, self.request, group.name, context="C.", controls="R."))
            self.do(lambda group=group: comments.comment(ann, self.request, "Done.", is_public=True, group=group))
        self.do(lambda: requests.submit(ann, self.request))
        self._forget_refusals()

    @precondition(lambda self: self.request.status == ReviewStatus.RETURNED)
    @rule(name=path, what=st.sampled_from(CHANGES), data=table)
    def rework(self, name: str, what: str, data: bytes) -> None:
        """An author changes something after a review."""
        self.run_again(name, data)
        self.change("ann", name, what)

    @precondition(lambda self: STATES[ReviewStatus(self.request.status)].phase is ReviewPhase.INDEPENDENT)
    @rule(who=checker, choice=st.sampled_from([Vote.APPROVED, Vote.APPROVED, Vote.CHANGES_REQUESTED]))
    def review(self, who: str, choice: Vote) -> None:
        """All that a checker must do, at once: what they have voted on needs no vote."""
        for file in contents_of(self.request).not_voted(who):
            self._cast(who, file, choice)
            self.do(lambda file=file: comments.comment(self.people[who], self.request, "X", is_public=True, file=file))
        self.do(lambda: votes.submit_review(self.people[who], self.request))

    @precondition(lambda self: self.request.status == ReviewStatus.PARTIALLY_REVIEWED)
    @rule(who=checker)
    def give_back(self, who: str) -> None:
        self.move(who, requests.return_early)

    @precondition(lambda self: self.request.status == ReviewStatus.REVIEWED)
    @rule(who=checker)
    def decide(self, who: str) -> None:
        self.do(lambda: requests.approve(self.people[who], self.request)) or self.do(
            lambda: requests.return_to_author(self.people[who], self.request)
        )

    @precondition(lambda self: self.request.status == ReviewStatus.APPROVED)
    @rule()
    def upload(self) -> None:
        for file in releases.waiting_files(self.request):
            with releases.opened_for_upload(file) as stream:
                assert hashlib.sha256(stream.read()).hexdigest() == file.sha256
            self.do(lambda file=file: releases.uploaded(file, file.sha256))

    @invariant()
    def only_approved_bytes_may_leave(self) -> None:
        for file in self.request.files.all():
            approving = {who for who in CHECKERS if self.words.get((who, file.path)) == (Vote.APPROVED, file.sha256)}
            if file.released_at is not None or file.uploaded_at is not None:
                assert len(approving) >= self.request.checkers >= 1
                assert self.request.status in (ReviewStatus.APPROVED, ReviewStatus.RELEASED)
                assert file.file_type == FileType.OUTPUT
            with copies.opened(WORKSPACE, self.request.pk, file.sha256):
                pass

    @invariant()
    def nobody_sees_others_while_each_decides_alone(self) -> None:
        contents = contents_of(self.request)
        if contents.phase is not ReviewPhase.INDEPENDENT:
            return
        for viewer in self.people.values():
            fresh = [comment for comment in visible_comments(viewer, contents) if comment.turn == self.request.turn]
            assert {comment.author_id for comment in fresh} <= {viewer.username}
            for file in contents.files:
                shown = verdict(viewer, contents, file)
                assert (shown.others, shown.decision) == (None, None)

    @invariant()
    def turns_are_counted(self) -> None:
        turns = ("REQUEST_SUBMIT", "REQUEST_RETURN", "REQUEST_EARLY_RETURN")
        assert self.request.turn == AuditEvent.objects.filter(event_type__in=turns).count()
        in_turn = SubmittedReview.objects.filter(turn=self.request.turn).count()
        if self.request.status == ReviewStatus.REVIEWED:
            assert in_turn >= self.request.checkers
        elif STATES[ReviewStatus(self.request.status)].phase is ReviewPhase.INDEPENDENT:
            assert in_turn < self.request.checkers
        if ReviewStatus(self.request.status) in FINAL:
            assert not self.request.claims.filter(ended_at=None).exists()


def test_promises_hold_on_random_walks() -> None:
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            phases=[Phase.generate],  # to make a walk shorter takes longer than a test may
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            database=None,
        ),
    )
