"""Waiting for a condition with a deadline, instead of sleeping for a guess."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def until(condition: Callable[[], Result], what: str, seconds: float = 60.0) -> Result:
    """The first true result of `condition`; AssertionError that names `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(host: str) -> None:
    """Until something listens at `address:port`."""
    address, _, port = host.rpartition(":")

    def listens() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex((address, int(port))) == 0

    until(listens, f"a server at {host}")
