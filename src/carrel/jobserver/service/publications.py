"""From released to public: drafts of chosen files, and who decides about them."""

import hashlib
from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from carrel.jobserver.models import PublishRequest, ReleaseFile, Snapshot, User, Workspace
from carrel.jobserver.models.releases import APPROVED, REJECTED
from carrel.jobserver.service import publication_notices
from carrel.jobserver.service.audit import Actor, record
from carrel.units.ulids import is_ulid

MAX_REASON = 2000
"""Longest reason of a decision that is kept, in characters."""


class PublicationError(Exception):
    """Nothing was drafted or decided; says why."""


def draft(workspace: Workspace, file_ids: Collection[str], user: User, actor: Actor) -> Snapshot:
    """Ask for these files to be made public, and return their snapshot.

    The same set of files is the same snapshot: what is public, or waits for a decision, stays as it is. Raises
    PublicationError for files that are not in this workspace, or whose bytes are not here.
    """
    chosen = sorted(set(file_ids))
    if not chosen:
        raise PublicationError("Choose the files first.")
    possible = [file_id for file_id in chosen if is_ulid(file_id)]
    files = list(ReleaseFile.objects.available().filter(workspace=workspace, pk__in=possible))
    if unknown := set(chosen) - {file.pk for file in files}:
        raise PublicationError(f"Not among this workspace's released files: {', '.join(sorted(unknown)[:20])}")
    digest = hashlib.sha256("\n".join(chosen).encode()).hexdigest()
    try:
        with transaction.atomic():
            snapshot, is_new = Snapshot.objects.get_or_create(
                workspace=workspace, digest=digest, defaults={"created_by": user}
            )
            if is_new:
                snapshot.files.set(files)
            if not snapshot.is_published and not snapshot.publish_requests.filter(decision=None).exists():
                pending = PublishRequest.objects.create(snapshot=snapshot, created_by=user)
                publication_notices.tell_publishers(pending)
                _record(actor, "snapshot.drafted", snapshot, new={"files": [file.pk for file in files]})
    except IntegrityError:
        # Somebody else drafted the same files at the same moment.
        return Snapshot.objects.get(workspace=workspace, digest=digest)
    return snapshot


def approve(snapshot: Snapshot, user: User, actor: Actor) -> None:
    """Make a snapshot public. One that is public already stays so. Raises PublicationError when nobody asked for it."""
    with transaction.atomic():
        pending = _pending(snapshot)
        if snapshot.is_published:
            return
        if pending is None:
            raise PublicationError("Nobody has asked to publish this snapshot, or it was decided: draft it again.")
        # Two snapshots of a workspace may be approved at the same moment; one that was public before keeps its version.
        workspace = Workspace.objects.select_for_update().get(pk=snapshot.workspace_id)
        latest = workspace.snapshots.aggregate(latest=Max("version"))["latest"] or 0
        Snapshot.objects.filter(pk=snapshot.pk, version=None).update(version=latest + 1)
        _decide(pending, APPROVED, "", user, actor)


def reject(snapshot: Snapshot, reason: str, user: User, actor: Actor) -> None:
    """Say no to a draft, and why. Raises PublicationError."""
    with transaction.atomic():
        pending = _pending(snapshot)
        if pending is None:
            raise PublicationError("There is nothing to decide here: it was decided already.")
        if not reason.strip():
            raise PublicationError("Say why, so that its author knows what to change.")
        _decide(pending, REJECTED, reason, user, actor)


def unpublish(snapshot: Snapshot, reason: str, user: User, actor: Actor, *, is_told: bool = False) -> None:
    """Take a snapshot back: neither it nor its files are public from now on. Raises PublicationError.

    `is_told`: the workspace's public page says that something was taken back, when and why; else nothing does.
    """
    reason = reason.strip()[:MAX_REASON]
    if is_told and not reason:
        raise PublicationError("Say why: the public page is to say it.")
    with transaction.atomic():
        published = PublishRequest.objects.select_for_update().filter(snapshot=snapshot)
        request = published.filter(decision=APPROVED, ended_at=None).first()
        if request is None:
            raise PublicationError("It is not public.")
        request.ended_at, request.ended_by = timezone.now(), user
        request.reason, request.is_told = reason, is_told
        request.save(update_fields=["ended_at", "ended_by", "reason", "is_told"])
        publication_notices.tell_author(request, "taken back")
        _record(actor, "snapshot.unpublished", snapshot, new={"reason": reason, "is_told": is_told})


def _pending(snapshot: Snapshot) -> PublishRequest | None:
    """The request that waits for a decision, locked until the transaction ends."""
    requests = PublishRequest.objects.select_for_update().filter(snapshot=snapshot, decision=None)
    return requests.first()


def _decide(pending: PublishRequest, decision: str, reason: str, user: User, actor: Actor) -> None:
    pending.decision, pending.decision_at, pending.decision_by = decision, timezone.now(), user
    pending.reason = reason.strip()[:MAX_REASON]
    pending.save(update_fields=["decision", "decision_at", "decision_by", "reason"])
    publication_notices.tell_author(pending, "published" if decision == APPROVED else decision)
    _record(actor, f"snapshot.{decision}", pending.snapshot, new={"reason": pending.reason})


def _record(actor: Actor, action: str, snapshot: Snapshot, new: object = None) -> None:
    record(
        actor,
        action,
        subject_type="snapshot",
        subject=f"{snapshot.workspace.name}/{snapshot.pk}",
        project=snapshot.workspace.project,
        new=new,
    )
