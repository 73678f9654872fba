"""Who looks: a person with what they may do on this backend, as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carrel.messages.level4 import WorkspaceDetails
from carrel.review.machine import ReviewStatus
from carrel.review.rules import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """One signed-in person. `workspaces`: theirs by membership, by name; `levels`: of data that they may open here."""

    username: str
    fullname: str
    workspaces: Mapping[str, WorkspaceDetails] = field(default_factory=dict)
    copiloted: Mapping[str, WorkspaceDetails] = field(default_factory=dict)
    is_checker: bool = False
    may_read_all: bool = False
    levels: frozenset[int] = frozenset()

    def details(self, workspace: str) -> WorkspaceDetails | None:
        """Return what the job server said of a workspace; None where it said nothing to this person."""
        return self.workspaces.get(workspace) or self.copiloted.get(workspace)

    def situation(
        self,
        workspace: str,
        *,
        author: str = "",
        status: ReviewStatus = ReviewStatus.PENDING,
        **more: Any,
    ) -> Situation:
        """Return what is true when this person acts in a workspace, on a request of `author` in `status`."""
        details = self.details(workspace)
        return Situation(
            username=self.username,
            is_member=workspace in self.workspaces,
            is_copilot=workspace in self.copiloted,
            is_checker=self.is_checker,
            may_read_all=self.may_read_all,
            is_archived=details.archived if details else False,
            is_ongoing=details.project_details.ongoing if details else True,
            author=author,
            status=status,
            **more,
        )
