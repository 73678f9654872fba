"""Mails of accounts over a real SMTP server: a forgotten password, a new address."""

import re
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from django.test import Client
from tests.support.jobserver import PASSWORD, add_person, browse
from tests.support.receivers import Mailbox, mail_server

from carrel.jobserver.models import User
from carrel.jobserver.service import account_mails

pytestmark = pytest.mark.django_db


class Inbox:
    """What has arrived once all that was to be sent has been."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    @property
    def messages(self) -> list[EmailMessage]:
        account_mails._sender.submit(bool).result()
        return self._mailbox.messages


@pytest.fixture
def inbox(settings) -> Iterator[Inbox]:
    with mail_server() as mailbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = mailbox.port
        yield Inbox(mailbox)


@pytest.fixture
def ann() -> User:
    user = add_person("ann")
    user.set_password(PASSWORD)
    user.save()
    return user


def link_in(message: EmailMessage) -> str:
    text = message.get_content()
    found = re.search(r"http://\S+", text)
    assert found is not None, text
    return re.sub(r"^http://[^/]+", "", found[0])


def test_a_forgotten_password_is_chosen_anew_by_a_mailed_link(inbox, ann):
    answer = Client().post("/accounts/password/reset/", {"email": "ann@example.org"}, follow=True)
    assert "a link is on its way" in answer.content.decode()
    message = inbox.messages[0]
    assert message["To"] == "ann@example.org"
    client = Client()
    page = client.get(link_in(message), follow=True)
    password = "another good password"
    client.post(page.wsgi_request.path, {"password1": password, "password2": password})
    ann.refresh_from_db()
    assert ann.check_password(password)


def test_who_has_no_account_gets_no_mail_and_the_same_answer(inbox, ann):
    answers = [
        Client().post("/accounts/password/reset/", {"email": address}, follow=True).content.decode()
        for address in ("ann@example.org", "nobody@example.org")
    ]
    assert answers[0] == answers[1]
    assert [message["To"] for message in inbox.messages] == ["ann@example.org"]


def test_a_mail_server_that_is_away_is_told_of_to_nobody_who_asks(settings, ann, caplog):
    """Nor is it waited for: who has an account would show by the time that the answer takes, or by an error."""
    with mail_server() as mailbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
    answers = [
        Client().post("/accounts/password/reset/", {"email": address}, follow=True)
        for address in ("ann@example.org", "nobody@example.org")
    ]
    account_mails._sender.submit(bool).result()
    assert answers[0].redirect_chain == answers[1].redirect_chain == [("/accounts/password/reset/done/", 302)]
    assert answers[0].content == answers[1].content
    assert "cannot be sent: ConnectionRefusedError" in caplog.text
    assert "ann@example.org" not in caplog.text


def test_the_link_is_one_of_this_site_whatever_host_was_asked(settings, inbox, ann):
    settings.ALLOWED_HOSTS = ["testserver", "also-ours.example"]
    Client().post("/accounts/password/reset/", {"email": "ann@example.org"}, HTTP_HOST="also-ours.example")
    text = inbox.messages[0].get_content()
    assert f"{settings.JOBSERVER_URL}/accounts/password/reset/key/" in text
    assert "also-ours" not in text


def signed_in() -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def test_a_new_address_counts_once_its_link_was_opened(inbox, ann):
    client = signed_in()
    page = client.post("/settings/address/", {"email": "new@example.org"}, follow=True)
    assert "A link was sent" in page.content.decode()
    ann.refresh_from_db()
    assert ann.email == "ann@example.org"
    assert inbox.messages[0]["To"] == "new@example.org"
    client.get(link_in(inbox.messages[0]))
    ann.refresh_from_db()
    assert ann.email == "new@example.org"


def test_that_somebody_else_has_an_address_is_told_to_nobody(inbox, ann):
    add_person("ben", email="ben@example.org")
    page = signed_in().post("/settings/address/", {"email": "ben@example.org"}, follow=True)
    assert "A link was sent" in page.content.decode()
    assert inbox.messages == []


def test_a_link_of_somebody_else_or_a_forged_one_changes_nothing(inbox, ann):
    client = signed_in()
    client.post("/settings/address/", {"email": "new@example.org"})
    link = link_in(inbox.messages[0])
    ben = add_person("ben")
    assert "another account" in browse(ben).get(link, follow=True).content.decode()
    assert "not valid" in browse(ben).get("/settings/address/forged/", follow=True).content.decode()
    ben.refresh_from_db()
    assert ben.email == "ben@example.org"
