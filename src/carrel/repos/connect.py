"""Is the host there at all? Git has no time limit of its own for connecting, so we knock first."""

import socket
import threading
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from carrel.repos.errors import NetworkError

_PORTS = {"http": 80, "https": 443}


def knock(url: str, seconds: float, shown: str) -> None:
    """Raise NetworkError unless the host of `url` (or the proxy that leads there) takes a connection in `seconds`.

    In a thread, because looking up a name has no time limit of its own either.
    """
    host, port = _first_hop(urlsplit(url))
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(_try(host, port, seconds)), name="knock", daemon=True)
    thread.start()
    thread.join(seconds)
    problem = said[0] if said else "no answer"
    if problem:
        raise NetworkError(f"Network error when reading {shown}: cannot connect to {host} ({problem})")


def _try(host: str, port: int, seconds: float) -> str:
    """What is wrong; empty when nothing is."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        return "no answer" if isinstance(error, TimeoutError) else (error.strerror or "unreachable")
    return ""


def _first_hop(target: SplitResult) -> tuple[str, int]:
    host = target.hostname or ""
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(host):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return target.hostname or "", target.port or _PORTS.get(target.scheme, 1080)
