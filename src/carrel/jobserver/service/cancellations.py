"""Cancelling: stored, then sent to the controller, then marked; or told to a controller that asks for it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from carrel.jobserver.models import Backend, Cancellation, JobRequest, User
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.runs.derivation import FINAL_JOB_STATUSES, FINAL_REQUEST_STATUSES
from carrel.jobserver.service.audit import record
from carrel.jobserver.service.requests import lock_request, set_outcome
from carrel.jobserver.waking import wake
from carrel.telemetry.faults import point

CANCELLED_BEFORE_SENT = "Cancelled before it was sent"


class CancelError(Exception):
    """Nothing was cancelled; the text says why."""


@dataclass(frozen=True, slots=True)
class AskedToCancel:
    """What was asked for, and the sentence that tells what happens next."""

    actions: tuple[str, ...]
    words: str


def may_cancel(person: User | None, rights: Rights, request: JobRequest) -> bool:
    """Whoever asked for a run may cancel it, whatever became of their rights; others need the right to cancel."""
    if person is None or not person.is_active:
        return False
    if request.created_by_id == person.pk:
        return True
    project_id = request.workspace.project_id
    return rights.holds(Permission.JOB_CANCEL, project_id=project_id, backend_id=request.backend_id)


def ask_to_cancel(request: JobRequest, actions: Collection[str], actor: HttpRequest | User) -> AskedToCancel:
    """Ask for the cancelling of actions of a request; without actions, of all that are not finished.

    `actor`: the account, or the HTTP request it came by. Whether they may is `may_cancel`'s to say.
    Raises CancelError with a sentence when there is nothing to cancel.
    """
    person = actor if isinstance(actor, User) else getattr(actor, "person", None) or actor.user
    with transaction.atomic():
        locked = lock_request(request.pk)
        chosen = _actions_to_cancel(locked, actions)
        record(
            actor,
            "request.cancelled",
            subject_type="request",
            subject=locked.identifier,
            project=locked.workspace.project,
            backend=locked.backend,
            new={"actions": list(chosen) or "all"},
        )
        # The sender counts an attempt, under the same lock, before it sends: at none, nobody else can know of it.
        never_sent = (
            locked.sent_at is None and locked.send_attempts == 0 and locked.backend.link == Backend.LinkKind.RAP
        )
        if never_sent and not actions:
            locked.cancelled_actions = list(locked.requested_actions)
            locked.save(update_fields=["cancelled_actions"])
            set_outcome(locked, "failed", CANCELLED_BEFORE_SENT)
            words = f"It had not been sent to {locked.backend.name} yet, so it never will be."
        else:
            Cancellation.objects.create(request=locked, actions=list(chosen) if actions else [], created_by=person)
            apply_when_polled(locked)
            words = _what_happens_next(locked, chosen)
        point("jobserver.cancellation.stored")
    transaction.on_commit(wake)
    request.refresh_from_db(
        fields=["status", "status_message", "was_cancelled", "cancelled_actions", "updated_at", "completed_at"]
    )
    return AskedToCancel(tuple(chosen), words)


def ask_to_cancel_run(requests: Sequence[JobRequest], actor: HttpRequest | User) -> tuple[list[str], list[str]]:
    """Ask for the cancelling of several backends' parts of a run, each by itself.

    Returns sentences of what happens next, and of what could not be cancelled, each with its backend's name.
    """
    done, refused = [], []
    for request in requests:
        try:
            done.append(f"{request.backend.name}: {ask_to_cancel(request, (), actor).words}")
        except CancelError as error:
            refused.append(f"{request.backend.name}: {error}")
    return done, refused


def apply_when_polled(locked: JobRequest) -> None:
    """Put what waits to be cancelled where a controller that asks us reads it, and mark it as told."""
    if locked.backend.link != Backend.LinkKind.POLLED:
        return
    pending = list(locked.cancellations.filter(sent_at=None))
    if not pending:
        return
    active = active_actions(locked)
    is_known = locked.jobs.exists()
    names = list(locked.cancelled_actions)
    for cancellation in pending:
        names += cancellation.actions or active or locked.requested_actions
        if cancellation.actions or is_known or locked.status in FINAL_REQUEST_STATUSES:
            cancellation.sent_at = timezone.now()
            cancellation.outcome = "told to the controller with its next question"
            cancellation.save(update_fields=["sent_at", "outcome"])
    locked.cancelled_actions = list(dict.fromkeys(names))
    locked.save(update_fields=["cancelled_actions"])


def active_actions(request: JobRequest) -> list[str]:
    """Return the actions of a request whose jobs have not ended, in the order of its jobs."""
    return list(request.jobs.exclude(status__in=FINAL_JOB_STATUSES).order_by("id").values_list("action", flat=True))


def _actions_to_cancel(locked: JobRequest, actions: Collection[str]) -> list[str]:
    active = active_actions(locked)
    if locked.status in FINAL_REQUEST_STATUSES and not active:
        raise CancelError("It has ended already: there is nothing left to cancel.")
    fresh = [action for action in active if action not in locked.cancelled_actions]
    if not actions:
        if active and not fresh:
            raise CancelError("Everything that has not ended is being cancelled already.")
        if locked.cancellations.filter(sent_at=None, actions=[]).exists():
            raise CancelError("It is being cancelled already.")
        return fresh
    unknown = sorted(set(actions) - set(locked.jobs.values_list("action", flat=True)))
    if unknown:
        raise CancelError(f"This run has no job of {', '.join(unknown[:20])} on {locked.backend.name}.")
    chosen = [action for action in active if action in set(actions)]
    if not chosen:
        raise CancelError(f"{', '.join(sorted(actions)[:20])}: ended already, so there is nothing to cancel.")
    if not set(chosen) - set(locked.cancelled_actions):
        raise CancelError(f"{', '.join(chosen[:20])}: being cancelled already.")
    return chosen


def _what_happens_next(request: JobRequest, actions: Sequence[str]) -> str:
    name = request.backend.name
    if request.sent_at is None:
        return f"{name} may not know of it yet: it is cancelled as soon as {name}'s controller answers."
    if not actions:
        return f"It has not started on {name} yet: its jobs are cancelled as soon as there are any."
    if request.backend.link == Backend.LinkKind.POLLED:
        return f"{name} is told of it when its controller asks next."
    return f"{name} was asked to cancel {', '.join(actions[:20])}{' and more' if len(actions) > 20 else ''}."
