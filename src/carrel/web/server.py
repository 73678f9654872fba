"""waitress, made fit for callers that nobody knows: what has no token costs little and holds nothing up.

Connections that send nothing, or send slowly, are closed after a while, and at once when there is no room left for
others. A long body is taken only from a caller whose token is known.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import MultiSocketServer, TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error, RequestEntityTooLarge

from carrel.units.limits import MAX_FORM_BYTES, MAX_REQUEST_BYTES, MAX_REQUEST_HEADER_BYTES, MAX_UNKNOWN_REQUEST_BYTES

CONNECTIONS = 2000
"""At most open at once; fewer where the process may open fewer files."""
FILES_FOR_OTHERS = 200
IDLE_SECONDS = 30
"""A connection on which nothing is asked and nothing sent is closed after this."""
REQUEST_SECONDS = 120
"""So long a request may take to arrive whole."""
LOOK_EVERY = 5
ROOM = 0.1
"""Part of the connections that is closed, oldest first, when there is no room for another."""

TokenKnown = Callable[[str], bool]
SessionKnown = Callable[[str], bool]


class _Unauthorized(Error):
    code = 401
    reason = "Unauthorized"


class _Parser(HTTPRequestParser):
    """Asks for a known token before a long body is taken; what is refused is read to its end and thrown away, so that
    the caller, who is still sending, gets to see the answer."""

    token_known: TokenKnown
    session_known: SessionKnown
    content_length: int
    expect_continue: bool
    _to_discard: int | None = None

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        refusal = self._refusal()
        if refusal is None:
            return
        self.error = refusal
        if self.chunked or self.expect_continue:  # its end is not known, or it waits for us to ask for its body
            self.expect_continue, self.body_rcv = False, None
        else:
            self._to_discard = self.content_length
        self.content_length = 0

    def _refusal(self) -> Error | None:
        if self.content_length > MAX_REQUEST_BYTES:
            return RequestEntityTooLarge(f"The body may have {MAX_REQUEST_BYTES} bytes.")
        long = self.chunked or self.content_length > MAX_UNKNOWN_REQUEST_BYTES
        if not long or type(self).token_known(self.headers.get("AUTHORIZATION", "")):
            return None
        if self.content_length <= MAX_FORM_BYTES and type(self).session_known(self.headers.get("COOKIE", "")):
            return None
        return _Unauthorized("A long body is taken only with a valid token.")

    def received(self, data: bytes) -> int:
        if self._to_discard is None:
            return int(super().received(data))
        taken = min(len(data), self._to_discard)
        self._to_discard -= taken
        self.completed = self._to_discard == 0
        return taken


class _Channel(HTTPChannel):
    """Knows since when it waits for the rest of a request."""

    waits_since: float

    def received(self, data: bytes) -> Any:
        begins = self.request is None
        result = super().received(data)
        if begins or self.request is None:
            self.waits_since = time.time()
        return result


class _Server(TcpWSGIServer):
    """Closes what only holds room."""

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in self._waiting():
            if channel.request is not None and channel.waits_since < now - REQUEST_SECONDS:
                channel.will_close = True

    def readable(self) -> Any:
        if len(self._map) >= self.adj.connection_limit:
            oldest = sorted(self._waiting(), key=lambda channel: channel.creation_time)
            for channel in oldest[: max(1, int(self.adj.connection_limit * ROOM))]:
                channel.will_close = True
        return super().readable()

    def _waiting(self) -> list[Any]:
        """Connections for which nothing is being done and which have nothing to be sent."""
        channels = list(self.active_channels.values())
        return [channel for channel in channels if not (channel.requests or channel.total_outbufs_len)]


def create_server(
    application: Any,
    host: str,
    port: int,
    threads: int,
    token_known: TokenKnown,
    session_known: SessionKnown = lambda cookies: False,
    trusted_proxy: str = "",
) -> Any:
    """Like waitress's own `create_server`: listens at once, serves in `run()`.

    `token_known(authorization)`: whether the header's token is one that this process knows; must not wait for
    anything. Longer bodies than MAX_UNKNOWN_REQUEST_BYTES are taken from those alone; up to MAX_FORM_BYTES also where
    `session_known(cookies)` says the same of the header with cookies. `trusted_proxy`: the address of the one proxy
    whose `X-Forwarded-For` and `X-Forwarded-Proto` count; from anybody else, and without it, they are taken away.
    """
    behind_proxy = {
        "trusted_proxy": trusted_proxy,
        "trusted_proxy_count": 1,
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
    }
    adjustments = Adjustments(
        host=host,
        port=port,
        threads=threads,
        ident=None,
        clear_untrusted_proxy_headers=True,
        **(behind_proxy if trusted_proxy else {}),
        connection_limit=_connections(),
        asyncore_use_poll=True,
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=LOOK_EVERY,
        max_request_header_size=MAX_REQUEST_HEADER_BYTES,
        max_request_body_size=MAX_REQUEST_BYTES + 1,
    )
    known = {"token_known": token_known, "session_known": session_known}
    parser = type("Parser", (_Parser,), {name: staticmethod(knows) for name, knows in known.items()})
    channel = type("Channel", (_Channel,), {"parser_class": parser})
    server = type("Server", (_Server,), {"channel_class": channel})
    sockets: dict[int, Any] = {}
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(adjustments.threads)
    servers = [
        server(application, sockets, dispatcher=dispatcher, adj=adjustments, sockinfo=sockinfo)
        for sockinfo in adjustments.listen
    ]
    if len(servers) == 1:
        return servers[0]
    listening = [(server.effective_host, server.effective_port) for server in servers]
    return MultiSocketServer(sockets, adjustments, listening, dispatcher, servers[-1].log_info)


def _connections() -> int:
    """As many as wanted, or as the process may have once it has asked for all the files it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + FILES_FOR_OTHERS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(10, min(CONNECTIONS, soft - FILES_FOR_OTHERS))
