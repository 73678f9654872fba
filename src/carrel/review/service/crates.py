"""The proof of each release, kept beside it: made once, after the last file has left (ro-crate.md)."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from carrel.review import copies, settings
from carrel.review.audit_types import AuditType
from carrel.review.crate.bag import BagWriter
from carrel.review.crate.entities import PREFIXES, Entity, entities_of
from carrel.review.crate.facts import CrateFacts
from carrel.review.crate.profile import METADATA, faults_of, graph_of
from carrel.review.machine import ReviewStatus
from carrel.review.models import AuditEvent, ReleaseRequest
from carrel.review.queries.crate_facts import facts_of
from carrel.review.service.audit import SYSTEM, record
from carrel.telemetry import faults
from carrel.units.files import replacing

CRATE = "crate.zip"
PREVIEW = "ro-crate-preview.html"
CRATE_MODE = 0o440


class CrateFaulty(Exception):
    """A crate does not fit its own profile, and is not written; says what it lacks."""


def path_of(request: ReleaseRequest) -> Path:
    """Return where a release's crate lies, or will."""
    return settings.get().releases / request.pk / CRATE


def make_missing() -> None:
    """Make the crates of releases that have none, oldest first. One that cannot be made stops none of the others."""
    told = AuditEvent.objects.filter(event_type=AuditType.REQUEST_CRATE).values("request")
    waiting = ReleaseRequest.objects.filter(status=ReviewStatus.RELEASED).exclude(pk__in=told)
    problems = []
    for request in waiting.order_by("released_at"):
        try:
            make(request)
        except Exception as error:
            problems.append(error)
    if problems:
        raise ExceptionGroup(f"{len(problems)} crates could not be made", problems)


def make(request: ReleaseRequest) -> Path:
    """Make a release's crate where there is none, note its hash in the audit, and return where it is.

    Killed before the note, the file that is there is taken. Raises CopyRefused, CrateFaulty, OSError.
    """
    path = path_of(request)
    if not path.exists():
        facts = facts_of(request, timezone.now())
        path.parent.mkdir(parents=True, exist_ok=True)
        faults.point("review.crate.begin")
        with replacing(path, synced="folder", mode=CRATE_MODE) as stream:
            write(stream, request, facts)
        faults.point("review.crate.in_place")
    with path.open("rb") as crate:
        digest = hashlib.file_digest(crate, "sha256").hexdigest()
    with transaction.atomic():
        ReleaseRequest.objects.select_for_update().get(pk=request.pk)
        if not AuditEvent.objects.filter(event_type=AuditType.REQUEST_CRATE, request=request.pk).exists():
            record(AuditType.REQUEST_CRATE, actor=SYSTEM, request=request, extra={"sha256": digest})
    return path


def write(stream: Any, request: ReleaseRequest, facts: CrateFacts) -> None:
    """Write a crate as a zipped bag. Raises CopyRefused where a released file's bytes are not what they were."""
    content = metadata_of(entities_of(facts))
    if lacking := faults_of(graph_of(content)):
        raise CrateFaulty(f"The crate of release {request.pk} was not written. {' '.join(lacking)}")
    bag = BagWriter(stream, request.pk)
    bag.add(METADATA, io.BytesIO(json.dumps(content, indent=2, ensure_ascii=False).encode()))
    bag.add(PREVIEW, io.BytesIO(render_to_string("review/crate/preview.html", {"facts": facts}).encode()))
    for file in facts.files:
        with copies.opened(request.workspace, request.pk, file.sha256) as source:
            if bag.add(f"{facts.backend}/{file.path}", source) != file.sha256:
                raise copies.CopyRefused(f"A copy of request {request.pk} was changed while it was read.")
    bag.finish(
        {
            "Source-Organization": facts.publisher,
            "External-Identifier": facts.identifier,
            "External-Description": f"Five Safes RO-Crate of release {request.pk} from {facts.backend}",
            "Bagging-Date": facts.made_at[:10],
            "Bag-Software-Agent": f"Carrel {facts.carrel_version}",
        }
    )


def metadata_of(entities: list[Entity]) -> dict[str, Any]:
    """Return a crate's metadata file, as JSON has it."""
    # Costs more to import than the rest of the site, and only releases need it.
    from rocrate.rocrate import ROCrate

    crate = ROCrate(gen_preview=False)
    crate.metadata.extra_terms.update(PREFIXES)
    for entity in entities:
        crate.add_or_update_jsonld(dict(entity))
    return crate.metadata.generate()
