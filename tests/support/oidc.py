"""A real OpenID Connect provider (oidc-provider-mock) as a process of its own, and a person who signs in there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from django.test import Client
from tests.support.waiting import free_port, wait_for_port

ISSUER_NAME = "Port University"


@contextmanager
def provider() -> Iterator[str]:
    """Run the provider, and give its address, the issuer."""
    port = free_port()
    argv = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(f"127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def settings_for(issuer: str) -> dict[str, Any]:
    """SOCIALACCOUNT_PROVIDERS as the environment would make it."""
    app = {
        "provider_id": "oidc",
        "name": ISSUER_NAME,
        "client_id": "carrel",
        "secret": "not-a-secret",
        "settings": {"server_url": issuer},
    }
    return {"openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True}}


def tell(issuer: str, subject: str, **claims: Any) -> None:
    """Let the provider know a person: the claims that it tells of them."""
    httpx.put(f"{issuer}/users/{subject}", json=claims, timeout=60).raise_for_status()


def sign_in(client: Client, subject: str) -> Any:
    """Go to the provider from our page, sign in there, come back; returns the last answer of ours."""
    page = client.post("/accounts/with/oidc/").content.decode()
    match = re.search(r'content="0; url=([^"]+)"', page)
    assert match is not None, page
    address = match[1].replace("&amp;", "&")
    answer = httpx.post(address, data={"sub": subject}, timeout=60)
    back = answer.headers["Location"]
    assert back.startswith("http://testserver/")
    return client.get(back.removeprefix("http://testserver"))
