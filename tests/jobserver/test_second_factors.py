"""Second factors: codes of an app, recovery codes; what is stored of them, and which sessions count."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.cache import cache
from django.test import Client, RequestFactory
from tests.support.jobserver import PASSWORD, add_person

from carrel.jobserver.accounts import SecondFactorAdapter, has_second_factor
from carrel.jobserver.models import AuditEvent, PersonalToken, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    user = add_person("ann")
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    sign_in(client)
    return client


def sign_in(client: Client):
    return client.post("/accounts/login/", {"login": "ann", "password": PASSWORD})


def code_now(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))


def add_app(client: Client) -> str:
    page = client.get("/accounts/2fa/totp/activate/", follow=True)
    if "reauthenticate" in page.wsgi_request.path:
        next_url = page.wsgi_request.GET["next"]
        page = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": next_url}, follow=True)
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page.content.decode())
    assert secret is not None, page.content.decode()
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_now(secret[1])})
    assert answer.status_code == 302, answer.content.decode()
    return secret[1]


def counts(client: Client) -> bool:
    request = RequestFactory().get("/")
    request.session = client.session
    request.user = User.objects.get(username="ann")
    return has_second_factor(request)


def test_an_app_is_added_and_asked_for_at_the_next_sign_in(client):
    secret = add_app(client)
    assert not counts(client)
    again = Client()
    assert sign_in(again)["Location"].startswith("/accounts/2fa/authenticate/")
    assert again.get("/settings/").status_code == 302
    assert "Your second factor" in again.get("/accounts/2fa/authenticate/").content.decode()
    Authenticator.objects.update(last_used_at=None)
    cache.clear()
    again.post("/accounts/2fa/authenticate/", {"code": code_now(secret)})
    assert again.get("/settings/").status_code == 200
    assert counts(again)
    assert "Used in this session" in again.get("/settings/security/").content.decode()


def test_a_wrong_code_does_not_sign_in_and_is_recorded(client):
    add_app(client)
    again = Client()
    sign_in(again)
    again.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert again.get("/settings/").status_code == 302
    actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert actions[-1] == "second_factor.failed"


def test_adding_one_is_recorded(client, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        add_app(client)
    added = AuditEvent.objects.filter(action="second_factor.added")
    assert sorted(event.new["kind"] for event in added) == ["recovery_codes", "totp"]


def test_a_recovery_code_signs_in_once(client):
    add_app(client)
    page = client.get("/accounts/2fa/recovery-codes/", follow=True).content.decode()
    code = re.findall(r"<li><code>(\d+)</code></li>", page)[0]
    for expected in (200, 302):
        again = Client()
        sign_in(again)
        again.post("/accounts/2fa/authenticate/", {"code": code})
        assert again.get("/settings/").status_code == expected


def test_secrets_are_stored_encrypted(client, settings):
    secret = add_app(client)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    adapter = SecondFactorAdapter()
    assert adapter.decrypt(adapter.encrypt("x")) == "x"
    encrypted = adapter.encrypt("x")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of this site, long enough"
    assert adapter.decrypt(encrypted) == "x"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(ValueError, match="secret key"):
        adapter.decrypt(encrypted)


def test_a_token_remembers_whether_its_session_had_one(client):
    client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/settings/tokens/"})
    answer = client.post("/settings/tokens/create/", {"name": "laptop", "scopes": ["read"], "life": "7"})
    assert "it is not shown again" in answer.content.decode()
    assert 'data-address="/settings/tokens/"' in answer.content.decode()
    assert not PersonalToken.objects.get().with_second_factor
