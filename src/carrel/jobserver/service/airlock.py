"""Events that a backend's review site tells of its requests: each is written down, and their author gets a mail."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from carrel.jobserver.models import Backend, OutgoingMessage, User, Workspace
from carrel.jobserver.models.people import NAME_LENGTH
from carrel.jobserver.service.audit import record
from carrel.jobserver.service.notifications import absolute_url, mail_is_configured

PREFIX = "request_"
WORDS = {
    "submitted": "was submitted for review",
    "resubmitted": "was submitted for review again",
    "withdrawn": "was withdrawn",
    "partially_reviewed": "was reviewed by one output checker",
    "reviewed": "was reviewed by all output checkers",
    "approved": "was approved: its files are being released",
    "released": "was released",
    "rejected": "was rejected",
    "returned": "was returned to you with comments",
}
"""Every event, as what happened to the request."""
TOLD_TO_AUTHOR = frozenset({"approved", "released", "rejected", "returned"})
MAX_UPDATES = 100
MAX_UPDATE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AirlockEvent:
    """One event, as far as it could be read. Texts are storable and short; `updates`: what was done, in words."""

    kind: str
    workspace: str
    request: str
    author: str
    user: str
    updates: tuple[str, ...] = ()


def read_event(sent: Mapping[str, Any]) -> AirlockEvent:
    """Read an event as older review sites and newer ones name its keys; what is no text counts for nothing."""

    def text(*names: str) -> str:
        values = (sent.get(name) for name in names)
        return next((value.strip()[:NAME_LENGTH] for value in values if isinstance(value, str)), "")

    updates = sent.get("updates")
    listed = updates[:MAX_UPDATES] if isinstance(updates, list) else []
    return AirlockEvent(
        kind=text("event_type").lower().removeprefix(PREFIX),
        workspace=text("workspace"),
        request=text("request"),
        author=text("request_author"),
        user=text("user"),
        updates=tuple(_update_words(update) for update in listed if isinstance(update, dict)),
    )


def take_event(event: AirlockEvent, backend: Backend, actor: Any) -> list[str]:
    """Write the event down and mail the request's author where it concerns them. Returns what could not be done."""
    problems = []
    workspace = Workspace.objects.select_related("project").filter(name=event.workspace).first()
    author = User.objects.filter(username=event.author).first()
    if event.kind not in WORDS:
        problems.append(f"unknown event '{event.kind}'; there are: {', '.join(WORDS)}")
    if workspace is None:
        problems.append(f"there is no workspace '{event.workspace}'")
    if author is None:
        problems.append(f"there is no user '{event.author}'")
    with transaction.atomic():
        record(
            actor,
            f"airlock.{event.kind}" if event.kind in WORDS else "airlock.unknown",
            subject_type="release_request",
            subject=event.request,
            project=workspace.project if workspace else None,
            backend=backend,
            new={"workspace": event.workspace, "author": event.author, "user": event.user, "updates": event.updates},
        )
        if event.kind in TOLD_TO_AUTHOR and workspace is not None and author is not None:
            _mail(event, workspace, author, backend)
    return problems


def _mail(event: AirlockEvent, workspace: Workspace, author: User, backend: Backend) -> None:
    if not (mail_is_configured() and author.email and author.is_active):
        return
    sentence = f"Your request {event.request} of {workspace.name} on {backend.name} {WORDS[event.kind]}."
    outputs = absolute_url(f"/{workspace.project.slug}/{workspace.name}/releases/")
    where = outputs if event.kind == "released" else backend.level4_url
    lines = [f"Dear {author.fullname},", "", sentence, *(f"* {update}" for update in event.updates), "", where]
    OutgoingMessage.objects.create(
        channel=OutgoingMessage.Channel.MAIL,
        recipient=author,
        subject=f"Request of {workspace.name} {event.kind.replace('_', ' ')}"[:NAME_LENGTH],
        body="\n".join(lines).strip() + "\n",
        # The same thing may happen twice to one request, so nothing of it can be a key.
        key=f"mail:airlock:{secrets.token_hex(8)}",
    )


def _update_words(update: Mapping[str, Any]) -> str:
    """`file added (group one) by ann`: each update says what was done, and where and by whom if it knows."""
    parts = {name: str(update[name]) for name in ("update", "update_type", "group", "user") if update.get(name)}
    words = parts.get("update", parts.get("update_type", "changed")).replace("_", " ")
    words += f" (group {parts['group']})" if "group" in parts else ""
    words += f" by {parts['user']}" if "user" in parts else ""
    return words[:MAX_UPDATE]
