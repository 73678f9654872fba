"""Regular requests: `regular_release_requests.json` says of which folders, and a timer runs the command every day.

Source: review-and-release.md section 2.6, "Automation". A request is made of what is new; where there is nothing new,
or the last one is still being looked at, none is. Nothing is approved by this: checkers look as ever.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from carrel.review.accounts import viewer
from carrel.review.machine import FINAL, ReviewStatus
from carrel.review.models import Account, ReleaseRequest
from carrel.review.queries.file_states import file_states
from carrel.review.rules import ActRefused, FileState, FileType
from carrel.review.service import files, groups, requests
from carrel.review.signing_in import with_current_rights
from carrel.review.viewers import Viewer
from carrel.review.workspaces import ListedWorkspace, read_workspace
from carrel.units.limits import MAX_REGULAR_REQUESTS_BYTES


class RegularRequest(BaseModel):
    """One entry of the file. `username` null: who ran what made the newest output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str | None = None
    workspace_name: str
    dirs: list[str] = Field(min_length=1)
    """Each is a group of the request."""
    context: str = ""
    controls: str = ""
    supporting_files: list[str] = []
    submit_request: bool = Field(False, alias="submit")


class RegularRequestsUnreadable(Exception):
    """The file cannot be used; says why."""


def read_regular_requests(path: Path) -> list[RegularRequest]:
    """Read the file. Raises RegularRequestsUnreadable."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_REGULAR_REQUESTS_BYTES + 1)
        if len(data) > MAX_REGULAR_REQUESTS_BYTES:
            raise RegularRequestsUnreadable(f"{path} is longer than {MAX_REGULAR_REQUESTS_BYTES:,} bytes.")
        regular = TypeAdapter(list[RegularRequest]).validate_json(data)
    except OSError as error:
        raise RegularRequestsUnreadable(f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise RegularRequestsUnreadable(f"{path}: {'; '.join(faults[:10])}.") from None
    for entry in regular:
        if entry.submit_request and not (entry.context.strip() and entry.controls.strip()):
            raise RegularRequestsUnreadable(
                f"{path}: the entry of {entry.workspace_name} is to be submitted, and has no context or no controls."
            )
    return regular


def make_regular_requests(regular: list[RegularRequest]) -> Iterator[str]:
    """Make what is due, and yield what became of each entry; one that fails stops no other."""
    for entry in regular:
        try:
            yield f"{entry.workspace_name}: {_make(entry)}"
        except ActRefused as error:
            yield f"{entry.workspace_name}: not made: {error}"


def _make(entry: RegularRequest) -> str:
    workspace = read_workspace(entry.workspace_name)
    author = _author(entry, workspace)
    active = ReleaseRequest.objects.filter(workspace=workspace.name, author_id=author.username, is_automatic=True)
    before = active.exclude(status__in=FINAL).first()
    if before is not None and before.status != ReviewStatus.PENDING:
        return f"nothing new is asked for while {before.pk} is not over"
    states = file_states(author, workspace)
    is_new = {path for path, state in states.items() if state in (FileState.UNRELEASED, FileState.WITHDRAWN)}
    chosen = {
        folder: sorted(path for path in is_new if PurePosixPath(path).is_relative_to(folder.strip("/")))
        for folder in entry.dirs
    }
    if not any(chosen.values()) and before is None:
        return "nothing is new"
    # A request that is being prepared is what a run left that was killed: it is finished.
    request = before or requests.create(author, workspace.name, title="Regular request", is_automatic=True)
    refused: dict[str, str] = {}
    for folder, paths in chosen.items():
        name = folder.strip("/").replace("/", " ") or "all"
        refused |= files.add_all(author, request, paths, group=name)[1]
        groups.describe(author, request, name, context=entry.context, controls=entry.controls)
    first = entry.dirs[0].strip("/").replace("/", " ") or "all"
    supporting = [path for path in entry.supporting_files if not request.files.filter(path=path).exists()]
    refused |= files.add_all(author, request, supporting, group=first, file_type=FileType.SUPPORTING)[1]
    problems = "".join(f"; {path}: {why}" for path, why in refused.items())
    if entry.submit_request and not refused:
        requests.submit(author, request)
        return f"{request.pk} is submitted"
    return f"{request.pk} is prepared{problems}"


def _author(entry: RegularRequest, workspace: ListedWorkspace) -> Viewer:
    """Return for whom the request is. Raises ActRefused."""
    records = [file.record for file in workspace.files.values() if file.record]
    newest = max(records, key=lambda record: record.timestamp, default=None)
    username, now = entry.username or (newest.user if newest else ""), timezone.now()
    account = Account.objects.prefetch_related("levels").filter(pk=username, is_active=True).first()
    author = viewer(with_current_rights(account, now), now) if account else None
    if author is None:
        raise ActRefused(f"{username or 'nobody'} has no account here, or what it may do is not known just now.")
    return author
