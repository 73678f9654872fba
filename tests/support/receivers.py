"""Receivers of what the job server sends: a mail server (SMTP) and a webhook's, both real and on free ports."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from tests.support.http_server import Handler, serving


class Mailbox:
    """What arrived, as messages; `refusals` are answered to the next recipients instead of taking them."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refusals: list[str] = []
        self.port = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"


class _OnFreePort(Controller):
    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """An SMTP server that takes everything while the block lasts."""
    mailbox = Mailbox()
    controller = _OnFreePort(mailbox, hostname="127.0.0.1", port=0)
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()


class Calls:
    """Calls of a webhook: headers and body. `statuses` are answered first; then 204."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []


@contextmanager
def webhook_receiver() -> Iterator[Calls]:
    """An HTTP server that notes each call while the block lasts."""
    calls = Calls()

    class Receiver(Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            calls.received.append((dict(self.headers), body))
            status = calls.statuses.pop(0) if calls.statuses else 204
            self.send(status, b"", {"Location": f"{calls.url}elsewhere"} if status == 302 else None)

    with serving(Receiver) as url:
        calls.url = f"{url}/hook"
        yield calls
