"""All of one release request as values, read in a constant number of queries, and what follows from them."""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass

from carrel.review.decisions import FileDecision, Vote, decision_of
from carrel.review.machine import STATES, ReviewPhase, ReviewStatus
from carrel.review.models import (
    Comment,
    DisclosureCheck,
    FileFinding,
    FileGroup,
    FileVote,
    ReleaseRequest,
    RequestFile,
    SubmittedReview,
)
from carrel.review.rules import FileType


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContents:
    """One request, its groups and files in order, and what was said of them. `comments`: those not deleted."""

    request: ReleaseRequest
    groups: tuple[FileGroup, ...]
    files: tuple[RequestFile, ...]
    votes: Mapping[int, tuple[FileVote, ...]]
    """By the file's key; of whatever bytes."""
    submitted: frozenset[str]
    """Who has submitted a review in this turn."""
    comments: tuple[Comment, ...]
    checks: Mapping[int, DisclosureCheck]
    """The last look of the disclosure rules at each file's bytes, by the file's key."""
    findings: Mapping[int, tuple[FileFinding, ...]]
    """What that look found, by the file's key."""

    @property
    def status(self) -> ReviewStatus:
        return ReviewStatus(self.request.status)

    @property
    def phase(self) -> ReviewPhase:
        return STATES[self.status].phase

    @property
    def outputs(self) -> tuple[RequestFile, ...]:
        """The files that will leave."""
        return tuple(file for file in self.files if file.file_type == FileType.OUTPUT)

    @property
    def current_files(self) -> tuple[RequestFile, ...]:
        """Those that are not withdrawn."""
        return tuple(file for file in self.files if file.file_type != FileType.WITHDRAWN)

    def votes_on(self, file: RequestFile) -> dict[str, Vote]:
        """Return the votes on a file's present bytes, by username. The author's would never count."""
        return {
            vote.checker_id: Vote(vote.vote)
            for vote in self.votes.get(file.pk, ())
            if vote.sha256 == file.sha256 and vote.checker_id != self.request.author_id
        }

    def decision(self, file: RequestFile) -> FileDecision:
        """Return the decision by the reviews of this turn."""
        return decision_of(self.votes_on(file), self.submitted, self.request.checkers)

    def earlier_decision(self, file: RequestFile) -> FileDecision:
        """Return the decision by the reviews that were in when the checkers' last turn ended."""
        return decision_of(self.votes_on(file), set(self.request.previous_reviewers), self.request.checkers)

    def not_voted(self, username: str) -> tuple[RequestFile, ...]:
        """Return the outputs on which somebody has no vote that counts."""
        return tuple(
            file for file in self.outputs if self.votes_on(file).get(username, Vote.UNDECIDED) is Vote.UNDECIDED
        )

    def groups_without_context(self) -> tuple[str, ...]:
        """Return the names of the groups that have files and lack a context or controls (R10)."""
        used = {file.group_id for file in self.current_files}
        return tuple(
            group.name
            for group in self.groups
            if group.pk in used and not (group.context.strip() and group.controls.strip())
        )

    def open_findings(self) -> tuple[str, ...]:
        """Return the paths of outputs with findings that nobody has justified."""
        return tuple(
            file.path
            for file in self.outputs
            if any(not finding.justification for finding in self.findings.get(file.pk, ()))
        )

    def groups_not_commented(self, files: Set[int], *, by: str = "", is_public: bool = False) -> tuple[str, ...]:
        """Return the groups of these files in which nobody commented in this turn; `by`: nobody of that name."""
        commented = {
            comment.group_id
            for comment in self.comments
            if comment.turn == self.request.turn
            and (not by or comment.author_id == by)
            and (not is_public or comment.is_public)
        }
        names = {group.pk: group.name for group in self.groups}
        groups = {file.group_id for file in self.files if file.pk in files} - commented
        return tuple(sorted(names[key] for key in groups))


def contents_of(request: ReleaseRequest) -> RequestContents:
    """Read one request, in eight queries or fewer."""
    votes, findings = defaultdict(list), defaultdict(list)
    for vote in FileVote.objects.filter(file__request=request).order_by("created_at", "pk"):
        votes[vote.file_id].append(vote)
    files = tuple(request.files.select_related("group").order_by("group__name", "path"))
    hashes = {file.pk: file.sha256 for file in files}
    # Later looks take the place of earlier ones at the same bytes.
    checks = {
        look.file_id: look
        for look in DisclosureCheck.objects.filter(file__request=request).order_by("pk")
        if look.sha256 == hashes[look.file_id]
    }
    for finding in FileFinding.objects.filter(check_run__in=checks.values()).order_by("line", "pk"):
        findings[finding.check_run_id].append(finding)
    return RequestContents(
        request=request,
        groups=tuple(request.groups.order_by("name")),
        files=files,
        votes={key: tuple(rows) for key, rows in votes.items()},
        submitted=frozenset(
            SubmittedReview.objects.filter(request=request, turn=request.turn).values_list("checker_id", flat=True)
        ),
        comments=tuple(request.comments.filter(deleted_at=None).select_related("author").order_by("created_at", "pk")),
        checks=checks,
        findings={key: tuple(findings[look.pk]) for key, look in checks.items()},
    )
