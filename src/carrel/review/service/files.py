"""Files of a request: added, updated, moved, withdrawn, and redacted versions beside them (R5 to R9)."""

import hashlib
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from django.utils import timezone

from carrel.review import copies
from carrel.review.audit_types import AuditType
from carrel.review.decisions import Vote
from carrel.review.machine import ReviewStatus
from carrel.review.models import FileVote, ReleaseRequest, RequestFile
from carrel.review.models.requests import NAME_LENGTH
from carrel.review.policy import get as policy
from carrel.review.queries.contents import RequestContents
from carrel.review.queries.file_states import is_released, state_on
from carrel.review.queries.situations import situation_of
from carrel.review.rules import Act, ActRefused, FileType, check
from carrel.review.service import findings
from carrel.review.service.changes import acting, contents_now, log, written
from carrel.review.service.groups import DEFAULT_GROUP, group_named
from carrel.review.viewers import Viewer
from carrel.review.workspaces import ListedWorkspace, WorkspaceOutput, open_listed, read_workspace
from carrel.telemetry import faults
from carrel.units.limits import MAX_COMMENT_CHARACTERS, MAX_REQUEST_FILES

REDACTED = ".redacted"
"""Stands before the extension of a redacted version's name."""


def add(
    viewer: Viewer,
    request: ReleaseRequest,
    path: str,
    *,
    group: str = DEFAULT_GROUP,
    file_type: FileType = FileType.OUTPUT,
) -> RequestFile:
    """Add a file of the request's workspace, as its bytes are now. Raises ActRefused."""
    added, refused = add_all(viewer, request, [path], group=group, file_type=file_type)
    if refused:
        raise ActRefused(refused[path])
    return added[0]


def add_all(
    viewer: Viewer,
    request: ReleaseRequest,
    paths: Iterable[str],
    *,
    group: str = DEFAULT_GROUP,
    file_type: FileType = FileType.OUTPUT,
) -> tuple[list[RequestFile], dict[str, str]]:
    """Add files; return those that were added, and by path why others were not.

    The bytes are copied first and must be those that the manifest names; then the rows appear together. Killed in
    between, there are copies too many, never half of one. Raises ActRefused where nothing can be added at all.
    """
    workspace, before = read_workspace(request.workspace), contents_now(request)
    paths = list(dict.fromkeys(paths))
    beside = [*paths, *(file.path for file in before.current_files)]
    looks, refused = {}, {}
    for path in paths:
        try:
            _check_adding(viewer, before, path, workspace.files.get(path), file_type)
            sha256 = _copy(request, workspace, path)
            looks[path] = findings.look(request, path, sha256, beside)
        except ActRefused as error:
            refused[path] = str(error)
    faults.point("review.file.looked")
    if not looks:
        return [], refused
    added = []
    with acting(Act.EDIT_GROUP, viewer, request) as contents:
        if len(contents.files) + len(looks) > MAX_REQUEST_FILES:
            raise ActRefused(f"A request has at most {MAX_REQUEST_FILES:,} files. Begin another one.")
        row, file_group = contents.request, group_named(contents.request, group)
        for path, file_look in looks.items():
            output = workspace.files[path]
            try:
                _check_adding(viewer, contents, path, output, file_type)
            except ActRefused as error:
                refused[path] = str(error)
                continue
            file, _ = RequestFile.objects.update_or_create(
                request=row,
                path=path,
                defaults={
                    "group": file_group,
                    "file_type": file_type,
                    "added_at": timezone.now(),
                    **_origin(output, file_look.sha256),
                },
            )
            findings.store(file, file_look)
            log(AuditType.REQUEST_FILE_ADD, viewer, row, file=file, commit=file.commit, job_id=file.job_id)
            added.append(file)
            faults.point("review.file.row")
    return added, refused


