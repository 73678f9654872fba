"""Which addresses a webhook may call, and how a call is signed. Pure: names are looked up by whoever calls."""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import inet_aton, inet_ntoa
from urllib.parse import urlsplit

EVENT_HEADER = "Carrel-Event"
DELIVERY_HEADER = "Carrel-Delivery"
"""The same for every attempt at one call: its receiver knows by it what it has had before."""
SIGNATURE_HEADER = "Carrel-Signature"
"""`sha256=` and the HMAC-SHA256 of the body under the webhook's secret, in hexadecimal digits."""

WORLD = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
"""The last 32 bits are the IPv4 address that is called (RFC 6052)."""
TUNNELS = (IPv6Network("2001::/23"), IPv6Network("2002::/16"))
"""Teredo and other protocols' own (RFC 2928), and 6to4 (RFC 3056)."""
RELAYS = IPv4Network("192.88.99.0/24")
"""The nearest way into 6to4, which may be one's own router (RFC 7526)."""


LOOPBACK = "127.0.0.1"


class WebhookRefused(ValueError):
    """An address that is not called; says why."""


def check_address(url: str, allowed_hosts: Collection[str]) -> tuple[str, int]:
    """Return host and port of an address that a webhook may have: https, or a host that the installation allows.

    A host that is a network address, written in any way (`127.1`), must be public, as when it is called.
    Raises WebhookRefused.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebhookRefused("This is no address: it should look like https://example.org/hook") from error
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host:
        raise WebhookRefused("This is no address: it should look like https://example.org/hook")
    if parts.username or parts.password:
        raise WebhookRefused("An address with a user name or password in it is not called: calls are signed instead.")
    if parts.scheme == "http" and host not in allowed_hosts:
        raise WebhookRefused("Only https addresses are called.")
    try:
        literal = ip_address(inet_ntoa(inet_aton(host)) if ":" not in host else host)
    except (OSError, ValueError):  # a name: what it stands for is judged when it is called
        literal = None
    if literal is not None or host == "localhost" or host.endswith(".localhost"):
        check_resolved(host, [str(literal or LOOPBACK)], allowed_hosts)
    return host, port or (443 if parts.scheme == "https" else 80)


def check_resolved(host: str, addresses: Sequence[str], allowed_hosts: Collection[str]) -> str:
    """Return the network address to connect to. Raises WebhookRefused unless all that a name stands for are public.

    What is connected to is the very address that was looked at, so that a name cannot mean another a moment later.
    """
    if not addresses:
        raise WebhookRefused(f"{host} has no address.")
    if host not in allowed_hosts and not all(_is_public(address) for address in addresses):
        raise WebhookRefused(f"{host} is an address inside a network: those are not called.")
    return addresses[0]


def _is_public(address: str) -> bool:
    """Neither the address nor the IPv4 address that a network would make of it is of some network's inside.

    IPv6 has one block for the whole world (2000::/3); what lies outside of it is of some inside, or is translated, as
    what tunnels make of their own addresses (Teredo, 6to4) is, of which no server is reached in earnest.
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        ipv4 = parsed.ipv4_mapped
        if parsed in NAT64:
            ipv4 = IPv4Address(int(parsed) & 0xFFFF_FFFF)
        if ipv4 is None:
            return parsed in WORLD and parsed.is_global and not any(parsed in tunnel for tunnel in TUNNELS)
        parsed = ipv4
    return parsed.is_global and not parsed.is_multicast and parsed not in RELAYS


def signature(secret: str, body: bytes) -> str:
    """Return the value of the signature header."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
