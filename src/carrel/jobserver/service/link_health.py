"""How asking each controller went last, in words for people who wait. Addresses and tokens stay in the log."""

import logging
from datetime import timedelta

from django.utils import timezone

from carrel.clients.rap import RapError, RapFault, RapRefused, RapUnreadable
from carrel.jobserver.models import ControllerContact
from carrel.jobserver.runs.reported import storable_text
from carrel.units.limits import MAX_MESSAGE

logger = logging.getLogger(__name__)

WRITE_EVERY = timedelta(minutes=1)
"""While all goes well, this often at most is it written down."""


def note_answer(controller: str) -> None:
    """The controller answered as it should."""
    now = timezone.now()
    contact, is_new = ControllerContact.objects.get_or_create(controller=controller, defaults={"answered_at": now})
    if is_new or (contact.failing_since is None and contact.answered_at and now - contact.answered_at < WRITE_EVERY):
        return
    if contact.failing_since is not None:
        logger.warning("Controller %s answers again.", controller)
    ControllerContact.objects.filter(pk=contact.pk).update(answered_at=now, failing_since=None, problem="")


def note_failure(controller: str, error: RapError) -> str:
    """The controller gave no answer that can be used. Returns the sentence for those who wait ("{backend}" in it)."""
    if isinstance(error, RapFault):
        # What it says is about one request, and for those who may see that one only.
        _note_problem(controller, "The controller of {backend} cannot do all that it is asked just now.", error)
        return f"The controller of {{backend}} cannot do it just now: {error}"
    if isinstance(error, RapUnreadable):
        words = "The controller of {backend} answers with something that cannot be understood."
    else:
        words = "The controller of {backend} cannot be reached."
    _note_problem(controller, words, error)
    return words


def note_refusal(controller: str, error: RapRefused) -> None:
    """The controller answered no. A token that it does not take is a fault of the link; the rest is about the call."""
    if error.status in (401, 403):
        _note_problem(controller, words_of_refusal("{backend}", error), error)
    else:
        note_answer(controller)


def words_of_refusal(backend: str, error: RapRefused) -> str:
    """Return why a call is not taken, for those who wait, and who can mend it."""
    if error.status in (401, 403):
        return (
            f"The controller of {backend} does not accept this site's token. Those who run this site have to mend it."
        )
    return f"The controller of {backend} does not take it ({error.status}): {error}"


def _note_problem(controller: str, words: str, error: RapError) -> None:
    now = timezone.now()
    words = storable_text(words, MAX_MESSAGE)
    contact, _ = ControllerContact.objects.get_or_create(controller=controller)
    if contact.failing_since is None:
        logger.error("Controller %s: %s", controller, error)
        ControllerContact.objects.filter(pk=contact.pk).update(failing_since=now, problem=words)
    elif contact.problem != words:
        ControllerContact.objects.filter(pk=contact.pk).update(problem=words)
