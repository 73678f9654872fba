"""Releases: what a backend says will come, the bytes when they come, what checkers said, and deletion.

The bytes of a file are at `<backend>/<workspace>/<release>/<name>` below the setting RELEASE_STORAGE: they appear there
whole and with the hash that was announced, or not at all.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from carrel.jobserver import settings
from carrel.jobserver.models import Backend, Release, ReleaseFile, ReleaseFileReview, User, Workspace
from carrel.jobserver.models.audit import ACCESS
from carrel.jobserver.service.audit import Actor, record
from carrel.messages.releases import ALREADY_UPLOADED, FileList, ReleasedFile, clashes
from carrel.telemetry.faults import point
from carrel.units.files import replacing
from carrel.units.ulids import is_ulid


class ReleaseError(Exception):
    """What was sent cannot be taken; says why."""


class ReleaseConflict(Exception):
    """There is a release of this id, and it is another one; says in what."""


def create_release(
    workspace: Workspace, backend: Backend, user: User, sent: FileList, actor: Actor
) -> tuple[Release, bool]:
    """Announce the files of a release; the same list under the same `airlock_id` is the same release, not a new one.

    Returns the release and whether it is new. Raises ReleaseError and ReleaseConflict.
    """
    release_id = sent.metadata.get("airlock_id")
    if release_id is not None and not (isinstance(release_id, str) and is_ulid(release_id)):
        raise ReleaseError("metadata.airlock_id is no ULID: 26 digits and capitals.")
    _check_list(sent.files)
    if release_id is not None and (release := Release.objects.filter(pk=release_id).first()):
        return _same(release, workspace, backend, sent), False
    try:
        with transaction.atomic():
            release = Release(
                workspace=workspace, backend=backend, metadata=sent.metadata, review=_json(sent.review), created_by=user
            )
            release.id = release_id or release.id
            release.save(force_insert=True)
            now = timezone.now()
            ReleaseFile.objects.bulk_create(_announced(release, file, user, now) for file in sent.files)
            record(
                actor,
                "release.created",
                subject_type="release",
                subject=release.pk,
                project=workspace.project,
                backend=backend,
                new={"workspace": workspace.name, "user": user.username, "files": len(sent.files)},
            )
    except IntegrityError:
        # Two clients, or two tries of one, sent it at the same moment.
        release = Release.objects.get(pk=release_id)
        return _same(release, workspace, backend, sent), False
    return release, True


def store_file(
    release: Release, backend: Backend, name: str, blocks: Iterable[bytes], user: User, actor: Actor
) -> ReleaseFile:
    """Take the bytes of an announced file. They are checked while they arrive, and visible once all are right.

    A try that was cut short leaves nothing behind, and may be made again. Raises ReleaseError in the contract's words.
    """
    if release.backend_id != backend.pk:
        raise ReleaseError(f"Release is from backend {release.backend.slug} not {backend.slug}")
    file = release.files.filter(name=name).select_related("backend", "workspace").first()
    if file is None:
        raise ReleaseError(f"File {name} not requested in release {release.pk}")
    if file.uploaded_at is not None:
        raise ReleaseError(ALREADY_UPLOADED.format(name=name, backend=backend.slug))
    path = path_of(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, synced="folder") as stream:
        for block in _checked(blocks, file):
            stream.write(block)
    point("jobserver.releases.stored")
    with transaction.atomic():
        now = timezone.now()
        if not ReleaseFile.objects.filter(pk=file.pk, uploaded_at=None).update(uploaded_at=now):
            raise ReleaseError(ALREADY_UPLOADED.format(name=name, backend=backend.slug))
        file.uploaded_at = now
        _record_file(actor, "release_file.uploaded", file, new={"user": user.username, "sha256": file.sha256})
    return file


def record_reviews(release: Release, sent: FileList, user: User, actor: Actor) -> None:
    """Store what a checker said of files of a release, all or nothing. Raises ReleaseError."""
    files = {file.name: file for file in release.files.all()}
    problems = [
        f"{file.name}: {problem}" for file in sent.files if (problem := _review_problem(file, files.get(file.name)))
    ]
    if repeated := clashes(file.name for file in sent.files):
        problems.append(f"{', '.join(repeated[:20])}: in the list more than once")
    if problems:
        raise ReleaseError(f"Nothing was stored. {'; '.join(problems[:20])}")
    now = timezone.now()
    with transaction.atomic():
        ReleaseFileReview.objects.bulk_create(
            ReleaseFileReview(
                release_file=files[file.name],
                status=file.review.status,
                comments=file.review.comments,
                created_at=now,
                created_by=user,
            )
            for file in sent.files
            if file.review is not None
        )
        overall = _json(sent.review)
        if overall is not None:
            status = overall.get("status")
            Release.objects.filter(pk=release.pk).update(
                review=overall, status=status if status in Release.ReleaseStatus.values else release.status
            )
        record(
            actor,
            "release.reviewed",
            subject_type="release",
            subject=release.pk,
            project=release.workspace.project,
            backend=release.backend,
            new={"files": {file.name: file.review.status for file in sent.files if file.review}},
        )


def delete_file(file: ReleaseFile, user: User, actor: Actor) -> None:
    """Remove a file's bytes for good; its row stays and says who did it and when. Twice changes nothing."""
    with transaction.atomic():
        deleted = ReleaseFile.objects.available().filter(pk=file.pk).update(deleted_at=timezone.now(), deleted_by=user)
        if deleted:
            _record_file(actor, "release_file.deleted", file, old={"sha256": file.sha256, "size": file.size})
        # Before the commit: bytes whose row still says that they are there can be deleted again, the reverse cannot.
        path_of(file).unlink(missing_ok=True)