def update(viewer: Viewer, file: RequestFile) -> RequestFile:
    """Take the bytes that the workspace has now (R7). Raises ActRefused.

    Votes name the bytes that they are on: those on others do not count any more, those on these bytes do.
    """
    request, workspace = file.request, read_workspace(file.request.workspace)
    output = workspace.files.get(file.path)
    before = contents_now(request)
    _check_updating(viewer, before, file, output)
    sha256 = _copy(request, workspace, file.path)
    file_look = findings.look(request, file.path, sha256, [other.path for other in before.current_files])
    with acting(Act.EDIT_GROUP, viewer, request) as contents:
        row = _current(contents, file)
        _check_updating(viewer, contents, row, output)
        previous = row.sha256
        for name, value in {**_origin(output, sha256), "added_at": timezone.now()}.items():
            setattr(row, name, value)
        row.save()
        findings.store(row, file_look)
        log(AuditType.REQUEST_FILE_UPDATE, viewer, contents.request, file=row, previous_sha256=previous)
    return row


def move_file(
    viewer: Viewer, file: RequestFile, *, group: str | None = None, file_type: FileType | None = None
) -> RequestFile:
    """Change a file's group or type; every vote on it is undone, since what explains it is another (R8).

    Raises ActRefused.
    """
    group = file.group.name if group is None else group.strip().lower()
    file_type = FileType(file.file_type) if file_type is None else file_type
    if file_type is FileType.WITHDRAWN:
        raise ActRefused("Withdraw the file instead.")
    is_change = (group, file_type) != (file.group.name, file.file_type)
    with acting(Act.MOVE_FILE, viewer, file.request, file=file, has_change=is_change) as contents:
        row = _current(contents, file)
        if file_type is FileType.OUTPUT and is_released(row.request.workspace, row.sha256):
            raise ActRefused("This content was released before; it can be a supporting file only.")
        row.group, row.file_type = group_named(contents.request, group), file_type.value
        row.save(update_fields=["group", "file_type"])
        _undo_votes(row)
        log(AuditType.REQUEST_FILE_MOVE, viewer, contents.request, file=row, previous_group=file.group.name)
    return row


def withdraw_file(viewer: Viewer, file: RequestFile) -> None:
    """Take a file off the request (R9). Raises ActRefused.

    Before the first review its row goes; afterwards it stays to be seen, and can be added again.
    """
    with acting(Act.WITHDRAW_FILE, viewer, file.request, file=file) as contents:
        row = _current(contents, file)
        log(AuditType.REQUEST_FILE_WITHDRAW, viewer, contents.request, file=row)
        if contents.status is ReviewStatus.PENDING and not row.derived.exists():
            row.delete()
            return
        row.file_type = FileType.WITHDRAWN.value
        row.save(update_fields=["file_type"])
        _undo_votes(row)


def redact(viewer: Viewer, file: RequestFile, data: bytes, *, reason: str) -> RequestFile:
    """Keep a redacted version of a file beside it, to be reviewed like any other; the original's bytes stay.

    The original becomes a supporting file, so that only the redacted version leaves. Redacting again replaces the
    redacted version. Raises ActRefused.
    """
    request, path = file.request, redacted_path(file.path)
    before = contents_now(request)
    check(Act.REDACT_FILE, situation_of(Act.REDACT_FILE, viewer, before, file=file))
    if not (reason := written(reason, "The reason", MAX_COMMENT_CHARACTERS)):
        raise ActRefused("Say what was redacted, and why.")
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 == file.sha256:
        raise ActRefused("Nothing was redacted: the contents are the same.")
    copies.store(io.BytesIO(data), request.workspace, request.pk, expected=sha256, path=path)
    file_look = findings.look(request, path, sha256, [other.path for other in before.current_files])
    with acting(Act.REDACT_FILE, viewer, request, file=file) as contents:
        original = _current(contents, file)
        if original.sha256 != file.sha256 or original.file_type == FileType.WITHDRAWN:
            raise ActRefused("The file was changed since you opened it. Look at it again.")
        # Redacting a redacted version again goes on from it, and stays one of the first original.
        source = original.derived_from if original.derived_from and original.path == path else original
        version = next((row for row in contents.files if row.path == path), None)
        if version is not None and version.derived_from_id != source.pk:
            raise ActRefused(f"The request has another file {path}.")
        copied = ("action", "job_id", "job_request", "run_by", "repo", "commit", "database_version")
        row, _ = RequestFile.objects.update_or_create(
            request=contents.request,
            path=path,
            defaults={
                "group": original.group,
                "file_type": FileType.OUTPUT,
                "sha256": sha256,
                "size": len(data),
                "modified_at": timezone.now(),
                "added_at": timezone.now(),
                "derived_from": source,
                "derivation_reason": reason,
                **{name: getattr(original, name) for name in copied},
            },
        )
        if original.file_type == FileType.OUTPUT and original.path != path:
            original.file_type = FileType.SUPPORTING.value
            original.save(update_fields=["file_type"])
            _undo_votes(original)
        findings.store(row, file_look)
        log(
            AuditType.REQUEST_FILE_REDACT,
            viewer,
            contents.request,
            file=row,
            original=original.path,
            original_sha256=original.sha256,
            reason=reason,
        )
    return row


