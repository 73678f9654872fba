"""Groups: files that are explained together, by their context and controls (R10)."""

from django.utils import timezone

from carrel.review.audit_types import AuditType
from carrel.review.models import FileGroup, ReleaseRequest
from carrel.review.models.requests import NAME_LENGTH
from carrel.review.rules import Act, ActRefused
from carrel.review.service.changes import acting, log, written
from carrel.review.viewers import Viewer
from carrel.units.limits import MAX_CONTEXT_CHARACTERS

DEFAULT_GROUP = "default"


def describe(viewer: Viewer, request: ReleaseRequest, name: str, *, context: str, controls: str) -> FileGroup:
    """Write a group's context and controls; a group that is not there yet is made. Raises ActRefused."""
    with acting(Act.EDIT_GROUP, viewer, request) as contents:
        group = group_named(contents.request, name)
        group.context = written(context, "The context", MAX_CONTEXT_CHARACTERS)
        group.controls = written(controls, "The controls", MAX_CONTEXT_CHARACTERS)
        group.updated_at = timezone.now()
        group.save(update_fields=["context", "controls", "updated_at"])
        log(
            AuditType.REQUEST_EDIT,
            viewer,
            contents.request,
            group=group.name,
            context=group.context,
            controls=group.controls,
        )
    return group


def group_named(request: ReleaseRequest, name: str) -> FileGroup:
    """Return the group of a locked request with this name in lower case; made where there is none. Raises ActRefused.

    A name is one line without slashes: it is a part of addresses.
    """
    name = written(name, "The group's name", NAME_LENGTH).lower()
    if not name or not name.isprintable() or "/" in name or name in (".", ".."):
        raise ActRefused("Give the group a name of one line, without slashes.")
    group, _ = FileGroup.objects.get_or_create(request=request, name=name)
    return group
