"""What a request looks like to its controller, and when one that could not be sent is sent again. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from carrel.messages.rap import AnalysisScope, RapCreateRequest

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 15.0
"""Between two tries to send a request, or a cancellation: a controller that was started again is asked soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestToSend:
    """One backend's part of a run, with all that its controller has to know. `permissions`: (kind, name) pairs."""

    identifier: str
    backend: str
    workspace: str
    repo_url: str
    branch: str
    commit: str
    database_name: str
    requested_actions: tuple[str, ...]
    codelists_ok: bool
    force_run_dependencies: bool
    created_by: str
    project: str
    organisations: tuple[str, ...] = ()
    permissions: tuple[tuple[str, str], ...] = ()

    def message(self) -> RapCreateRequest:
        """Return the body of `rap/create/`. Raises ValueError (pydantic's) when the contract cannot carry it."""
        return RapCreateRequest(
            backend=self.backend,
            rap_id=self.identifier,
            workspace=self.workspace,
            repo_url=self.repo_url,
            branch=self.branch,
            commit=self.commit,
            database_name=self.database_name,
            requested_actions=list(self.requested_actions),
            codelists_ok=self.codelists_ok,
            force_run_dependencies=self.force_run_dependencies,
            created_by=self.created_by,
            project=self.project,
            orgs=list(self.organisations),
            analysis_scope=scope_of(self.permissions),
        )


def scope_of(permissions: Iterable[tuple[str, str]]) -> AnalysisScope | None:
    """Return a project's permissions as the wire has them; None when there are none."""
    names: dict[str, list[str]] = defaultdict(list)
    for kind, name in permissions:
        names[kind].append(name)
    return AnalysisScope.model_validate(names) if names else None