def redacted_path(path: str) -> str:
    """Return `output/model.redacted.csv` for `output/model.csv`, and for its redacted version."""
    named = PurePosixPath(path)
    return str(named.with_name(f"{named.stem.removesuffix(REDACTED)}{REDACTED}{named.suffix}"))


def _check_adding(
    viewer: Viewer, contents: RequestContents, path: str, output: WorkspaceOutput | None, file_type: FileType
) -> None:
    """Raise ActRefused unless the file may be added."""
    if file_type is FileType.WITHDRAWN:
        raise ActRefused("A file is added as an output or as a supporting file.")
    check(
        Act.ADD_FILE,
        situation_of(
            Act.ADD_FILE,
            viewer,
            contents,
            file_type=file_type,
            is_type_allowed=policy().allows(path),
            is_on_request=any(file.path == path for file in contents.current_files),
            file_state=state_on(contents.request, path, output, file_type),
        ),
    )


def _check_updating(
    viewer: Viewer, contents: RequestContents, file: RequestFile, output: WorkspaceOutput | None
) -> None:
    """Raise ActRefused unless the file may take the workspace's bytes."""
    state = state_on(contents.request, file.path, output, FileType(file.file_type))
    check(Act.UPDATE_FILE, situation_of(Act.UPDATE_FILE, viewer, contents, file=file, file_state=state))


def _copy(request: ReleaseRequest, workspace: ListedWorkspace, path: str) -> str:
    """Copy a listed output into the request; return its SHA-256, which is the manifest's. Raises ActRefused."""
    record = workspace.files[path].record
    expected = record.content_hash if record else ""
    with open_listed(workspace, path) as stream:
        copies.store(stream, request.workspace, request.pk, expected=expected, path=path)
    return expected


def _origin(output: WorkspaceOutput | None, sha256: str) -> dict[str, Any]:
    """Return what made a file, as the manifest says it, by the columns of its row (R6)."""
    record = output.record if output else None
    if record is None:
        return {}
    return {
        "sha256": sha256,
        "size": record.size,
        "modified_at": datetime.fromtimestamp(record.timestamp, UTC),
        "action": record.action[:NAME_LENGTH],
        "job_id": record.job_id[:100],
        "job_request": record.job_request[:100],
        "run_by": record.user[:NAME_LENGTH],
        "repo": record.repo[:1000],
        "commit": record.commit[:64],
        "database_version": (record.database_version or "")[:200],
        "row_count": record.row_count,
        "col_count": record.col_count,
        "derived_from": None,
        "derivation_reason": "",
    }


def _current(contents: RequestContents, file: RequestFile) -> RequestFile:
    """Return the row of a file of a locked request as it is now. Raises ActRefused when it is gone."""
    row = next((other for other in contents.files if other.pk == file.pk), None)
    if row is None:
        raise ActRefused("The file is not on the request any more.")
    return row


def _undo_votes(file: RequestFile) -> None:
    """Leave every vote on a file undecided: it is to be looked at anew."""
    FileVote.objects.filter(file=file).update(vote=Vote.UNDECIDED, updated_at=timezone.now())