def record_access(actor: Actor, action: str, file: ReleaseFile) -> None:
    """Note that somebody saw or fetched a file."""
    with transaction.atomic():
        _record_file(actor, action, file, category=ACCESS)


def record_listing(actor: Actor, workspace: Workspace, release: Release | None = None) -> None:
    """Note that somebody saw the names of a workspace's released files."""
    record(
        actor,
        "release_files.listed",
        category=ACCESS,
        subject_type="workspace",
        subject=workspace.name,
        project=workspace.project,
        backend=release.backend if release else None,
        new={"release": release.pk} if release else None,
    )


def record_download(actor: Actor, workspace: Workspace, files: Sequence[ReleaseFile]) -> None:
    """Note that somebody fetched these files as one zip."""
    record(
        actor,
        "release_files.downloaded",
        category=ACCESS,
        subject_type="workspace",
        subject=workspace.name,
        project=workspace.project,
        new={"files": [file.pk for file in files]},
    )


def path_of(file: ReleaseFile) -> Path:
    """Return where a file's bytes are, or will be."""
    return settings.get().releases / file.path


def _check_list(files: Sequence[ReleasedFile]) -> None:
    limit = settings.get().max_release_file_bytes
    if repeated := clashes(file.name for file in files):
        raise ReleaseError(f"Twice in the list, or the folder of another file: {', '.join(repeated[:20])}")
    if large := [file.name for file in files if file.size > limit]:
        raise ReleaseError(f"A file may have {limit:,} bytes. Larger: {', '.join(large[:20])}")
    if undated := [file.name for file in files if _moment(file.date) is None]:
        raise ReleaseError(f"The date is not in ISO 8601: {', '.join(undated[:20])}")


def _same(release: Release, workspace: Workspace, backend: Backend, sent: FileList) -> Release:
    """The release, if this is what was announced under its id before. Raises ReleaseConflict."""
    if (release.workspace_id, release.backend_id) != (workspace.pk, backend.pk):
        raise ReleaseConflict(f"There is a release {release.pk} already, of another workspace or backend.")
    announced = set(release.files.values_list("name", "sha256"))
    now = {(file.name, file.sha256) for file in sent.files}
    if announced != now:
        names = sorted({name for name, _ in announced ^ now})
        raise ReleaseConflict(
            f"There is a release {release.pk} already, with other files: they differ in {', '.join(names[:20])}. "
            "Send the same list, or use another id."
        )
    return release


def _announced(release: Release, file: ReleasedFile, user: User, now: datetime) -> ReleaseFile:
    return ReleaseFile(
        release=release,
        workspace=release.workspace,
        backend=release.backend,
        name=file.name,
        path=f"{release.backend.slug}/{release.workspace.name}/{release.pk}/{file.name}",
        sha256=file.sha256,
        size=file.size,
        modified_at=_moment(file.date),
        metadata=file.metadata,
        created_at=now,
        created_by=user,
    )


def _checked(blocks: Iterable[bytes], file: ReleaseFile) -> Iterator[bytes]:
    """Hand the blocks on; raise ReleaseError once they are too many, and at the end where they are not the file's."""
    limit, size, digest = settings.get().max_release_file_bytes, 0, hashlib.sha256()
    for block in blocks:
        size += len(block)
        if size > limit:
            raise ReleaseError(f"The file is too large: it may have {limit:,} bytes.")
        digest.update(block)
        yield block
    if size == 0 and file.size > 0:
        raise ReleaseError("No data uploaded")
    if digest.hexdigest() != file.sha256:
        raise ReleaseError(f"Contents of {file.name} do not match the hash that was announced, {file.sha256}")


def _review_problem(sent: ReleasedFile, file: ReleaseFile | None) -> str:
    if file is None:
        return "not in this release"
    if file.sha256 != sent.sha256:
        return "another version than this release's (its hash is another one)"
    if sent.review is None:
        return "has no review"
    if sent.review.status == "REJECTED" and not sent.review.comments:
        return "is rejected without a comment"
    return ""


def _record_file(actor: Actor, action: str, file: ReleaseFile, **more: Any) -> None:
    record(
        actor,
        action,
        subject_type="release_file",
        subject=f"{file.full_name} ({file.pk})",
        project=file.workspace.project,
        backend=file.backend,
        **more,
    )


def _json(review: Any) -> dict[str, Any] | None:
    return review.model_dump() if hasattr(review, "model_dump") else review


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
