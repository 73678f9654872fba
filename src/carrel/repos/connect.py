"""Is the host there at all? Git has no time limit of its own for connecting, so we knock first."""

import socket
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from carrel.repos.errors import NetworkError

_PORTS = {"http": 80, "https": 443}


def knock(url: str, seconds: float, shown: str) -> None:
    """Raise NetworkError unless the host of `url` (or the proxy that leads there) takes a connection in `seconds`."""
    host, port = _first_hop(urlsplit(url))
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else (error.strerror or "unreachable")
        raise NetworkError(f"Network error when reading {shown}: cannot connect to {host} ({reason})") from None


def _first_hop(target: SplitResult) -> tuple[str, int]:
    host = target.hostname or ""
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(host):
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return target.hostname or "", target.port or _PORTS.get(target.scheme, 1080)
