"""Mails with a link that opens an account: sent at once by a thread, never stored, since the link is a secret.

Whoever asks waits neither for the mail server nor for its refusal: how long an answer takes, and whether there is one,
tells nobody whether there was a mail to send. One that was lost is asked for again.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)

_sender = ThreadPoolExecutor(1, "account-mail")


def send_soon(mail: EmailMessage) -> "Future[None]":
    """Send a mail after those that wait already; the log says when one could not be sent, and not to whom."""

    def send() -> None:
        try:
            mail.send()
        except Exception as error:
            logger.error("A mail with a link for an account cannot be sent: %s", type(error).__name__)

    return _sender.submit(send)
