"""Mails about publications: publishers hear of drafts, and whoever drafted one hears what became of it.

They are written in the transaction of what they tell, and sent by the link as those of runs are.
"""

from django.db.models import Q
from django.urls import reverse

from carrel.jobserver.models import OutgoingMessage, PublishRequest, Role, User
from carrel.jobserver.models.people import NAME_LENGTH
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.service.notifications import absolute_url, mail_is_configured

MAX_PUBLISHERS = 50
"""Most people that are told of one draft."""


def publishers_of(project_id: int) -> list[User]:
    """Return the active accounts with an address that may decide about drafts of this project now."""
    roles = [role.pk for role in Role.objects.all() if Permission.SNAPSHOT_PUBLISH in role.permissions]
    here = Q(role_assignments__project=None) | Q(role_assignments__project=project_id)
    people = User.objects.filter(here, role_assignments__role__in=roles, is_active=True).exclude(email=None)
    return [
        person
        for person in people.distinct()[:MAX_PUBLISHERS]
        if rights_of(person).holds(Permission.SNAPSHOT_PUBLISH, project_id=project_id)
    ]


def tell_publishers(request: PublishRequest) -> None:
    """Write to those who may decide about a draft, but for whoever drafted it."""
    if not mail_is_configured():
        return
    snapshot = request.snapshot
    author, workspace = request.created_by, snapshot.workspace
    sentence = (
        f"{author.fullname} asks to publish snapshot {snapshot.pk} of {workspace.name} ({workspace.project.name})."
    )
    for person in publishers_of(workspace.project_id):
        if person != author:
            _write(request, person, f"To publish: {workspace.name}", "asked", [sentence])


def tell_author(request: PublishRequest, what: str) -> None:
    """Write to whoever drafted a snapshot that it was published, rejected or taken back, by whom and why."""
    author, snapshot = request.created_by, request.snapshot
    if not (mail_is_configured() and author.email and author.is_active):
        return
    person = request.ended_by or request.decision_by
    by = person.fullname if person else "the site"
    lines = [f"Your snapshot {snapshot.pk} of {snapshot.workspace.name} was {what} by {by}."]
    lines += ["", request.reason] if request.reason else []
    _write(request, author, f"{snapshot.workspace.name}: {what}", what, lines)


def _write(request: PublishRequest, person: User, subject: str, what: str, lines: list[str]) -> None:
    workspace = request.snapshot.workspace
    path = reverse("snapshot", args=[workspace.project.slug, workspace.name, request.snapshot_id])
    body = [f"Dear {person.fullname},", "", *lines, "", absolute_url(path)]
    message = OutgoingMessage(
        channel=OutgoingMessage.Channel.MAIL,
        recipient=person,
        subject=subject[:NAME_LENGTH],
        body="\n".join(body) + "\n",
        key=f"mail:publication:{request.pk}:{what.replace(' ', '-')}:{person.pk}",
    )
    OutgoingMessage.objects.bulk_create([message], ignore_conflicts=True)
