"""Mail and webhook calls on their way out: each is sent, then marked; until it is marked it is sent again.

Killed between the two, a mail may come twice (both with the same Message-ID) and is never lost; a call carries an id by
which its receiver knows that it has had it.
"""

import hashlib
import logging
import smtplib
import socket
from datetime import timedelta
from email.utils import parseaddr
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings as django_settings
from django.core.mail import EmailMessage
from django.db.models import F, Min, Q
from django.utils import timezone

from carrel.jobserver import settings
from carrel.jobserver.models import OutgoingMessage
from carrel.jobserver.runs.reported import storable_text
from carrel.jobserver.runs.webhooks import (
    DELIVERY_HEADER,
    EVENT_HEADER,
    SIGNATURE_HEADER,
    WebhookRefused,
    check_address,
    check_resolved,
    signature,
)
from carrel.jobserver.service.notifications import mail_is_configured
from carrel.telemetry.faults import point
from carrel.units.pauses import pause_before_retry

logger = logging.getLogger(__name__)

MAX_DUE = 100
KEEP_TRYING = timedelta(days=3)
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 3600.0
CALL_SECONDS = 10.0
MAX_CALL_ANSWER = 64 * 1024
"""Bytes of a receiver's answer that are read; nothing is done with them."""
MAX_ERROR = 500


class CannotDeliver(Exception):
    """It will never arrive; says why."""


class NotDelivered(Exception):
    """It did not arrive this time; says why."""


def due_messages() -> list[OutgoingMessage]:
    """Return the messages that wait to be sent now, the oldest first. Mail waits while none can be sent.

    Of each webhook only its oldest: however many wait for one that hangs, they stand in nobody else's way.
    """
    now = timezone.now()
    pending = OutgoingMessage.objects.filter(sent_at=None, given_up_at=None)
    due = pending.filter(Q(send_after=None) | Q(send_after__lte=now))
    mail = due.filter(channel=OutgoingMessage.Channel.MAIL)
    calls = due.filter(channel=OutgoingMessage.Channel.WEBHOOK).order_by()
    oldest = calls.values("webhook").annotate(oldest=Min("id")).order_by("oldest").values_list("oldest", flat=True)
    messages = [
        *(mail.order_by("id")[:MAX_DUE] if mail_is_configured() else ()),
        *OutgoingMessage.objects.filter(pk__in=list(oldest[:MAX_DUE])),
    ]
    return sorted(messages, key=lambda message: message.pk)


def send_message(message_pk: int) -> None:
    """Send one message, and mark it."""
    messages = OutgoingMessage.objects.filter(pk=message_pk, sent_at=None, given_up_at=None)
    message = messages.select_related("recipient", "webhook").first()
    if message is None:
        return
    pause = pause_before_retry(message.send_attempts + 1, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    again = timezone.now() + timedelta(seconds=pause)
    if not messages.filter(send_attempts=message.send_attempts).update(
        send_attempts=F("send_attempts") + 1, send_after=again
    ):
        return
    point("jobserver.message.claimed")
    try:
        _send_mail(message) if message.channel == OutgoingMessage.Channel.MAIL else _call(message)
    except CannotDeliver as error:
        _give_up(message, str(error))
    except NotDelivered as error:
        if timezone.now() - message.created_at > KEEP_TRYING:
            _give_up(message, str(error))
        else:
            messages.update(error=storable_text(str(error), MAX_ERROR))
    else:
        point("jobserver.message.sent")
        messages.update(sent_at=timezone.now(), error="")
        point("jobserver.message.marked")


def _give_up(message: OutgoingMessage, why: str) -> None:
    logger.warning("Message %s is given up: %s", message.key, why)
    OutgoingMessage.objects.filter(pk=message.pk).update(
        given_up_at=timezone.now(), error=storable_text(why, MAX_ERROR)
    )


def delivery_id(message: OutgoingMessage) -> str:
    """Return the id that every attempt at this message has.

    Its key alone would not do: numbers of runs come again where a database was restored, and receivers would take the
    new run's message for one that they had before.
    """
    return hashlib.sha256(f"{message.key} {message.created_at.isoformat()}".encode()).hexdigest()[:32]


def _send_mail(message: OutgoingMessage) -> None:
    person = message.recipient
    if person is None or not person.is_active or not person.email:
        raise CannotDeliver("the person has no address any more")
    domain = parseaddr(django_settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    headers = {"Message-ID": f"<{delivery_id(message)}@{domain}>", "Auto-Submitted": "auto-generated"}
    subject = " ".join(message.subject.split())  # names in it may hold line ends, which no header may
    mail = EmailMessage(subject, message.body, to=[person.email], headers=headers)
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        kind = CannotDeliver if codes and min(codes) >= 500 else NotDelivered
        raise kind("the mail server refuses the address") from error
    except ValueError as error:  # a header that cannot be
        raise CannotDeliver("it cannot be put into a mail") from error
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("Mail cannot be sent: %s", error)
        raise NotDelivered(f"the mail server does not take it ({type(error).__name__})") from error


def _call(message: OutgoingMessage) -> None:
    import httpx

    from carrel.units.answers import ask

    webhook = message.webhook
    if webhook is None or not webhook.is_active:
        raise CannotDeliver("the webhook was removed")
    url, host = _resolved(webhook.url)
    body = message.body.encode()
    headers = {
        "Host": urlsplit(webhook.url).netloc,
        "Content-Type": "application/json",
        "User-Agent": "carrel",
        EVENT_HEADER: message.subject,
        DELIVERY_HEADER: delivery_id(message),
        SIGNATURE_HEADER: signature(webhook.secret, body),
    }
    try:
        with httpx.Client(timeout=CALL_SECONDS, follow_redirects=False, trust_env=False) as client:
            answer = ask(
                client,
                "POST",
                url,
                MAX_CALL_ANSWER,
                CALL_SECONDS,
                content=body,
                headers=headers,
                extensions={"sni_hostname": host},
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotDelivered(f"it did not answer as it should ({type(error).__name__})") from error
    if not answer.is_success:
        raise NotDelivered(f"it answered {answer.status_code}")


def _resolved(url: str) -> tuple[str, str]:
    """Return the address with its host's name looked up, and the name, which TLS still asks for."""
    allowed = settings.get().webhook_hosts
    try:
        host, port = check_address(url, allowed)
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        address = check_resolved(host, [str(row[4][0]) for row in rows], allowed)
    except WebhookRefused as error:
        raise CannotDeliver(str(error)) from error
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"the name of its host cannot be looked up ({type(error).__name__})") from error
    named = f"[{address}]" if ":" in address else address
    return urlunsplit(urlsplit(url)._replace(netloc=f"{named}:{port}")), host
