"""GitHub's OAuth over real HTTP, as far as a sign-in goes: its page, the token for a code, the person and addresses."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from django.test import Client
from tests.support.http_server import Handler, serving

SETTINGS: dict[str, Any] = {
    "github": {
        "APPS": [{"name": "GitHub", "client_id": "carrel", "secret": "shh"}],
        "SCOPE": ["read:user", "user:email"],
    }
}


@dataclass
class GitHub:
    """Whoever presses "Authorize" there now, and what it answers instead (by path), if anything."""

    user: dict[str, Any] = field(default_factory=dict)
    emails: list[dict[str, Any]] = field(default_factory=list)
    instead: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    """A code, for one use, and the address to which it was handed out."""

    def answer_to(self, path: str, form: dict[str, list[str]], token: str) -> tuple[int, bytes]:
        """What GitHub says; refusals of a code come with 200, as GitHub's do."""
        if path in self.instead:
            return self.instead[path]
        if path == "/login/oauth/access_token":
            is_right = (
                form.get("client_secret") == ["shh"] and self.codes.pop(form["code"][0], "") == form["redirect_uri"][0]
            )
            told = {"access_token": "gho_1", "token_type": "bearer"} if is_right else {"error": "bad_verification_code"}
            return 200, json.dumps(told).encode()
        if token != "token gho_1":
            return 401, b'{"message": "Bad credentials"}'
        return 200, json.dumps(self.user if path == "/api/v3/user" else self.emails).encode()


@contextmanager
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """Serve it while the block lasts, in the place of github.com."""
    state = GitHub()

    class Site(Handler):
        def do_GET(self) -> None:
            self.answer({})

        def do_POST(self) -> None:
            self.answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def answer(self, form: dict[str, list[str]]) -> None:
            status, body = state.answer_to(urlsplit(self.path).path, form, self.headers.get("Authorization", ""))
            self.send(status, body, {"Content-Type": "application/json"})

    with serving(Site) as url:
        for name, path in {
            "access_token_url": "/login/oauth/access_token",
            "authorize_url": "/login/oauth/authorize",
            "profile_url": "/api/v3/user",
            "emails_url": "/api/v3/user/emails",
        }.items():
            monkeypatch.setattr(GitHubOAuth2Adapter, name, f"{url}{path}")
        yield state


def sign_in(client: Client, github_site: GitHub, **instead: str) -> Any:
    """Go to GitHub from our page, press "Authorize" there, come back; `instead`: parts of the address back."""
    page = client.post("/accounts/with/github/").content.decode()
    match = re.search(r'content="0; url=([^"]+)"', page)
    assert match is not None, page
    query = {name: values[0] for name, values in parse_qs(urlsplit(match[1].replace("&amp;", "&")).query).items()}
    assert query["client_id"] == "carrel"
    assert set(query["scope"].split()) == {"read:user", "user:email"}, "the library keeps no order"
    back = query["redirect_uri"]
    github_site.codes["c-1"] = back
    parts = urlencode({"code": "c-1", "state": query["state"], **instead})
    return client.get(f"{urlsplit(back).path}?{parts}")
