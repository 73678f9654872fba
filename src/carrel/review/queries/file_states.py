"""How the files of a workspace stand to what was requested and released, for whoever looks."""

from collections import defaultdict

from carrel.review.machine import FINAL
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.rules import FileState, FileType
from carrel.review.viewers import Viewer
from carrel.review.workspaces import ListedWorkspace, RequestedContent, WorkspaceOutput, state_of


def file_states(viewer: Viewer, workspace: ListedWorkspace) -> dict[str, FileState]:
    """Return the state of each output of a workspace by its path, from the viewer's own active requests."""
    rows = RequestFile.objects.filter(request__workspace=workspace.name, request__author_id=viewer.username)
    requested = defaultdict(list)
    for path, sha256, file_type in rows.exclude(request__status__in=FINAL).values_list("path", "sha256", "file_type"):
        requested[path].append(RequestedContent(sha256=sha256, file_type=FileType(file_type)))
    released = set(
        RequestFile.objects.filter(request__workspace=workspace.name)
        .exclude(released_at=None)
        .values_list("sha256", flat=True)
    )
    return {
        path: state_of(output.record.content_hash, released=released, requested=requested[path])
        for path, output in workspace.files.items()
        if output.record and output.can_be_requested
    }


def state_on(request: ReleaseRequest, path: str, output: WorkspaceOutput | None, file_type: FileType) -> FileState:
    """Return how a file of the request's workspace stands when it is to be added to, or updated on, this request.

    The same bytes on another active request of the author count for an output: checkers would read them twice.
    """
    if output is None or output.record is None or not output.can_be_requested:
        return FileState.INVALID
    content_hash = output.record.content_hash
    others = RequestFile.objects.none()
    if file_type is FileType.OUTPUT:
        others = RequestFile.objects.filter(
            request__workspace=request.workspace, request__author=request.author_id, path=path, sha256=content_hash
        ).exclude(request__status__in=FINAL)
        others = others.exclude(file_type=FileType.WITHDRAWN)
    rows = [*request.files.filter(path=path), *others.exclude(request=request)]
    return state_of(
        content_hash,
        released={content_hash} if is_released(request.workspace, content_hash) else frozenset(),
        requested=[RequestedContent(sha256=row.sha256, file_type=FileType(row.file_type)) for row in rows],
    )


def is_released(workspace: str, sha256: str) -> bool:
    """Tell whether these contents were ever released from a workspace."""
    rows = RequestFile.objects.filter(request__workspace=workspace, sha256=sha256)
    return rows.exclude(released_at=None).exists()
