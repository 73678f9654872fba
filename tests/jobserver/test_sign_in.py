"""Signing in with a password: who comes in, what strangers learn, when tries end, what the security log says."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from tests.support.jobserver import PASSWORD, add_person, browse

from carrel.jobserver.models import AuditEvent, User
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.service.accounts import AccountError, password_link

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


def add_account(username: str = "ann", **fields: object) -> User:
    user = add_person(username, **fields)
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(login: str, password: str = PASSWORD, client: Client | None = None, **data: str):
    return (client or Client()).post(LOGIN, {"login": login, "password": password, **data})


def actions() -> list[str]:
    return list(AuditEvent.objects.filter(category=SECURITY).order_by("id").values_list("action", flat=True))


@pytest.mark.parametrize("login", ["ann", "ann@example.org", "ANN@example.org"])
def test_a_username_or_an_address_and_the_password_open_the_site(login):
    add_account()
    client = Client()
    answer = sign_in(login, client=client)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert b"Ann" in client.get("/settings/").content
    event = AuditEvent.objects.get(action="sign_in.succeeded")
    assert (event.actor, event.address, event.new) == ("ann", "127.0.0.1", {"methods": ["password"]})


def shown(page: bytes) -> str:
    """The page without what is random or was typed."""
    return re.sub(r'(name="csrfmiddlewaretoken" value="[^"]*"|value="[^"]*")', "", page.decode())


@pytest.mark.parametrize("stranger", ["nobody", "nobody@example.org"])
def test_a_stranger_learns_nothing_of_who_has_an_account(stranger):
    add_account()
    wrong, unknown = sign_in("ann", "wrong"), sign_in(stranger, "wrong")
    assert (wrong.status_code, unknown.status_code) == (200, 200)
    assert shown(wrong.content) == shown(unknown.content)
    assert "do not belong together" in shown(wrong.content)


def test_what_was_typed_for_a_name_goes_to_no_log_unless_it_is_one():
    add_account()
    sign_in("my password by mistake", "wrong")
    sign_in("ann", "wrong")
    assert list(AuditEvent.objects.order_by("id").values_list("action", "subject")) == [
        ("sign_in.failed", ""),
        ("sign_in.failed", "ann"),
    ]


def test_five_wrong_tries_lock_the_name_for_a_while_also_one_that_nobody_has():
    add_account()
    for name in ("ann", "nobody"):
        cache.clear()
        for _ in range(5):
            sign_in(name, "wrong")
        answer = sign_in(name)
        assert "Too many tries have failed. Wait five minutes" in answer.content.decode()
        assert "_auth_user_id" not in answer.wsgi_request.session
    assert actions().count("sign_in.locked_out") == 2


def test_many_tries_from_one_address_end_with_a_page_of_ours():
    answers = [sign_in(f"person{number}", "wrong") for number in range(31)]
    assert answers[-1].status_code == 429
    assert "Too many tries" in answers[-1].content.decode()
    assert "site-header" in answers[-1].content.decode()


def test_the_session_is_another_after_signing_in():
    add_account()
    client = Client()
    client.get(LOGIN)
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies["carrel_session"] = session.session_key
    sign_in("ann", client=client)
    assert client.session.session_key != session.session_key
    assert not Session.objects.filter(session_key=session.session_key).exists()


def test_signing_out_ends_the_session_and_needs_a_form():
    client = browse(add_account())
    key = client.session.session_key
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/settings/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/settings/").status_code == 302
    assert not Session.objects.filter(session_key=key).exists()
    assert actions() == ["sign_in.ended"]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        r"/\evil.example",
        "javascript:alert(1)",
        "https:evil.example",
        "http://testserver.evil.example/",
        " https://evil.example",
        "/\t/evil.example",
    ],
)
def test_next_leads_to_no_other_site(url):
    add_account()
    answer = sign_in("ann", next=url)
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    signed_in = browse(User.objects.get())
    assert signed_in.post("/accounts/logout/", {"next": url})["Location"] == "/"


def test_next_leads_back_to_the_page_that_asked():
    add_account()
    client = Client()
    asked = client.get("/settings/tokens/?a=1")["Location"]
    assert asked == f"{LOGIN}?next=%2Fsettings%2Ftokens%2F%3Fa%3D1"
    assert b'name="next" value="/settings/tokens/?a=1"' in client.get(asked).content
    assert sign_in("ann", client=client, next="/settings/tokens/?a=1")["Location"] == "/settings/tokens/?a=1"


@pytest.mark.parametrize("fields", [{"is_active": False}, {"is_bot": True}])
def test_closed_accounts_and_programs_do_not_come_in(fields):
    add_account(**fields)
    client = Client()
    answer = sign_in("ann", client=client)
    assert "_auth_user_id" not in client.session
    assert answer["Location"] == "/accounts/inactive/"
    assert "This account is closed" in client.get(answer["Location"]).content.decode()
    assert actions()[-1] == "sign_in.refused"


def test_an_account_that_is_closed_is_out_at_once():
    ann = add_account()
    client = browse(ann)
    User.objects.update(is_active=False)
    assert client.get("/settings/").status_code == 302


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "path",
    [
        "signup/",
        "email/",
        "confirm-email/",
        "confirm-email/abc/",
        "login/code/confirm/",
        "reauthenticate/code/",
        "3rdparty/signup/",
        "sessions/",
        "social/signup/",
        "github/login/",
        "oidc/oidc/login/",
    ],
)
def test_pages_of_the_library_that_this_site_does_not_have_are_not_found(path, method):
    for client in (Client(), browse(add_person())):
        answer = getattr(client, method)(f"/accounts/{path}")
        assert answer.status_code == 404
        assert "There is no such page" in answer.content.decode()


class TestPasswordLinks:
    """Without mail, staff hand over a link with which somebody chooses a password."""

    def open(self, client: Client, link: str):
        return client.get(link.removeprefix("http://127.0.0.1:8000"), follow=True)

    def choose(self, link: str, password: str):
        client = Client()
        page = self.open(client, link)
        return client.post(page.wsgi_request.path, {"password1": password, "password2": password}, follow=True)

    def test_it_sets_the_password_once(self):
        ann = add_account()
        link = password_link(ann, "command line")
        answer = self.choose(link, "a fresh new password")
        assert "Your password is set" in answer.content.decode()
        assert sign_in("ann", "a fresh new password").status_code == 302
        assert "This link is no longer valid" in self.open(Client(), link).content.decode()
        assert actions()[:2] == ["password_link.created", "password.reset"]

    def test_it_ends_other_sessions(self):
        ann = add_account()
        elsewhere = browse(ann)
        self.choose(password_link(ann, "command line"), "a fresh new password")
        assert elsewhere.get("/settings/").status_code == 302

    @pytest.mark.parametrize(("password", "why"), [("short", "at least 12"), ("password1234", "too common")])
    def test_a_weak_password_is_refused_with_the_reason(self, password, why):
        answer = self.choose(password_link(add_account(), "command line"), password)
        assert why in answer.content.decode()

    def test_the_token_is_not_in_the_address_of_the_form(self):
        link = password_link(add_account(), "command line")
        page = self.open(Client(), link)
        assert link.rpartition("-")[2].strip("/") not in page.wsgi_request.path

    def test_there_is_none_for_a_closed_account(self):
        with pytest.raises(AccountError, match="closed"):
            password_link(add_account(is_active=False), "command line")


def test_without_mail_the_site_says_whom_to_ask_for_a_password():
    page = Client().get(reverse("account_reset_password")).content.decode()
    assert "This site sends no mail" in page
    assert "<form method" not in page
    assert "this site sends no mail" in Client().get(LOGIN).content.decode()


class TestReauthentication:
    def test_a_sensitive_change_asks_who_sits_here_and_then_goes_on(self):
        ann = add_account()
        client = browse(ann)
        answer = client.post("/settings/address/", {"email": "new@example.org"})
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
        assert "Show that it is you" in client.get(answer["Location"]).content.decode()
        client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/settings/address/"})
        ann.refresh_from_db()
        assert ann.email == "new@example.org"

    def test_a_wrong_password_changes_nothing(self):
        ann = add_account()
        client = browse(ann)
        client.post("/settings/address/", {"email": "new@example.org"})
        client.post("/accounts/reauthenticate/", {"password": "wrong", "next": "/settings/address/"})
        ann.refresh_from_db()
        assert ann.email == "ann@example.org"

    def test_who_has_no_password_here_signs_out_and_in_again(self):
        client = browse(add_person("ben"))
        answer = client.post("/settings/address/", {"email": "new@example.org"})
        assert answer["Location"].startswith("/accounts/logout/?next=")
